"""mirosctl peers."""

import json
from typing import Any

from mirosctl.cures import cure
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon


def peer(name: str, **fields: Any) -> dict[str, Any]:
    """Give a row of the peers table: an alive peer unless told otherwise."""
    return {
        "node": "89abcdef" * 4,
        "name": name,
        "address": "10.0.0.7",
        "state": "alive",
        "reason": "",
        "sources": ["manual", "lan"],
        "networks": ["mesh", "snoop_trace"],
        "rtt_ms": 1.234,
        "last_seen_s": 0.42,
        "wire": "2",
        "stages": [],
        **fields,
    }


NEW = peer("", node="", state="refused", reason="key", networks=[], rtt_ms=None, last_seen_s=None)
STAGES = [
    {"stage": "tcp", "code": "ok", "detail": "10.0.0.7:5672", "took_ms": 0.31},
    {"stage": "key", "code": "key", "detail": "[hint] unknown key id", "took_ms": 2.0},
]


def test_the_table_is_sorted_by_name(daemon: FakeDaemon, run: Run) -> None:
    """Each peer is one line, whatever order the daemon gave; what is unknown is a dash."""
    daemon.answers["peers"] = ([peer("h3"), peer("h[b]", last_seen_s=300.0), NEW], {})
    result = run("peers")

    assert [line.split() for line in result.stdout.splitlines()] == [
        ["NAME", "NODE", "ADDRESS", "STATE", "NETWORKS", "RTT", "LAST", "SEEN"],
        ["-", "-", "10.0.0.7", "refused(key)", "-", "-", "-"],
        ["h3", "89abcdef", "10.0.0.7", "alive", "mesh", "snoop_trace", "1.2", "ms", "0.4", "s"],
        ["h[b]", "89abcdef", "10.0.0.7", "alive", "mesh", "snoop_trace", "1.2", "ms", "5", "min"],
    ]


def test_a_pipe_gets_every_character(daemon: FakeDaemon, run: Run) -> None:
    """Into a pipe nothing is cut or wrapped, however long a name is."""
    daemon.answers["peers"] = ([peer("h" * 300)], {})

    assert len(run("peers").stdout.splitlines()) == 2
    assert "h" * 300 in run("peers").stdout


def test_json_has_the_rows(daemon: FakeDaemon, run: Run) -> None:
    """For machines: the rows, sorted, without the stages unless asked why."""
    daemon.answers["peers"] = ([peer("h3"), peer("h2")], {})
    plain, why = json.loads(run("peers", "--json").stdout), json.loads(run("peers", "--why", "--json").stdout)

    assert why == {"schema": "mirosctl.peers/1", "peers": [peer("h2"), peer("h3")]}
    assert [row.pop("stages") for row in why["peers"]] == [[], []]
    assert plain == why


def test_why_tells_provenance_stages_and_cure(daemon: FakeDaemon, run: Run) -> None:
    """Each peer is told with who named it, how every stage went, and what to do about the one that failed."""
    daemon.answers["peers"] = (
        [{**NEW, "stages": STAGES}, peer("h2", state="failed", reason="crashed", sources=[])],
        {},
    )
    result = run("peers", "--why")

    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "unknown at 10.0.0.7: refused(key)",
        "found by manual, lan",
        "tcp ok 0.3 ms 10.0.0.7:5672",
        "key key 2.0 ms [hint] unknown key id",
        cure("key"),
        "h2 at 10.0.0.7: failed(crashed)",
        "found by nobody any more",
    ]


def test_control_characters_of_other_hosts_are_replaced(daemon: FakeDaemon, run: Run) -> None:
    """A peer's name cannot move the cursor, in a table, a reason or JSON."""
    daemon.answers["peers"] = ([peer("h\x1b[2J\n2", stages=[{**STAGES[0], "detail": "\x07"}])], {})

    for words in (["peers"], ["peers", "--why"], ["peers", "--json"]):
        stdout = run(*words).stdout
        shown = json.loads(stdout)["peers"][0]["name"] if "--json" in words else stdout
        assert "h\ufffd[2J\ufffd2" in shown
        assert all(char.isprintable() or char == "\n" for char in stdout)


def test_no_peers_is_an_empty_table(daemon: FakeDaemon, run: Run) -> None:
    """A host alone has a table with no rows."""
    daemon.answers["peers"] = ([], {})

    assert run("peers").stdout.split() == ["NAME", "NODE", "ADDRESS", "STATE", "NETWORKS", "RTT", "LAST", "SEEN"]
    assert json.loads(run("--json", "peers").stdout)["peers"] == []
