"""Charts listed, an event's chain told, a conversation recorded and played again: by the tools, at one host's mirosd.

It runs at `broker.url: memory://`: nothing of the lab is needed, and no network.
"""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from mirosctl.recording import Recording, read_recording
from tests.e2e.stage import Actor
from tests.e2e.test_memory import actor, exits, host, started  # noqa: F401 -- fixtures are found by their names
from tests.e2e.watching import Tool
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Host
from tests.lab.waiting import until

AT_LEAST = 3
"""Events in a recording: enough to have an order."""


@pytest.fixture
def daemon(host: Host, exits: ExitStack) -> Daemon:  # noqa: F811
    """A mirosd that is ready."""
    made = started(host, exits)
    made.wait_ready()
    return made


@pytest.fixture
def actors(daemon: Daemon, exits: ExitStack) -> dict[str, Actor]:  # noqa: F811
    """One who speaks, and two who listen to the same."""
    return {name: actor(daemon.host, exits, name) for name in ("sender", "receiver", "other")}


def test_a_recording_is_played_again_to_one_chart(
    daemon: Daemon,
    actors: dict[str, Actor],
    exits: ExitStack,  # noqa: F811
    tmp_path: Path,
) -> None:
    """What a chart handled while it was recorded, it handles again, in that order; who hears the same key does not."""
    path = tmp_path / "recording"
    recorder = Tool(daemon.host, "record", str(path))
    exits.callback(recorder.close)
    recorder.start()
    until(path.exists, what="the recording begun")

    def recorded() -> Recording:
        actors["sender"].do("send", count=1)  # until the tool's dial has come to where the charts are
        found = read_recording(str(path))
        assert len(handled_by(found, "receiver")) >= AT_LEAST
        return found

    until(recorded, what="events recorded, and that they were handled")
    assert 0 == recorder.interrupt()
    recording = read_recording(str(path))
    again = handled_by(recording, "receiver")
    sent = actors["sender"].do("send", count=1)["accepted"]
    until(lambda: actors["receiver"].numbers("sender") == sent, what="all events handled")

    said = daemon.ask("replay", str(path), "--to", "receiver", "--speed", "1000")
    assert (len(again), len(again)) == (said["safe"], said["sent"])
    until(lambda: len(actors["receiver"].numbers("sender")) == len(sent + again), what="the replay handled")
    behind = actors["sender"].do("send", count=1)["accepted"][-1:]
    until(lambda: actors["other"].numbers("sender")[-1:] == behind, what="an event behind the replay handled")

    assert sent + again + behind == actors["receiver"].numbers("sender")
    assert sent + behind == actors["other"].numbers("sender")


def test_charts_and_chains_are_told(daemon: Daemon, actors: dict[str, Actor]) -> None:
    """Every chart of every program with its state, mirosd's own too; and who sent and who handled an event."""
    actors["sender"].do("send", count=AT_LEAST)
    until(lambda: AT_LEAST == len(actors["receiver"].numbers("sender")), what="all events handled")
    until(lambda: AT_LEAST == len(actors["other"].numbers("sender")), what="all events handled")
    rows = {row["chart"]: row for row in daemon.ask("charts")["charts"]}

    assert {"sender", "receiver", "other", "lan_chart", "peer_chart"} <= rows.keys()
    assert ("acting", "Item", 0, "item.#") == tuple(
        rows["receiver"][name] for name in ("state", "signal", "queue", "receives")
    )
    assert "mirosd" == rows["lan_chart"]["program"]

    source = f"{rows['sender']['client'][:8]}-{rows['sender']['number']}"
    chain = daemon.ask("why", f"{source}-{AT_LEAST}")["chain"]
    assert ("sender", "Item", True, "") == (chain["chart"], chain["signal"], chain["asked"], chain["gap"])
    assert {"receiver", "other"} == {deed["chart"] for deed in chain["deeds"]}


def handled_by(recording: Recording, chart: str) -> list[int]:
    """Give the numbers of the events that a chart handled, and that the recording has."""
    payloads = {event.id: event.payload for event in recording.events}
    ids = [line.event for line in recording.lines if line.chart == chart and line.kind == "event"]
    return [number_in(payloads[each]) for each in ids if each in payloads]


def number_in(payload: bytes) -> int:
    """Give the number of an item."""
    number: int = json.loads(payload)["n"]
    return number
