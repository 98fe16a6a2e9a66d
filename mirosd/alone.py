"""A host alone: `broker.url: memory://` is a broker in the daemon's own process, that no other host can reach.

So nobody is scouted, nothing is sent to anyone, and hosts that are listed all the same are told to be ignored.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mirosd.core.broker import BrokerAddress
from mirosd.core.interfaces import ProbeResult
from mirosd.localapi.board import Board
from mirosd.payloads import LanSurvey, StageReport
from mirosd.signals import Private

OWN = BrokerAddress("memory", port=0)
"""Where the broker is, for people and logs."""

WHY = "broker.url is memory://, which reaches no other host; name a RabbitMQ there, or list no hosts"


class LoneBoard(Board):
    """A board that calls the daemon degraded (`hosts_ignored`) while hosts are listed."""

    def show_hosts(self, listed: Sequence[str], local: Sequence[str]) -> None:
        """Replace the manual hosts."""
        super().show_hosts(listed, local)
        if hosts := [*listed, *local]:
            self.raise_reason("hosts_ignored", f"{', '.join(hosts)}: {WHY}")
        else:
            self.clear_reason("hosts_ignored")


class SilentLan:
    """A LAN that is not searched: nobody is asked, nobody is answered (interfaces.LanSearch). Thread: any."""

    def __init__(self) -> None:
        self._post: Callable[[int, Any], None] = lambda _signal, _payload: None

    def listen(self, post: Callable[[int, Any], None]) -> None:
        """Nobody will be heard."""
        self._post = post

    def search(self, known: Sequence[str]) -> None:
        """Nothing is sent."""

    def ask(self, hosts: Sequence[str]) -> None:
        """Nothing is sent."""

    def survey(self) -> None:
        """Answer that nothing was seen."""
        self._post(Private.ip_addresses_found, LanSurvey("", ()))


class LoneProber:
    """Proves nobody (interfaces.Prober). Thread: any."""

    def probe(self, host: str, post: Callable[[int, Any], None]) -> "LoneProbe":
        """Give a probe that goes nowhere."""
        return LoneProbe(post)


class LoneProbe:
    """Answers at once that no host can be reached, with code `memory`. Thread: any."""

    def __init__(self, post: Callable[[int, Any], None]) -> None:
        self._post = post

    def connect(self) -> None:
        """Answer."""
        self._post(
            Private.consumer_test_complete, ProbeResult("memory", (StageReport("memory", "memory", WHY, took_ms=0.0),))
        )

    def challenge(self) -> None:
        """Never asked for: connect() has ended the probe."""

    def abandon(self) -> None:
        """Nothing is held."""
