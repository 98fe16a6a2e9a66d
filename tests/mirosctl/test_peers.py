"""mirosctl peers."""

import json
from typing import Any

import pytest
from click.testing import Result

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
        "incarnation": 7,
        "flaps": 0,
        "since_s": 12.0,
        "previous": [],
        "stages": [],
        **fields,
    }


NEW = peer("", node="", state="refused", reason="key", networks=[], rtt_ms=None, last_seen_s=None, since_s=None)
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


def told(result: Result) -> list[str]:
    """Give the lines of an answer, each run of spaces as one."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_why_tells_provenance_stages_and_cure(daemon: FakeDaemon, run: Run) -> None:
    """Each peer is told with who named it, how every stage went, and what to do about what is wrong."""
    crashed = peer("h2", state="failed", reason="crashed", sources=[], flaps=2)
    daemon.answers["peers"] = ([{**NEW, "stages": STAGES}, crashed], {})

    assert told(run("peers", "--why")) == [
        "unknown at 10.0.0.7: refused(key)",
        "found by manual, lan",
        "tcp ok 0.3 ms 10.0.0.7:5672",
        "key key 2.0 ms [hint] unknown key id",
        cure("key"),
        "h2 at 10.0.0.7: failed(crashed) for 12 s",
        f"node {'89abcdef' * 4}, start 7, 2 flaps",
        "found by nobody any more",
        cure("crashed"),
    ]


def test_why_tells_where_a_node_was_before(daemon: FakeDaemon, run: Run) -> None:
    """Addresses that it had, with how long ago; a state without a reason has its cure too."""
    moved = [{"address": "10.0.0.5", "age_s": 7200.0}, {"address": "10.0.0.6", "age_s": 3.0}]
    daemon.answers["peers"] = ([peer("h2", state="one-way(in)", address="", previous=moved, flaps=1)], {})

    assert told(run("peers", "--why")) == [
        "h2 at no address: one-way(in) for 12 s",
        f"node {'89abcdef' * 4}, start 7, 1 flap",
        "found by manual, lan",
        "before at 10.0.0.5, 2.0 h ago",
        "before at 10.0.0.6, 3.0 s ago",
        cure("one-way(in)"),
    ]


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        ("quarantined", "alien", "quarantined"),
        ("refused", "alien", "alien"),
        ("suspect", "broker", "suspect(broker)"),
        ("suspect", "auth", "auth"),
        ("one-way(in)", "tcp(silent)", "tcp(silent)"),
        ("one-way(in)", "", "one-way(in)"),
    ],
)
def test_a_state_and_its_reason_have_one_cure(daemon: FakeDaemon, run: Run, state: str, reason: str, code: str) -> None:
    """That of both together, of the reason, or of the state: the first that there is."""
    daemon.answers["peers"] = ([peer("h2", state=state, reason=reason)], {})

    assert told(run("peers", "--why"))[3:] == [cure(code)]
    assert cure(code)


def test_nothing_is_wrong_with_an_alive_peer(daemon: FakeDaemon, run: Run) -> None:
    """Stages that went well, and no advice."""
    daemon.answers["peers"] = ([peer("h2", stages=STAGES[:1])], {})

    assert told(run("peers", "--why"))[-1] == "tcp ok 0.3 ms 10.0.0.7:5672"


@pytest.mark.parametrize(
    ("word", "verb", "done"),
    [("forget", "peers_forget", "forgotten for 24 hours"), ("allow", "peers_allow", "allowed")],
)
def test_one_peer_is_changed(daemon: FakeDaemon, run: Run, word: str, verb: str, done: str) -> None:
    """The daemon gets the name as it was written, and says whom it took it for."""
    node = "89abcdef" * 4
    daemon.answers[verb] = ([], {"node": node, "name": "h\x1b2"})

    assert run("peers", word, "h\x1b2").stdout == f"h\ufffd2 (node {node}) is {done}\n"
    assert daemon.asked == [(verb, {"node": "h\x1b2"})]
    assert json.loads(run("peers", "--json", word, "h2").stdout) == {
        "schema": f"mirosctl.{verb}/1",
        "node": node,
        "name": "h\ufffd2",
    }


def test_a_peer_without_a_name_is_told_by_its_node(daemon: FakeDaemon, run: Run) -> None:
    """As one is that was forgotten before and is known by its id alone."""
    daemon.answers["peers_allow"] = ([], {"node": "ab" * 16, "name": ""})

    assert run("peers", "allow", "ab" * 16).stdout == f"the peer (node {'ab' * 16}) is allowed\n"


@pytest.mark.parametrize("code", ["peer_unknown", "peer_ambiguous", "peer_stays"])
def test_who_is_not_one_peer_is_an_error(daemon: FakeDaemon, run: Run, code: str) -> None:
    """With the daemon's words, which list who could be meant; names in them cannot move the cursor."""
    daemon.answers["peers_forget"] = (code, "'h' could mean h\x1b2 (89ab) or h3 (cdef)")
    result = run("peers", "forget", "h")

    assert (result.exit_code, result.stderr) == (1, "Error: 'h' could mean h\ufffd2 (89ab) or h3 (cdef)\n")


@pytest.mark.parametrize("words", [["--why"], ["--watch"], ["--why", "--watch"]])
def test_what_lists_peers_changes_none(daemon: FakeDaemon, run: Run, words: list[str]) -> None:
    """Options of the list before a change are wrong usage, and nothing is asked."""
    assert run("peers", *words, "forget", "h2").exit_code == 2
    assert daemon.asked == []


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
