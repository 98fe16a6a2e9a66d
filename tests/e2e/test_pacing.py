"""Who is slow, dead or in alarm delays, blocks and costs nobody else; and what is dropped is counted, to the event."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mirosd_client.messages import Subscribe, Subscribed, encode_message
from mirosd_client.wire import Network
from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until
from tests.localapi.live import Raw
from tests.soak import figures

pytestmark = pytest.mark.lab

ANSWER_S = 120.0
KIB = 1 << 10
FAST = 1e9
"""Events a second: as fast as it goes."""


class Crew:
    """A program of several charts on a host (crew.py): its charts are given as (name, tx key, rx key)."""

    def __init__(self, host: Host, *charts: tuple[str, str, str]) -> None:
        argv = [sys.executable, "-m", "tests.e2e.crew"]
        for chart in charts:
            argv += ["--chart", *chart]
        environment = os.environ | {"MIROSD_SOCKET": str(host.socket), "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
        self._process = host.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
        assert {"subscribed": True} == self._answer()

    def do(self, do: str, chart: str = "", **arguments: Any) -> dict[str, Any]:
        """Tell it to do something, and give its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "chart": chart, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def send(self, chart: str, count: int, *, size: int = 100, per_s: float = FAST) -> int:
        """Send events through one chart; gives how many it has sent in all."""
        sent: int = self.do("send", chart, count=count, bytes=size, per_s=per_s)["sent"]
        return sent

    def heard(self, chart: str, sender: str) -> tuple[int, int, int, int]:
        """Give what a chart heard of a sender: latest number, how many, how many left out, how many astray."""
        latest, count, missing, astray = self.do("report")["heard"][chart].get(sender, (0, 0, 0, 0))
        return latest, count, missing, astray

    def close(self) -> None:
        """End it in order, or at once when it does not listen."""
        try:
            self._process.communicate(timeout=20)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        is_there, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        line = self._process.stdout.readline() if is_there else ""
        assert line, f"the program gave no answer; its exit status: {self._process.poll()}"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def crew(stage: Stage, host: str, *charts: tuple[str, str, str]) -> Iterator[Crew]:
    """Give a subscribed program."""
    made = Crew(stage.lan[host], *charts)
    try:
        yield made
    finally:
        made.close()


def meshed(stage: Stage, *names: str, **delivery: Any) -> None:
    """Start daemons that see each other alive."""
    for name in names:
        stage.daemon(name, [other for other in names if other != name], settings={"delivery": delivery}).start()
    for daemon in stage.daemons.values():
        daemon.wait_ready(60)
    for name in names:
        stage.wait_alive(name, len(names) - 1)


@contextmanager
def sending(stage: Stage) -> Iterator[tuple[Crew, Crew]]:
    """Give a program with a sender on h1 and one on h2 that hears it; the hosts see each other alive."""
    meshed(stage, "h1", "h2")
    with (
        crew(stage, "h1", ("sender", "parcel.any", "nothing")) as here,
        crew(stage, "h2", ("there", "none", "parcel.#")) as there,
    ):
        yield here, there


def counters(stage: Stage, host: str) -> dict[str, int]:
    """Give what a daemon has counted."""
    counted: dict[str, int] = stage.daemons[host].ask("status")["counters"]
    return counted


def dropped(stage: Stage, host: str) -> int:
    """Give how many events a host's queues have dropped."""
    counted = counters(stage, host)
    return counted.get("overflow_in_queue", 0) + counted.get("expired_in_queue", 0)


WAVE = 500
"""Events that are under way at a time: fewer than the shortest queue holds."""


