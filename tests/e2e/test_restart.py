"""A daemon that is started anew owes its programs' events to all whom it owed events before, proved again or not."""

import json
from pathlib import Path

import pytest

from tests.e2e.stage import Actor, Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

EVENTS = 500


def delivery_set(stage: Stage, name: str) -> dict[str, list[str]]:
    """Give what a host's daemon keeps through a restart."""
    file = Path(stage.lan[name].directory) / "state" / "delivery_set.json"
    return json.loads(file.read_text())["brokers"] if file.exists() else {}


def paired(stage: Stage) -> tuple[Daemon, Actor, Actor]:
    """Start h1 and h2, which see each other; gives h1's daemon, a sender on h1, and who hears it on h2."""
    h1, h2 = stage.daemon("h1", ["h2"]), stage.daemon("h2", ["h1"])
    for daemon in (h1, h2):
        daemon.start()
    stage.wait_alive("h1")
    sender, receiver = stage.actor("h1", "sender", rx="nothing"), stage.actor("h2", "receiver")
    assert receiver.do("wait_subscribed")["subscribed"]
    return h1, sender, receiver


@pytest.mark.parametrize("is_orderly", [False, True], ids=["killed", "ended"])
def test_the_senders_daemon_restarts(lan: Lan, brokers: dict[str, Broker], is_orderly: bool) -> None:
    """Under load: what it takes before it has proved its peer again reaches the peer's charts all the same."""
    with staged(lan, brokers) as stage:
        h1, sender, receiver = paired(stage)
        sender.do("stream", pause_s=0.002)
        for _ in range(3):
            before = len(receiver.numbers("sender"))
            until(lambda before=before: len(receiver.numbers("sender")) > before + EVENTS, what="events flow")  # type: ignore[misc]
            if is_orderly:
                h1.stop()
            else:
                h1.kill()
            h1.start()
            stage.wait_alive("h1")
        accepted = sender.do("halt")["accepted"]
        until(lambda: receiver.numbers("sender")[-1:] == accepted[-1:], what="the last event")

        assert accepted == receiver.numbers("sender")


def test_the_peer_is_away_meanwhile(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Its cable is out while the sender's daemon is killed and started: its charts get everything when it is back."""
    with staged(lan, brokers) as stage:
        h1, sender, receiver = paired(stage)
        until(lambda: delivery_set(stage, "h1"), what="the file")
        lan.unplug(lan["h2"])
        sender.do("send", count=EVENTS)
        h1.kill()
        h1.start()
        h1.wait_ready()
        sender.do("send", count=EVENTS)
        lan.plug(lan["h2"])
        expected = list(range(1, 2 * EVENTS + 1))
        until(lambda: receiver.numbers("sender")[-1:] == expected[-1:], what="the last event")

        assert expected == receiver.numbers("sender")
        assert 0 == sender.do("wait_settled")["waiting"]
