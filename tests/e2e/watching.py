"""Tools that look at charts while a test goes on, and what they drew, read again."""

import re
import signal
import sys
from typing import NamedTuple

from mirosctl.sequence import GUTTER, WIDEST_COLUMN
from tests.lab.mirosd import ROOT
from tests.lab.namespaces import Host
from tests.lab.process import STOP_DEADLINE_S, Process

_ARROW = re.compile(r"(<?)-+([\w…]+)-+(>?)")
_STATE = re.compile(r"\[(\w+)\]")


class Tool(Process):
    """A `mirosctl` that runs until it is interrupted; its log is what it printed, warnings too."""

    def __init__(self, host: Host, *arguments: str) -> None:
        super().__init__(host, f"mirosctl-{arguments[0]}")
        self._arguments = arguments

    def start(self) -> None:
        """Start it and return at once."""
        self.launch(
            [sys.executable, "-c", "from mirosctl.main import main; main()", *self._arguments],
            {
                "MIROSD_SOCKET": str(self.host.socket),
                "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}",
                "PYTHONUNBUFFERED": "1",
            },
        )

    def interrupt(self) -> int:
        """End it as Ctrl-C does, and give its exit status."""
        process = self._started()
        process.send_signal(signal.SIGINT)
        return process.wait(timeout=STOP_DEADLINE_S)


class Arrow(NamedTuple):
    """Who said what to whom: lifelines, and the signal."""

    sender: str
    signal: str
    receiver: str


class Drawing:
    """A sequence diagram that was printed into a pipe, where columns are as wide as they get.

    Attributes:
        names: the lifelines.
        arrows: from top to bottom.
        states: those that stand on some lifeline.
    """

    def __init__(self, text: str) -> None:
        self.names: list[str] = []
        self.arrows: list[Arrow] = []
        self.states: set[str] = set()
        for row in text.splitlines():
            if row.startswith(" " * GUTTER) and "/" in row:
                self.names = row.split()
            elif (arrow := _ARROW.search(row, GUTTER)) is not None:
                left, right = self._name(arrow.start() - 1), self._name(arrow.end())
                sender, receiver = (right, left) if arrow[1] else (left, right)
                assert bool(arrow[1]) != bool(arrow[3]), row
                self.arrows.append(Arrow(sender, arrow[2], receiver))
            self.states |= set(_STATE.findall(row))

    def _name(self, at: int) -> str:
        return self.names[(at - GUTTER) // WIDEST_COLUMN]
