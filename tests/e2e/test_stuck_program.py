"""A program that hangs gives back what it was given, and has all of it, once, when it goes on."""

import pytest

from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

EVENTS = 3000


class ImpatientDaemon(Daemon):
    """A daemon whose patience is a few seconds."""

    MODULE = "tests.e2e.impatient"


def states(stage: Stage, host: str) -> dict[str, str]:
    """Give the state of each chart's subscription on a host."""
    clients = stage.daemons[host].ask("clients")["clients"]
    return {chart["chart"]: chart["state"] for client in clients for chart in client["charts"]}


def test_a_stopped_program(lan: Lan, brokers: dict[str, Broker], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had in hand is back in its queue meanwhile; its neighbour has everything at once."""
    monkeypatch.setattr("tests.e2e.stage.Daemon", ImpatientDaemon)
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        sender = stage.actor("h1", "sender", rx="nothing")
        stopped, neighbour = stage.actor("h2", "stopped"), stage.actor("h2", "neighbour")
        for actor in (stopped, neighbour):
            assert actor.do("wait_subscribed")["subscribed"]
        for _ in range(2):
            stopped.pause()
            sent = sender.do("send", count=EVENTS)["accepted"]
            until(lambda: neighbour.numbers("sender") == sent, what="the neighbour has all")  # noqa: B023 -- until ends
            until(lambda: states(stage, "h2")["stopped"] == "stuck", what="given back")
            unacknowledged = brokers["h2"].call(
                "lists:sum([proplists:get_value(messages_unacknowledged, I) || I <- "
                'rabbit_amqqueue:info_all(<<"/">>, [messages_unacknowledged])]).'
            )
            assert "0" == unacknowledged
            assert "bound" == states(stage, "h2")["neighbour"]
            stopped.resume()
            until(lambda: states(stage, "h2")["stopped"] == "bound", what="taken up again")
            until(lambda: stopped.numbers("sender")[-1:] == sent[-1:], what="all handled")  # noqa: B023 -- until ends

            assert sent == stopped.numbers("sender")
        assert {} == {name: n for name, n in stage.daemons["h2"].ask("status")["counters"].items() if "queue" in name}
