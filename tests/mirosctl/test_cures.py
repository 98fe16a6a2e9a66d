"""Each code with which the daemon says that something failed has a cure; the codes are read out of its source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirosctl.cures import cure
from mirosd.backends.amqp_dialogue import HELD
from mirosd.backends.amqp_errors import TIMED_OUT
from mirosd.backends.amqp_probe import STAGE_OF
from mirosd.core.peers import REFUSALS

ROOT = Path(__file__).parents[2]

CODED = {"BrokerError": 0, "Proof": 0, "ProbeResult": 0, "StageReport": 1, "_finish": 0, "raise_reason": 0}
"""Calls that say a code, and which argument it is."""

TOLD_OTHERWISE = {
    "broker": "its detail begins with the code that has the cure",
    "ok": "nothing failed",
    "": "nothing failed",
}
"""Codes that need no cure of their own, each with why."""

STATES = ["crashed", "silent", "one-way(in)", "one-way(out)", "suspect(broker)", "quarantined", "alien", "no_broker"]


def said(folder: str) -> Iterator[tuple[str, str]]:
    """Give each code that a call in a folder says, as a text or as a constant of its file, with where it stands."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = CODED.get(name, len(node.args))
            for value in ast.walk(node.args[place]) if place < len(node.args) else ():
                value = constants.get(value.id, value) if isinstance(value, ast.Name) else value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def codes() -> dict[str, str]:
    """Give every code, and where it stands."""
    tables = {"HELD": HELD, "TIMED_OUT": TIMED_OUT.values(), "STAGE_OF": STAGE_OF, "REFUSALS": REFUSALS}
    named = {code: name for name, table in tables.items() for code in table}
    return named | dict(said("mirosd"))


def test_the_source_is_read() -> None:
    """What is looked for is found: else this file would say nothing."""
    assert {"resolve", "tcp(refused)", "tcp(silent)", "tls", "amqp", "amqp(slow)", "auth", "guest_remote"} <= set(
        codes()
    )
    assert {"vhost", "exchange", "lost", "closed", "daemon", "daemon(silent)", "key", "version"} <= set(codes())
    assert {"self", "clone", "system", "memory", "lan_port_taken", "unproved", "hosts_file", "clock_skew"} <= set(
        codes()
    )


@pytest.mark.parametrize(("code", "where"), sorted(codes().items()))
def test_a_code_has_a_cure(code: str, where: str) -> None:
    """Or a reason why it needs none."""
    assert bool(cure(code)) is not (code in TOLD_OTHERWISE), f"{where} says {code!r}"


@pytest.mark.parametrize("state", STATES)
def test_a_state_that_is_not_well_has_a_cure(state: str) -> None:
    """The states of a peer and their reasons, and the verdicts of a search that are no scout's."""
    assert cure(state)


@pytest.mark.parametrize("state", ["alive", "left", "candidate", "scouting"])
def test_a_state_that_is_well_has_none(state: str) -> None:
    """Nothing is to be done."""
    assert cure(state) == ""


def test_a_cure_is_one_sentence_for_a_terminal() -> None:
    """Printable, and short enough to be read."""
    cures = {cure(code) for code in codes()} - {""}

    assert [text for text in cures if not text.isprintable() or len(text) > 200 or text.endswith(".")] == []
