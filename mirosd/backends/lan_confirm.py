"""Asks one host whether its broker is still its own, now, because our account is about to be sent there."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from mirosd.core.asking import ASKED_AT_S, Place, Send

AGAIN_S = ASKED_AT_S[1:-1]
"""A connection waits for it: asked three times, the last 0.4 s before the second is over."""

SPEAKERS_KEPT = 4096
"""More brokers than a mesh of private ones bears."""


class _Asked:
    def __init__(self, broker: str, places: Sequence[Place]) -> None:
        self.broker, self.silent = broker, {place.address for place in places}
        self.named: set[str] = set()
        self.is_over = asyncio.Event()


class Confirmer:
    """Waits for the answers to single questions. Thread: loop.

    Args:
        places: gives where a host ("10.0.0.7:5672") is asked.
        probe: sends a probe.
        questions: numbers that nobody else uses.
    """

    def __init__(
        self,
        places: Callable[[str], Awaitable[list[Place]]],
        probe: Callable[[Send], None],
        questions: Iterator[int],
        clock: Callable[[], float],
    ) -> None:
        self._places, self._probe, self._questions, self._clock = places, probe, questions, clock
        self._asked: dict[int, _Asked] = {}
        self._speakers: dict[str, Place] = {}

    async def confirm(self, broker: str, timeout_s: float) -> set[str]:
        """Give the brokers that the answers of whoever is at `broker` name.

        Who named it as his broker before is asked too: a broker need not be where its daemon is. All that was heard
        is given as soon as `broker` was named, everybody has answered, or `timeout_s` is over.
        """
        places = await self._places(broker)
        speaker = self._speakers.get(broker)
        if speaker is not None and speaker not in places:
            places.append(speaker)
        question = next(self._questions)
        asked = self._asked[question] = _Asked(broker, places)
        began_s = self._clock()
        try:
            for until_s in (*AGAIN_S, timeout_s) if places else ():
                for place in places:
                    if place.address in asked.silent:
                        self._probe(Send(place, question))
                if await _is_set(asked.is_over, began_s + min(until_s, timeout_s) - self._clock()):
                    break
        finally:
            del self._asked[question]
        return asked.named

    def answered(self, question: int, place: Place, broker: str) -> bool:
        """Take an answer, whoever asked: `broker` "" when it named none. Tells whether a connection had asked."""
        if broker:
            self._speakers.pop(broker, None)
            self._speakers[broker] = place
            if len(self._speakers) > SPEAKERS_KEPT:
                del self._speakers[next(iter(self._speakers))]
        asked = self._asked.get(question)
        if asked is None:
            return False
        asked.silent.discard(place.address)
        if broker:
            asked.named.add(broker)
        if broker == asked.broker or not asked.silent:
            asked.is_over.set()
        return True


async def _is_set(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass
    return event.is_set()
