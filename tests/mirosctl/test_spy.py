"""mirosctl spy."""

import json
from pathlib import Path

from mirosctl.recording import RecordingWriter
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon, lines_record
from tests.mirosctl.test_trace import host, line

SPIED = [
    line("spy", at=2, text="ENTRY_SIGNAL:firing"),
    line("spy", at=1, text="PING:idle"),
    line("scribble", at=3, text="out of arrows"),
]


def test_spy_lines_are_the_hosts_and_the_ancestors(daemon: FakeDaemon, run: Run) -> None:
    """On the spy's own network; a filter of signals looks at what the line begins with."""
    daemon.answers["watch"] = ([host("h2")], {})
    daemon.heard["watch"] = [lines_record(*SPIED)]
    all_of_it, one = run("spy", "--for", "1s"), run("spy", "archer", "--signal", "ENTRY*", "--for", "1s")
    first, second, third = all_of_it.stdout.splitlines()

    assert ["h2 archer PING:idle", "h2 archer ENTRY_SIGNAL:firing"] == [first, second]
    assert third.startswith("h2 archer [2018-05-0")
    assert third.endswith("] [archer] # out of arrows")
    assert "h2 archer ENTRY_SIGNAL:firing\n" == one.stdout
    assert {"snoop.spy"} == {each.binding_key for each in daemon.subscribed}
    assert {"snoop_spy"} == {args["network"] for _, args in daemon.asked}


def test_json_is_an_object_a_line(daemon: FakeDaemon, run: Run) -> None:
    """With a schema of its own."""
    daemon.answers["watch"] = ([host("h2")], {})
    daemon.heard["watch"] = [lines_record(*SPIED)]
    first = json.loads(run("spy", "--json", "--for", "1s").stdout.splitlines()[0])

    assert ("mirosctl.spy/1", "spy", "PING:idle", "65536") == tuple(
        first[name] for name in ("schema", "kind", "text", "hlc")
    )
    assert "signal" not in first


def test_who_refuses_the_spy_is_told(daemon: FakeDaemon, run: Run) -> None:
    """Hosts that let others trace only, and charts that have undecorated states: each once."""
    notice = line("notice", at=4, text="spy_unavailable: idle is not decorated")
    daemon.answers["watch"] = ([host("h2", accepts=False)], {})
    daemon.heard["watch"] = [lines_record(notice), lines_record(notice)]
    result = run("spy", "archer", "--for", "1s")

    assert (0, "") == (result.exit_code, result.stdout)
    assert [
        "warning: h2 [archer] spy_unavailable: idle is not decorated",
        "warning: h2 lets nobody turn this on (snoop.remote: trace); what its programs show by themselves is seen",
    ] == sorted(result.stderr.splitlines())


def test_a_recording_has_both_and_each_shows_its_own(run: Run, tmp_path: Path) -> None:
    """What miros' spy said is not a trace's, and a move is not the spy's."""
    with RecordingWriter(str(tmp_path / "r"), {}) as writer:
        writer.add_lines([*SPIED, line(at=9)])
    spied, traced = run("spy", "--from", str(tmp_path / "r")), run("trace", "--from", str(tmp_path / "r"))

    assert (3, 2) == (len(spied.stdout.splitlines()), len(traced.stdout.splitlines()))
    assert "idle->firing" not in spied.stdout
    assert "ENTRY_SIGNAL" not in traced.stdout
