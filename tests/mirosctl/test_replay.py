"""mirosctl replay."""

import json
import time
from pathlib import Path

import pytest

from mirosctl.recording import RecordedEvent, RecordingWriter
from mirosd_client.chart_row import ChartRow
from mirosd_client.event_id import Addressee, decode_extension
from mirosd_client.hlc import wall_time_s
from mirosd_client.messages import Closing, Fate
from mirosd_client.record import Record
from mirosd_client.snoop_line import SnoopLine
from mirosd_client.wire import Network, Settled
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon, charts_record, end_record
from tests.mirosctl.test_charts import host

A, B, C = "aa" * 16, "bb" * 16, "cc" * 16
ALWAYS = Settled(2**32, 2**32, 0)
EVENTS = [
    RecordedEvent(f"{A}-1-5", 10, "ORDER", "json", b'{"at":[1,2]}'),
    RecordedEvent(f"{A}-1-6", 30, "RETREAT", "application/x-mine", b"\x00\xff\x1b"),
    RecordedEvent(f"{A}-1-7", 50, "ORDER", "json", b"null"),
]
LIVE = ChartRow(host="h3", client=C, number=2, chart="archer", program="battle.py", receives="army.*.archer.#")


def handled(sequence: int, time_s: float, chart: str = "archer") -> SnoopLine:
    """Give the line of a step that handled an event."""
    event = f"{A}-1-{sequence}"
    return SnoopLine("event", chart, time_s, "ORDER", host="h2", client=B, number=1, hlc=sequence, event=event)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A recording: an archer handled three events in two minutes."""
    lines = [handled(5, 100.0), handled(6, 160.0), handled(7, 220.0), handled(8, 230.0, "lead")]
    with RecordingWriter(str(tmp_path / "r"), {}) as writer:
        writer.add_lines(lines)
        writer.add_events(EVENTS)
    return str(tmp_path / "r")


@pytest.fixture
def mesh(daemon: FakeDaemon) -> FakeDaemon:
    """A mesh with one archer, which takes everything."""
    daemon.answers["recall"] = ([host("h3")], {"sources": 1})
    runs(daemon, LIVE)
    daemon.settled = [ALWAYS]
    return daemon


def runs(daemon: FakeDaemon, *rows: ChartRow) -> None:
    """Have these charts run."""
    daemon.heard["recall"] = [charts_record(*rows), end_record(C, "h3", len(rows))]


def sent(daemon: FakeDaemon) -> list[Record]:
    """Give the records that were sent."""
    return [record for _, records in daemon.events for record in records]


def test_each_event_is_sent_again_as_it_was(mesh: FakeDaemon, run: Run, path: str) -> None:
    """The same signal and bytes, in the order in which they were handled, to the one chart, by a key that it hears."""
    result = run("replay", path, "--to", "archer", "--speed", "1000000")

    assert (0, "") == (result.exit_code, result.stderr)
    assert result.stdout == "sent 3 of 3 events to h3/archer (cccccccc-2): 3 safe\n"
    assert [(r.signal, r.content_type, r.payload) for r in sent(mesh)] == [
        (event.signal, event.content_type, event.payload) for event in EVENTS
    ]
    assert {(events.network, events.routing_key) for events, _ in mesh.events} == {(Network.MESH, "army.x.archer")}
    assert {decode_extension(r.extension) for r in sent(mesh)} == {(None, Addressee(bytes.fromhex(C), 2))}
    assert [1, 2, 3] == [r.sequence for r in sent(mesh)]


def test_events_are_spaced_as_they_were(mesh: FakeDaemon, run: Run, path: str) -> None:
    """Or so many times as fast: two minutes in 0.2 s, and not at once."""
    begun_s, begun_at_s = time.monotonic(), time.time()
    run("replay", path, "--to", "archer", "--speed", "600")
    took_s = time.monotonic() - begun_s
    sent_s = [wall_time_s(record.hlc) - begun_at_s for record in sent(mesh)]

    assert [True] * 3 == [at_s > due_s - 0.01 for at_s, due_s in zip(sent_s, (0.0, 0.1, 0.2), strict=True)]
    assert took_s < 30.0


def test_a_dry_run_sends_nothing(mesh: FakeDaemon, run: Run, path: str) -> None:
    """It says what would be sent when."""
    result = run("replay", path, "--to", "archer", "--dry-run", "--speed", "10")

    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "to h3/archer (cccccccc-2) by the routing key army.x.archer:",
        "0.000 s ORDER 12 bytes of json",
        "6.000 s RETREAT 3 bytes of application/x-mine",
        "12.000 s ORDER 4 bytes of json",
    ]
    assert (result.exit_code, mesh.events) == (0, [])


def test_json_says_what_was_done(mesh: FakeDaemon, run: Run, path: str) -> None:
    """For scripts."""
    document = json.loads(run("replay", path, "--to", "archer", "--speed", "60000", "--json").stdout)

    assert document == {
        "schema": "mirosctl.replay/1",
        "to": "h3/archer (cccccccc-2)",
        "routing_key": "army.x.archer",
        "dry_run": False,
        "events": [
            {"event": f"{A}-1-{5 + number}", "signal": EVENTS[number].signal, "at_s": number / 1000}
            for number in range(3)
        ],
        "sent": 3,
        "safe": 3,
        "unheard": 0,
        "missing": 0,
        "nameless": 0,
    }


def test_another_chart_may_get_them(mesh: FakeDaemon, run: Run, path: str) -> None:
    """What one chart handled, to one of another name; events of which the recording has no payload are told."""
    runs(mesh, LIVE, ChartRow(host="h3", client=C, number=3, chart="test_archer", receives="t"))
    result = run("replay", path, "--from", "h2/archer", "--to", "test_archer", "--speed", "1e9")
    lost = run("replay", path, "--from", "lead", "--to", "archer")

    assert (0, ["t"] * 3) == (result.exit_code, [events.routing_key for events, _ in mesh.events])
    assert lost.stdout == "sent 0 of 0 events to h3/archer (cccccccc-2): 0 safe\n"
    assert lost.stderr == "warning: handled, and not in the recording as they were sent before it began: 1\n"


def test_only_a_clear_name_gets_events(mesh: FakeDaemon, run: Run, path: str) -> None:
    """Where several or none are meant, those that there are are listed, and nothing is sent; --host narrows it."""
    ended = ChartRow(host="h3", client=C, number=9, chart="archer", receives="a", is_running=False)
    runs(mesh, LIVE, ChartRow(host="h4", client=B, number=1, chart="archer", receives="a"), ended)
    several, none = run("replay", path, "--to", "archer"), run("replay", path, "--to", "lady", "--from", "archer")
    unknown = run("replay", path, "--to", "nobody", "--host", "h3")

    assert [1, 1, 1] == [result.exit_code for result in (several, none, unknown)]
    assert several.stderr == (
        "Error: 2 charts on the mesh are named archer: say which of h3/archer (cccccccc-2), h4/archer (bbbbbbbb-1)\n"
    )
    assert "no chart on the mesh is named lady: there is h3/archer (cccccccc-2), h4/archer" in none.stderr
    assert "no chart in the recording is named nobody: there is h2/archer (bbbbbbbb-1), h2/lead" in unknown.stderr
    assert mesh.events == []
    assert mesh.asked[0][1]["charts"] == [], "a name is no glob: its owner compares nothing"
    run("replay", path, "--to", "archer", "--host", "h[34]")
    assert mesh.asked[-1][1]["hosts"] == ["h[34]"]


def test_a_chart_that_has_gone_is_told(mesh: FakeDaemon, run: Run, path: str) -> None:
    """Events that no broker had a queue for are safe, and nobody heard them."""
    mesh.settled = [Fate([1, 2, 3], unroutable=2)]
    result = run("replay", path, "--to", "archer", "--speed", "1e9")

    assert result.exit_code == 0
    assert result.stderr == "warning: 3 of them found no queue on any host: has the chart ended?\n"


def test_what_was_safe_when_it_ended_early_is_told(mesh: FakeDaemon, run: Run, path: str) -> None:
    """The daemon refuses or goes away: how far it came, and the error."""
    mesh.settled = [Closing("not_permitted", "sending events needs group mirosd")]
    result = run("replay", path, "--to", "archer", "--speed", "1e9")

    assert result.stdout == "sent 1 of 3 events to h3/archer (cccccccc-2): 0 safe\n"
    assert (4, "Error: sending events needs group mirosd\n") == (result.exit_code, result.stderr)


def test_what_is_no_recording_is_told(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Before anybody is asked."""
    result = run("replay", str(tmp_path / "gone"), "--to", "archer")

    assert (1, []) == (result.exit_code, mesh.asked)
    assert result.stderr.endswith("cannot be read: No such file or directory\n")
    assert run("replay", str(tmp_path / "gone")).exit_code == 2
    assert run("replay", str(tmp_path / "gone"), "--to", "x", "--speed", "0").exit_code == 2
    assert run("replay", str(tmp_path / "gone"), "--to", "x", "--speed", "nan").exit_code == 2