def test_a_slow_chart_delays_itself_alone(lan: Lan, brokers: dict[str, Broker]) -> None:
    """While it has handled a tenth, and stands still, its neighbours handle all of theirs; what it misses is counted.

    It gets 10,000 events while it handles 1,000, as one does that is twenty times too slow; one neighbour is another
    chart of its program, the other another program. Its queue holds less than what comes.
    """
    count = 10_000
    with staged(lan, brokers) as stage:
        meshed(stage, "h1", "h2", queue_bytes=512 * KIB, prefetch=4)
        with (
            crew(stage, "h1", ("sender", "parcel.any", "nothing")) as far,
            crew(stage, "h2", ("slow", "none", "parcel.#"), ("beside", "none", "parcel.#")) as near,
            crew(stage, "h2", ("other", "none", "parcel.#")) as other,
        ):
            near.do("limit", "slow", count=count // 10)
            for sent in range(WAVE, count + 1, WAVE):  # all queues are short here, and a busy machine's charts are slow
                far.send("sender", WAVE, size=300, per_s=2000)
                for program, chart in ((near, "beside"), (other, "other")):
                    until(
                        lambda program=program, chart=chart, sent=sent: program.heard(chart, "sender")[0] == sent,  # type: ignore[misc]
                        what=f"{chart} has handled {sent}",
                    )
            assert (count, count, 0, 0) == near.heard("beside", "sender") == other.heard("other", "sender")
            assert near.heard("slow", "sender")[1] <= count // 10
            near.do("limit", "slow", count=None)
            until(lambda: near.heard("slow", "sender")[0] == count, what="the slow one has handled the newest")
            until(
                lambda: near.heard("slow", "sender")[1] + dropped(stage, "h2") == count, what="what is missing counted"
            )
            latest, handled, missing, astray = near.heard("slow", "sender")

            assert (count, 0) == (latest, astray)
            assert count - handled == missing == counters(stage, "h2")["overflow_in_queue"] > 0


class Owed:
    """What h1's daemon owes to another host's broker, looked at again and again."""

    def __init__(self, stage: Stage, host: str) -> None:
        self._daemon, self._broker = stage.daemons["h1"], stage.brokers[host]
        self.peak_bytes = 0

    def look(self) -> dict[str, Any]:
        """Give the row of the producer set; notes the highest of its pending bytes."""
        [row] = [
            each
            for each in self._daemon.ask("status")["producer_sets"]
            if each["broker"] == f"{self._broker.host.address}:{self._broker.port}"
        ]
        self.peak_bytes = max(self.peak_bytes, row["pending_bytes"])
        return row  # type: ignore[no-any-return]


def suffer(stage: Stage, here: Crew, alive: Crew, dead: Crew, events: int) -> tuple[int, int]:
    """Take h3's cable out while so many events reach h2; gives the most that was owed, and how many were sent."""
    owed, before = Owed(stage, "h3"), alive.heard("alive", "sender")[0]
    stage.lan.unplug(stage.lan["h3"])
    until(lambda: not owed.look()["is_connected"], what="the link is known to be down")
    owed.peak_bytes = 0
    here.do("stream", "sender", bytes=300, per_s=1000)
    until(lambda: owed.look() and alive.heard("alive", "sender")[0] >= before + events, 120, "an outage long")
    halted = here.do("halt", "sender")["sent"]
    until(lambda: alive.heard("alive", "sender")[0] == halted, what="the other has all, before the dead one is back")
    stage.lan.plug(stage.lan["h3"])
    stage.wait_alive("h1", 2)
    sent = here.send("sender", 1)
    until(lambda: dead.heard("dead", "sender")[0] == sent, what="the dead one has the newest")
    until(lambda: owed.look()["pending_bytes"] == 0, what="nothing is owed")
    return owed.peak_bytes, sent


def test_a_dead_peer_costs_its_own_events_alone(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Two outages of one peer at 1,000 events/s: what waits for it is bounded, and all others get all at once.

    No program is refused anything, the second outage takes no more than the first, and what the dead one misses is
    what was counted.
    """
    bound, outage = 512 * KIB, 10_000
    with staged(lan, brokers) as stage:
        meshed(stage, "h1", "h2", "h3", ttl_s=5, pending_bytes=bound)
        pid, peaks, memory = stage.daemons["h1"].pid, [], []
        with (
            crew(stage, "h1", ("sender", "parcel.any", "nothing")) as here,
            crew(stage, "h2", ("alive", "none", "parcel.#")) as alive,
            crew(stage, "h3", ("dead", "none", "parcel.#")) as dead,
        ):
            here.send("sender", 1)
            until(lambda: dead.heard("dead", "sender")[0] == 1, what="it has heard the first")
            for _ in range(2):
                peak, sent = suffer(stage, here, alive, dead, outage)
                peaks.append(peak)
                memory.append(figures.own_kb(pid))
            client, counted = here.do("counters"), counters(stage, "h1")
            print(f"peaks of {peaks} bytes, daemon of {memory} KiB, counted {counted}")

            assert max(peaks) <= bound
            assert peaks[1] <= 1.05 * peaks[0]
            assert (0, 0, 0, 0) == tuple(client[name] for name in ("refused", "evicted", "uninsured", "expired"))
            assert (sent, sent, 0, 0) == alive.heard("alive", "sender")
            latest, handled, missing, astray = dead.heard("dead", "sender")
            assert (sent, 0) == (latest, astray)
            surely = counted["overflow"] + counted.get("expired", 0)
            assert sent - handled == missing
            assert 0 < surely <= missing <= surely + counted.get("unconfirmed", 0)


def test_events_go_before_instrumentation(lan: Lan, brokers: dict[str, Broker]) -> None:
    """In a flood of spy lines no event is lost or refused; lines are shed instead, and counted."""
    with staged(lan, brokers) as stage, sending(stage) as (here, there), Raw(stage.lan["h2"].socket) as viewer:
        viewer.hello()
        for number, network in enumerate(("snoop_trace", "snoop_spy"), 1):
            viewer.send(encode_message(Subscribe(number, network, "#")))
            assert isinstance(viewer.message(), Subscribed)
        here.do("stream", "sender", bytes=100, per_s=500)
        here.do("snoop", network=Network.SNOOP_TRACE, count=1000)
        here.do("snoop", network=Network.SNOOP_SPY, count=200_000)
        during = there.heard("there", "sender")[0]
        sent, refused = here.do("halt", "sender").values()
        until(lambda: there.heard("there", "sender")[0] == sent, what="every event handled")
        until(lambda: here.do("counters")["waiting"] == 0, what="all settled")
        client, counted = here.do("counters"), counters(stage, "h1")
        print(f"{during} of {sent} events handled during the flood; {client}; {counted}")

        assert (sent, sent, 0, 0) == there.heard("there", "sender")
        assert (0, 0, 0) == (refused, client["expired"], client["uninsured"])
        assert client["snoop_refused"] + counted.get("snoop_spy_shed", 0) > 0
        assert counted.get("snoop_trace_shed", 0) / 1000 <= counted.get("snoop_spy_shed", 0) / 200_000


def test_a_broker_in_alarm_is_shown_and_loses_nothing(lan: Lan, brokers: dict[str, Broker]) -> None:
    """For five seconds h2's broker takes nothing: both hosts say so, and afterwards everything arrives."""
    alarm = "{resource_limit, memory, node()}"
    with staged(lan, brokers) as stage, sending(stage) as (here, there):
        owed = Owed(stage, "h2")
        here.do("stream", "sender", bytes=100, per_s=500)
        brokers["h2"].call(f"rabbit_alarm:set_alarm({{{alarm}, []}}), ok.")
        try:
            until(lambda: owed.look()["alarm"], what="the alarm is shown")
            until(lambda: stage.daemons["h1"].peers()["h2"] == "suspect", what="the peer is suspect")
            assert ["blocked"] == [peer["reason"] for peer in stage.daemons["h1"].ask("peers")["peers"]]
            until(lambda: stage.daemons["h2"].ask("status")["broker"]["state"] == "blocked", what="shown there too")
            ours, theirs = stage.daemons["h1"].ctl("status"), stage.daemons["h2"].ctl("status", check=False)
            until(lambda: (owed.look()["alarm"] or {}).get("for_s", 0) >= 5, what="five seconds of alarm")
            assert "low on memory" == owed.look()["alarm"]["reason"]
        finally:
            brokers["h2"].call(f"rabbit_alarm:clear_alarm({alarm}), ok.")
        until(lambda: owed.look()["alarm"] is None, what="the alarm is over")
        stage.wait_alive("h1")
        stage.daemons["h2"].wait_ready()
        sent, refused = here.do("halt", "sender").values()
        until(lambda: there.heard("there", "sender")[0] == sent, what="every event handled")

        assert (sent, sent, 0, 0) == there.heard("there", "sender")
        assert 0 == refused
        assert "low on memory" in ours.stdout
        assert 5 == theirs.returncode
        assert "takes no messages: it is low on memory" in theirs.stdout
        assert owed.peak_bytes > 0
        until(lambda: owed.look()["pending_bytes"] == 0, what="nothing is owed")


@pytest.mark.parametrize("restarted", ["h1", "h2"])
def test_a_restart_under_load_loses_nothing(lan: Lan, brokers: dict[str, Broker], restarted: str) -> None:
    """SIGTERM and a new start of the sender's or the receiver's daemon at 500 events/s: all arrive once, in order."""
    with staged(lan, brokers) as stage, sending(stage) as (here, there):
        daemon, witness = stage.daemons[restarted], "h2" if restarted == "h1" else "h1"
        here.do("stream", "sender", bytes=100, per_s=500)
        until(lambda: there.heard("there", "sender")[0] > 500, what="a second of events")
        status = daemon.stop()
        until(lambda: stage.daemons[witness].peers()[restarted] == "left", what="its farewell was heard")
        daemon.start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        so_far = there.heard("there", "sender")[0]
        until(lambda: there.heard("there", "sender")[0] > so_far + 500, what="another second of events")
        sent, refused = here.do("halt", "sender").values()
        until(lambda: there.heard("there", "sender")[0] == sent, what="every event handled")
        until(lambda: here.do("counters")["waiting"] == 0, what="all settled")
        client = here.do("counters")

        assert 0 == status
        assert (sent, sent, 0, 0) == there.heard("there", "sender")
        assert (0, 0, 0, 0) == (refused, *(client[name] for name in ("expired", "uninsured", "evicted")))


def test_a_stop_waits_for_no_dead_peer(lan: Lan, brokers: dict[str, Broker]) -> None:
    """With events owed to a host that is gone the daemon still ends in order, and says farewell to the others."""
    with staged(lan, brokers) as stage:
        meshed(stage, "h1", "h2", "h3")
        owed = Owed(stage, "h3")
        with crew(stage, "h1", ("sender", "parcel.any", "nothing")) as here:
            lan.unplug(lan["h3"])
            until(lambda: not owed.look()["is_connected"], what="the link is known to be down")
            here.send("sender", 1000)
            until(lambda: owed.look()["pending_bytes"] > 0, what="something is owed")

            assert 0 == stage.daemons["h1"].stop()
            until(lambda: stage.daemons["h2"].peers()["h1"] == "left", what="its farewell was heard")


def test_a_restart_while_a_peer_is_out_of_reach_loses_nothing(lan: Lan, brokers: dict[str, Broker]) -> None:
    """The new start is handed its programs' events before it has proved the peer again; they wait for it."""
    with staged(lan, brokers) as stage, sending(stage) as (here, there):
        here.do("stream", "sender", bytes=100, per_s=500)
        until(lambda: there.heard("there", "sender")[0] > 500, what="a second of events")
        lan.unplug(lan["h2"])
        assert 0 == stage.daemons["h1"].stop()
        stage.daemons["h1"].start()
        stage.daemons["h1"].wait_ready(60)
        until(lambda: stage.daemons["h1"].ask("status")["clients"], what="the program is connected again")
        taken = here.do("halt", "sender")["sent"]
        until(lambda: stage.daemons["h1"].ask("clients")["clients"][0]["last_taken"] >= taken, what="all handed over")
        lan.plug(lan["h2"])
        stage.wait_alive("h1")
        sent = here.send("sender", 500)
        until(lambda: there.heard("there", "sender")[0] == sent, what="every event handled")
        client = here.do("counters")

        assert (sent, sent, 0, 0) == there.heard("there", "sender")
        assert (0, 0, 0) == tuple(client[name] for name in ("expired", "uninsured", "evicted"))
