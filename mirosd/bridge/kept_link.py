"""One connection that is opened again, with growing pauses, whenever it is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from mirosd.core.backoff import delay_s
from mirosd.core.broker import BrokerAddress, BrokerConnector, Link
from mirosd.errors import BrokerError

log = structlog.get_logger()

OPEN_DEADLINE_S = 8.0
"""A broker that looks its clients up by name greets after 5 to 6 s; it still counts."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 4.0
"""The pauses of design's listed hosts: a broker that comes back is found within 4 s."""


class KeptLink:
    """Keeps one link open until stopped. Thread: loop.

    Args:
        on_up: called with the open link; it is used once this has returned. When it
            raises BrokerError the link is dropped and opened again.
        on_down: called with a code whenever the state becomes, or stays, not open;
            repeated only when the code changes.
        on_blocked: called when the broker stops (True) or resumes (False) reading.
        is_quiet: several links go to one broker; one of them tells the log.
    """

    def __init__(
        self,
        connector: BrokerConnector,
        address: BrokerAddress,
        name: str,
        *,
        on_up: Callable[[Link], Awaitable[None]],
        on_down: Callable[[BrokerError], None],
        random: Callable[[], float],
        on_blocked: Callable[[bool], None] | None = None,
        is_quiet: bool = False,
    ) -> None:
        self.address, self.name = address, name
        self.link: Link | None = None
        self._connector, self._random = connector, random
        self._on_up, self._on_down, self._on_blocked = on_up, on_down, on_blocked
        self._task: asyncio.Task[None] | None = None
        self._attempt_over = asyncio.Event()
        self._no_pause = asyncio.Event()
        self.is_untried = True  # no attempt to open it there is over
        self._told = ""
        self._log = log.debug if is_quiet else log.info

    def start(self) -> None:
        """Begin to open the link; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"link {self.name}")

    def move(self, address: BrokerAddress, name: str) -> None:
        """Open the link to another address from now on: the broker has moved there."""
        link, self.link = self.link, None
        self.address, self.name, self._told, self.is_untried = address, name, "", True
        if self._task is not None:
            self._task.cancel()
            if link is not None:
                link.abort()
                self._on_down(BrokerError("closed", "the broker has moved"))
            self.start()

    async def attempted(self) -> None:
        """Return when the link is open, or could not be opened: without a pause that it may be in."""
        if self.link is None:
            self._attempt_over.clear()
            self._no_pause.set()
            await self._attempt_over.wait()

    async def _keep(self) -> None:
        attempt = 0
        while True:
            lost: asyncio.Future[BrokerError] = asyncio.get_running_loop().create_future()
            try:
                link = await self._open(lambda error, lost=lost: None if lost.done() else lost.set_result(error))  # type: ignore[misc]
            except BrokerError as error:
                self._down(error)
                self._attempt_is_over()
            else:
                self.link, attempt, self._told = link, 0, ""
                self._attempt_is_over()
                self._log("broker_connected", broker=self.address.display, link=self.name)
                try:
                    reason = await lost
                finally:
                    self.link = None
                    if not lost.done():
                        link.abort()
                self._down(reason)
            await self._pause(delay_s(attempt, first_s=FIRST_PAUSE_S, cap_s=LONGEST_PAUSE_S, random=self._random))
            attempt += 1

    async def _open(self, on_lost: Callable[[Any], None]) -> Link:
        """Give an open link that was made ready. BrokerError for whatever goes wrong: no fault ends the trying."""
        try:
            link = await self._connector.open(
                self.address, deadline_s=OPEN_DEADLINE_S, name=self.name, on_lost=on_lost, on_blocked=self._on_blocked
            )
            try:
                await self._on_up(link)
            except BaseException:
                link.abort()
                raise
        except BrokerError:
            raise
        except Exception as exc:
            log.exception("link_failed", broker=self.address.display, link=self.name)
            raise BrokerError("internal", f"{self.address.display}: {exc!r}") from exc
        return link

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._no_pause.wait()
        except TimeoutError:
            pass

    def _attempt_is_over(self) -> None:
        self.is_untried = False
        self._no_pause.clear()
        self._attempt_over.set()

    def _down(self, error: BrokerError) -> None:
        if error.code != self._told:  # a broker that stays away is told of once
            self._told = error.code
            self._log(
                "broker_unavailable", broker=self.address.display, link=self.name, code=error.code, detail=str(error)
            )
        self._on_down(error)

    async def stop(self) -> None:
        """Close the link in an orderly way, or give up opening it."""
        link, self.link = self.link, None
        if link is not None:
            await link.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