def test_a_cut_off_recording_is_played_as_far_as_it_goes(mesh: FakeDaemon, run: Run, path: str) -> None:
    """And that it is cut off is said."""
    with Path(path).open("ab") as file:
        file.write(b'{"ev')
    result = run("replay", path, "--to", "archer", "--speed", "1e9")

    assert (0, 3) == (result.exit_code, len(mesh.events))
    assert result.stderr == f"warning: {path}, line 9, the last one, is cut off and left out\n"


def test_nothing_of_a_recording_moves_the_cursor(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Names and content types of a file that somebody sent."""
    path = str(tmp_path / "r")
    with RecordingWriter(path, {}) as writer:
        writer.add_lines([handled(5, 1.0, "a\x1b[2J"), handled(6, 2.0, "a\x1b[2J")])
        writer.add_events(
            [RecordedEvent(f"{A}-1-5", 1, "GO", "\x1bjson", b""), RecordedEvent(f"{A}-1-6", 1, "\x07", "", b"")]
        )
    runs(mesh, ChartRow(host="h\x1b", client=C, number=2, chart="arch\x07", receives="[red]\x1b"))
    name = "arch\ufffd"
    for words in (["--dry-run"], ["--dry-run", "--json"]):
        result = run("replay", path, "--from", "a\ufffd[2J", "--to", name, *words)
        assert result.exit_code == 0
        assert not {"\x1b", "\x07"} & set(result.output)
        assert result.stderr == "warning: left out, as no receiver makes an event of a signal so named: 1\n"
