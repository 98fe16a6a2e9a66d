"""A conversation of five charts on three hosts, one of them with a wrong clock: recorded, drawn, and explained."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conversation import ARROWS, CHAIN, SCRIPT
from tests.e2e.stage import Stage, staged
from tests.e2e.watching import Arrow, Drawing, Tool
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

HOSTS = {"h1": ("ann", "bob"), "h2": ("cy",), "h3": ("dee", "eve")}
LIFELINES = {name: f"{host}/{name}" for host, names in HOSTS.items() for name in names}
ROUNDS = 3


class Talkers:
    """A program of conversation.py on a host."""

    def __init__(self, host: Host, names: Sequence[str], clock_s: float) -> None:
        argv = [sys.executable, "-m", "tests.e2e.conversation", *names, "--clock", str(clock_s)]
        environment = os.environ | {"MIROSD_SOCKET": str(host.socket), "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
        self.process = host.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
        self._answer()

    def do(self, **command: str) -> dict[str, Any]:
        """Tell the program to do something; give the moves of its charts."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=30)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the program ended with {self.process.wait(5)}"
        return json.loads(line)  # type: ignore[no-any-return]


class Evening:
    """The stage, with all charts on it, and a conversation that was recorded and watched."""

    def __init__(self, stage: Stage, talkers: dict[str, Talkers]) -> None:
        self.stage, self.talkers = stage, talkers
        self.file = str(stage.lan["h3"].directory / "evening.jsonl")
        self.recorder = Tool(stage.lan["h3"], "record", self.file, *SCRIPT, "--force")
        self.viewer = Tool(stage.lan["h1"], "trace", *SCRIPT, "--sequence")  # the daemons' charts move too

    def moves(self) -> dict[str, list[str]]:
        """Give what each chart has moved for, without coughs."""
        told: dict[str, list[str]] = {}
        for talker in self.talkers.values():
            told |= talker.do(do="report")
        return {name: [signal for signal in moves if signal != "Cough"] for name, moves in told.items()}

    def _answers(self) -> Counter[str]:
        answers = Counter(self.moves()["ann"])
        del answers["Begin"]
        return answers

    def is_seen(self) -> bool:
        """Have every chart cough; tell whether both tools have seen one of each."""
        for host, names in HOSTS.items():
            for name in names:
                self.talkers[host].do(do="post", chart=name, signal="Cough")
        coughs = {line["chart"] for line in self.lines() if line.get("signal") == "Cough"}
        return coughs == set(SCRIPT) and set(Drawing(self.viewer.log()).names) == set(LIFELINES.values())

    def lines(self) -> list[dict[str, Any]]:
        """Give the lines of the recording so far."""
        with Path(self.file).open() as file:
            entries = [json.loads(text) for text in file if text.endswith("\n")]
        return [entry["line"] for entry in entries if "line" in entry]

    def hold(self) -> None:
        """Record and watch a conversation of some rounds, from before its beginning until all of it was seen."""
        self.recorder.start()
        self.viewer.start()
        until(self.is_seen, 60, "a cough of each chart seen live, and recorded")
        for number in range(1, ROUNDS + 1):
            self.talkers["h1"].do(do="post", chart="ann", signal="Begin")
            until(lambda n=number: self._answers() == {"Verdict": n, "Noted": n}, what="the end of a round")  # type: ignore[misc]
        until(lambda: len(Drawing(self.viewer.log()).arrows) >= ROUNDS * len(ARROWS), what="every arrow drawn")
        verdicts = ("ann", "Verdict")
        until(
            lambda: [(line["chart"], line.get("signal")) for line in self.lines()].count(verdicts) >= ROUNDS,
            what="every verdict recorded",
        )
        assert (0, 0) == (self.recorder.interrupt(), self.viewer.interrupt())


