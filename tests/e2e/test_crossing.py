"""An event crosses two hosts: the whole system, on real RabbitMQ."""

from itertools import permutations

import pytest

from tests.e2e.stage import Actor, staged
from tests.lab.broker import Broker
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

EVENTS = 10_000
PARTS = ("daemon h1", "daemon h2", "sender", "receiver")


def test_ten_thousand_events_arrive_once_and_in_order(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Each of 10,000 events reaches two receivers there and one here, once, in order; another key stays apart (D22)."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        sender = stage.actor("h1", "sender", rx="nothing")
        receivers = [stage.actor("h2", "far-1"), stage.actor("h2", "far-2"), stage.actor("h1", "near")]
        other = stage.actor("h2", "other", rx="marker.#")
        marker = stage.actor("h1", "marker", tx="marker.one", rx="nothing")
        for actor in (sender, *receivers, other, marker):
            assert actor.do("wait_subscribed")["subscribed"]
        accepted = sender.do("send", count=EVENTS)["accepted"]
        expected = [["sender", number, f"item {number} of sender"] for number in range(1, EVENTS + 1)]

        assert list(range(1, EVENTS + 1)) == accepted
        for receiver in receivers:
            until(
                lambda receiver=receiver: len(receiver.do("report")["handled"]) >= EVENTS,  # type: ignore[misc]
                what="all events handled",
            )
            assert expected == receiver.do("report")["handled"]

        marker.do("send", count=1)
        until(lambda: other.do("report")["handled"], what="the marker handled")

        assert [["marker", 1, "item 1 of marker"]] == other.do("report")["handled"]
        for receiver in receivers:
            assert expected == receiver.do("report")["handled"]
        assert 0 == sender.do("wait_settled")["waiting"]


@pytest.mark.parametrize("order", list(permutations(PARTS)), ids="-".join)
def test_every_order_of_starting_works(lan: Lan, brokers: dict[str, Broker], order: tuple[str, ...]) -> None:
    """Whatever starts first: events accepted once both are ready arrive, earlier ones arrive or are counted."""
    with staged(lan, brokers) as stage:
        daemons = {"daemon h1": stage.daemon("h1", ["h2"]), "daemon h2": stage.daemon("h2", ["h1"])}
        actors: dict[str, Actor] = {}
        for part in order:
            if part in daemons:
                daemons[part].start()
            elif part == "sender":
                actors[part] = stage.actor("h1", "sender", rx="nothing")
                actors[part].do("stream", pause_s=0.01)
            else:
                actors[part] = stage.actor("h2", "receiver")
        sender, receiver = actors["sender"], actors["receiver"]
        assert receiver.do("wait_subscribed")["subscribed"]
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        before = sender.do("halt")["accepted"]
        accepted = sender.do("send", count=200)["accepted"]
        counters = sender.do("wait_settled")
        unroutable = daemons["daemon h1"].ask("status")["counters"].get("unroutable", 0)
        until(
            lambda: len(receiver.numbers("sender")) + unroutable >= len(accepted),
            what="every event handled or counted",
        )
        handled = receiver.numbers("sender")

        assert 0 == counters["waiting"] == counters["refused"] == counters["expired"] == counters["evicted"]
        assert sorted(set(handled)) == handled, "each once, in order"
        assert set(accepted[len(before) :]) <= set(handled), "what was accepted when both were ready arrives"
        assert len(accepted) == len(handled) + unroutable, "none is both or neither"
