"""mirosctl scout."""

import json
from typing import Any

import pytest

from mirosctl.cures import cure
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

NODE = "89abcdef" * 4
PEER = {"node": NODE, "name": "h2", "start": 7, "version": "0.1.0", "networks": ["mesh", "snoop_trace"]}
TCP = {"stage": "tcp", "code": "ok", "detail": "10.0.0.7:5672", "took_ms": 0.31}
KEY = {"stage": "key", "code": "ok", "detail": "", "took_ms": 2.0}
AUTH = {"stage": "auth", "code": "auth", "detail": "user 'peers' is refused", "took_ms": 3.0}
PROVED = ([TCP, KEY], {"address": "10.0.0.7", "code": "", "peer": PEER})
FAILED = ([TCP, AUTH], {"address": "10.0.0.7", "code": "auth", "peer": None})


def test_a_proof_tells_every_stage_and_who_it_is(daemon: FakeDaemon, run: Run) -> None:
    """Exit status 0."""
    daemon.answers["scout"] = PROVED
    result = run("scout", "10.0.0.7")

    assert result.exit_code == 0
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "tcp ok 0.3 ms 10.0.0.7:5672",
        "key ok 2.0 ms",
        f"10.0.0.7 is h2 (node {NODE}), mirosd 0.1.0, start 7, member of mesh, snoop_trace",
    ]
    assert daemon.asked == [("scout", {"address": "10.0.0.7"})]


def test_a_failure_tells_the_stage_and_the_cure(daemon: FakeDaemon, run: Run) -> None:
    """Exit status 1, with what to do right beneath the stage that failed."""
    daemon.answers["scout"] = FAILED
    result = run("scout", "10.0.0.7")

    assert (result.exit_code, result.stderr) == (1, "")
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "tcp ok 0.3 ms 10.0.0.7:5672",
        "auth auth 3.0 ms user 'peers' is refused",
        cure("auth"),
        "10.0.0.7 is not proved: auth",
    ]


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (PROVED, 0, {"proved": True, "code": "", "cure": "", "peer": PEER}),
        (FAILED, 1, {"proved": False, "code": "auth", "cure": cure("auth"), "peer": None}),
    ],
)
def test_json_has_the_stages_with_their_cures(
    daemon: FakeDaemon, run: Run, answer: tuple[list[dict[str, Any]], dict[str, Any]], status: int, told: dict[str, Any]
) -> None:
    """For machines: one object, whatever came of it, and the same exit status."""
    daemon.answers["scout"] = answer
    result = run("scout", "--json", "10.0.0.7")

    assert result.exit_code == status
    assert json.loads(result.stdout) == {
        "schema": "mirosctl.scout/1",
        "address": "10.0.0.7",
        **told,
        "stages": [{**stage, "cure": cure(stage["code"])} for stage in answer[0]],
    }


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_what_a_broker_says_cannot_move_the_cursor(daemon: FakeDaemon, run: Run, as_json: list[str]) -> None:
    """A detail, a name or a version comes from whoever answers there."""
    peer = {**PEER, "name": "h\x1b[2J", "version": "\x07"}
    daemon.answers["scout"] = ([{**TCP, "detail": "a\x1bb\nc"}], {"address": "10.0.0.7", "code": "", "peer": peer})
    stdout = run("scout", "10.0.0.7", *as_json).stdout

    assert all(char.isprintable() or char == "\n" for char in stdout)
    shown = json.dumps(json.loads(stdout), ensure_ascii=False) if as_json else stdout
    assert "a\ufffdb\ufffdc" in shown
    assert "h\ufffd[2J" in shown


def test_what_is_no_address_is_the_daemons_word(daemon: FakeDaemon, run: Run) -> None:
    """Exit status 1, with what is allowed."""
    daemon.answers["scout"] = ("address", "'x/y' is not a host; allowed: ...")
    result = run("scout", "x/y")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: 'x/y' is not a host; allowed: ...\n"
