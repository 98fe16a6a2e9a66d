"""The ancestor's two documented example programs, on two hosts, with nothing but their import line changed."""

import re
from pathlib import Path

import pytest

from tests.e2e.stage import staged
from tests.lab.broker import PASSWORD, PEERS_PASSWORD, Broker
from tests.lab.mirosd import MESH_KEY, Program
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

DIRECTORY = Path(__file__).parent / "ancestor"
PROGRAMS = ("networkable_active_object", "networked_factory")
SECRETS = (PASSWORD, PEERS_PASSWORD, MESH_KEY, "ancestral-user", "ancestral-password", "u3bc-qAi9iiCv3fk")
LINE = re.compile(
    r" \[\+t\] \[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\] \[\x1b\[(3[45])m(\w{5}_[af]o)\x1b\[0m\] "
    r"(?:e->(\w+)\(\) (\w+)->(\w+)|\x1b\[30;1m# (.*)\x1b\[0m)"
)
DICE_S = 60.0  # the programs throw dice for who moves first, every two to seven seconds
BLUE, PURPLE = "34", "35"


class Screen:
    """What a program has printed."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @property
    def lines(self) -> list[re.Match[str]]:
        """Every complete line of instrumentation."""
        return [match for line in self.program.log().split("\n")[:-1] if (match := LINE.fullmatch(line))]

    def names(self, hue: str) -> set[str]:
        """The charts in a colour."""
        return {line[2] for line in self.lines if line[1] == hue}

    @property
    def name(self) -> str:
        """The program's own chart."""
        (name,) = self.names(BLUE)
        return name

    def start(self) -> None:
        """Start the program, and wait until it shows what it does."""
        self.program.start()
        until(lambda: self.names(BLUE), what="the own chart stands on its terminal")

    def is_moved_by_others(self) -> bool:
        """Whether an event of another chart moved the own one."""
        return any(line[1] == BLUE and str(line[3]).startswith("other_") for line in self.lines)


def test_the_ancestors_programs_run_unchanged(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Each terminal shows the charts of both hosts, events of one host move charts of the other, no secret is shown."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        ao1, fo1, ao2, fo2 = every = [
            Screen(Program(lan[host], DIRECTORY / f"{program}.py")) for host in ("h1", "h2") for program in PROGRAMS
        ]
        try:
            for screen in (ao1, fo2):  # one on each host: what moves one of them by other_* came from the other host
                screen.start()
            for screen in (ao1, fo2):
                until(screen.is_moved_by_others, DICE_S, what="events cross")
            for screen in (fo1, ao2):
                screen.start()
            names = {screen.name for screen in every}
            for screen in every:
                until(
                    lambda screen=screen: screen.names(PURPLE) == names - {screen.name},  # type: ignore[misc]
                    what="each shows the charts of all other programs, on both hosts",
                )
                until(screen.is_moved_by_others, DICE_S, what="all charts hear others")
        finally:
            for screen in every:
                screen.program.close()

        for screen in every:
            log = screen.program.log()
            assert 1 == log.count("DeprecationWarning"), log
            assert "Traceback" not in log
            assert not [secret for secret in SECRETS if secret in log]
            assert len({line[0] for line in screen.lines}) == len(screen.lines), "no line stands twice"
        remarks = {line[6] for line in fo2.lines if line[6]}
        assert any(remark.startswith("amqp://") for remark in remarks), remarks
        assert not any("@" in remark for remark in remarks)