@pytest.fixture(params=[-5.0, 5.0], ids=["slow", "fast"])
def evening(request: pytest.FixtureRequest, lan: Lan, brokers: dict[str, Broker]) -> Iterator[Evening]:
    """Give the evening, with the wall clock of h2 five seconds off, for its daemon and its program."""
    with staged(lan, brokers) as stage:
        for host in HOSTS:
            settings = {"clock": {"offset_s": request.param}} if host == "h2" else {}
            stage.daemon(host, [other for other in HOSTS if other != host], settings=settings).start()
        for host in HOSTS:
            stage.wait_alive(host, len(HOSTS) - 1)
        talkers = {
            host: Talkers(stage.lan[host], names, request.param if host == "h2" else 0.0)
            for host, names in HOSTS.items()
        }
        made = Evening(stage, talkers)
        try:
            made.hold()
            yield made
        finally:
            for tool in (made.recorder, made.viewer):
                tool.close()
                print(f"--- {tool.name}\n{tool.log()[-6000:]}")
            for talker in talkers.values():
                talker.close()


def test_a_conversation_is_drawn_as_it_was_held(evening: Evening) -> None:
    """Each arrow once, in an order that no chart contradicts, live and from the recording, which draws the same twice.

    And the last event's chain names who said what over the three hosts.
    """
    h1, h2 = evening.stage.daemons["h1"], evening.stage.daemons["h2"]
    drawings = [ctl("trace", "--from", evening.file, "--sequence").stdout for ctl in (h1.ctl, h2.ctl)]
    live, drawn = Drawing(evening.viewer.log()), Drawing(drawings[0])
    moves = evening.moves()
    expected = Counter(
        Arrow(LIFELINES[sender], signal, LIFELINES[receiver]) for sender, signal, receiver in ARROWS * ROUNDS
    )

    assert drawings[0] == drawings[1]
    for drawing in (live, drawn):
        assert expected == Counter(drawing.arrows)
        _check_order(drawing, moves)
    _check_clocks(evening.lines())
    _check_why(evening)


def _check_order(drawing: Drawing, moves: dict[str, list[str]]) -> None:
    """What each chart heard is drawn in the order in which it heard it; and each answer beneath what it answers."""
    for name, signals in moves.items():
        heard = [arrow.signal for arrow in drawing.arrows if arrow.receiver == LIFELINES[name]]
        assert [signal for signal in signals if signal != "Begin"] == heard, name
    for name, turns in SCRIPT.items():
        for heard_signal, answers in turns.items():
            questions = _rows(drawing, heard_signal, receiver=LIFELINES[name])
            for answer in answers:
                rows = _rows(drawing, answer, sender=LIFELINES[name])
                hearers = len(rows) // ROUNDS
                for number, question in enumerate(questions):
                    assert question < min(rows[number * hearers : (number + 1) * hearers]), (heard_signal, answer)


def _rows(drawing: Drawing, signal: str, **ends: str) -> list[int]:
    return [
        row
        for row, arrow in enumerate(drawing.arrows)
        if arrow.signal == signal and all(getattr(arrow, end) == name for end, name in ends.items())
    ]


def _check_clocks(lines: list[dict[str, Any]]) -> None:
    """The clock of h2 is wrong indeed: bob on h1 and cy on h2 heard each question, seconds apart by their clocks."""
    heard = {
        (line["event"], line["chart"]): line["time"]
        for line in lines
        if line.get("signal") == "Question" and line["kind"] != "send"
    }
    questions = {event for event, name in heard if name == "cy"}

    assert ROUNDS == len(questions)
    for event in questions:
        assert abs(heard[event, "bob"] - heard[event, "cy"]) > 3


def _check_why(evening: Evening) -> None:
    """The chain of the last verdict: each event of the script, its sender's host, the verdict the one asked for."""
    verdict = [line for line in evening.lines() if line["chart"] == "ann" and line.get("signal") == "Verdict"][-1]
    told = evening.stage.daemons["h2"].ctl("why", verdict["event"]).stdout.splitlines()
    rows = [next(row for row, text in enumerate(told) if f"transmit->{signal}()" in text) for signal in CHAIN]
    senders = [next(name for name, turns in SCRIPT.items() if (signal,) in turns.values()) for signal in CHAIN]

    assert rows[0] == 0
    assert all(above < below for above, below in pairwise(rows)), told
    for row, sender in zip(rows, senders, strict=True):
        assert told[row].strip().startswith(LIFELINES[sender].partition("/")[0]), told[row]
        assert f"[{sender}]" in told[row]
    assert told[rows[-1]].endswith("<- asked for")
