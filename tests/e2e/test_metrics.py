"""What monitoring is told of two hosts agrees with what they did."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

EVENTS = 500
LOSSES = ("expired", "overflow", "unconfirmed", "nacked", "forgotten", "expired_in_queue", "overflow_in_queue")

Figures = dict[tuple[str, ...], float]


def parsed(text: str) -> Figures:
    """Give each sample by its name, without what all begin with, and the values of its labels."""
    return {
        (sample.name.removeprefix("mirosd_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scrape:
    """What two hosts say, and what has become of it since."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._before = {host: self.now(host) for host in stage.daemons}

    def now(self, host: str) -> Figures:
        """Give a host's figures."""
        return parsed(self._stage.daemons[host].ctl("metrics").stdout)

    def since(self, host: str, *name: str) -> float:
        """Give by how much a figure has risen."""
        return self.now(host)[name] - self._before[host][name]


def test_figures_agree_with_what_was_sent(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Events of each way, what brokers said to them, and one duration for each body and broker, each body and chart."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        sender = stage.actor("h1", "sender", rx="nothing")
        receivers = [stage.actor("h2", "far-1"), stage.actor("h2", "far-2"), stage.actor("h1", "near")]
        for actor in (sender, *receivers):
            assert actor.do("wait_subscribed")["subscribed"]
        scrape = Scrape(stage)
        sender.do("send", count=EVENTS)
        for receiver in receivers:
            until(lambda receiver=receiver: len(receiver.do("report")["handled"]) >= EVENTS, what="all handled")  # type: ignore[misc]
        assert 0 == sender.do("wait_settled")["waiting"]
        stage.daemons["h1"].ctl("send", "Item", "--key", "nobody.hears")

        def risen(name: str, *labels: str) -> tuple[float, float]:
            return scrape.since("h1", name, *labels), scrape.since("h2", name, *labels)

        assert (EVENTS + 1, 0) == risen("events_sent_total", "mesh")
        assert (EVENTS, 2 * EVENTS) == risen("events_delivered_total", "mesh")
        assert (2 * EVENTS, 0) == risen("events_answered_total", "confirmed")
        assert (1, 0) == risen("events_answered_total", "returned"), "h2's broker; on h1 it is known that nobody hears"
        assert (1, 0) == risen("unroutable_events_total")
        bodies = scrape.since("h1", "delivery_age_seconds_count", "mesh")
        assert 1 <= bodies <= EVENTS
        assert (bodies, 2 * bodies) == risen("delivery_age_seconds_count", "mesh")
        assert (2 * bodies + 1, 0) == risen("broker_answer_seconds_count", "mesh")
        assert (bodies, 2 * bodies) == risen("delivery_age_seconds_bucket", "50", "mesh"), "they are hosts of one clock"
        assert 0 < scrape.since("h1", "broker_answer_seconds_sum", "mesh")
        assert [(0, 0)] * len(LOSSES) == [risen(f"{loss}_events_total") for loss in LOSSES]


def test_figures_tell_who_is_there(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Peers, brokers, queues, programs and charts as they are; lines that are recalled; a daemon that ends."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        assert stage.actor("h1", "near").do("wait_subscribed")["subscribed"]
        h1, scrape = stage.daemons["h1"], Scrape(stage)
        peer = h1.ask("peers")["peers"][0]
        round_trip = "peer_round_trip_seconds", peer["node"], "h2"
        until(lambda: round_trip in scrape.now("h1"), what="a heartbeat's way and back")
        now = scrape.now("h1")
        assert now["heartbeat_round_trip_seconds_count",] > 0
        h1.ctl("charts")

        def risen(way: str) -> dict[str, float]:
            return {host: scrape.since(host, f"events_{way}_total", "snoop_trace") for host in ("h1", "h2")}

        assert (1, 1, 1) == (now["up",], now["state", "ready"], now["peers", "alive"])
        assert 1 == now["peer_alive", peer["node"], "h2"]
        assert 0 < now[round_trip] < 30
        assert abs(now["peer_clock_ahead_seconds", peer["node"], "h2"]) < 30
        addresses = {name[1:]: value for name, value in now.items() if name[0] == "broker_connected"}
        assert {("own", 1.0), ("peer", 1.0)} == {(whose, value) for (_, whose), value in addresses.items()}
        assert (1, 1) == (now["programs", "actor.py"], now["subscriptions", "mesh", "bound"])
        opened = [now["connections_opened_total", link] for link in ("mesh", "control", "consume")]
        assert [2, 2, 1] == opened or min(opened) >= 1 < max(opened), "or again, where a connection was lost"
        assert 0 < now["chart_handled_events_total", "peer_chart"]
        assert 0 < risen("sent")["h2"], "its charts, for who asks on h1"
        assert sum(risen("sent").values()) == risen("delivered")["h1"]

        path = h1.host.directory / "mirosd.prom"
        h1.ctl("metrics", "--output", str(path))
        assert 1 == parsed(path.read_text())["up",]
        stage.brokers["h1"].stop()
        until(lambda: _state(path, h1) == "degraded", what="degraded without its broker")
        assert 5 == h1.ctl("status", "--quiet", check=False).returncode
        h1.stop()
        assert 3 == h1.ctl("metrics", "--output", str(path), check=False).returncode
        assert {("up",): 0} == parsed(path.read_text())
        assert 3 == h1.ctl("status", "--quiet", check=False).returncode


def _state(path: Path, daemon: Any) -> str:
    """Give the state that the file tells of, written again."""
    daemon.ctl("metrics", "--output", str(path))
    return next(name[1] for name, value in parsed(path.read_text()).items() if name[0] == "state" and value)
