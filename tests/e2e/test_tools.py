"""What people ask with mirosctl while charts talk: whom an event reaches, who is connected, what changes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab


def meshed(stage: Stage) -> None:
    """Start daemons on h1 and h2, and return when they see each other."""
    stage.daemon("h1", ["h2"]).start()
    stage.daemon("h2", ["h1"]).start()
    stage.wait_alive("h1")
    stage.wait_alive("h2")


def ask(daemon: Daemon, *words: str) -> dict[str, Any]:
    """Give what a command prints for machines, without the name of its schema."""
    answer = daemon.ask(*words)
    assert answer.pop("schema") == f"mirosctl.{words[0]}/1"
    return answer


def test_send_tells_how_many_queues_on_how_many_hosts_matched(lan: Lan, brokers: dict[str, Broker]) -> None:
    """The event is handled by each chart it is said to match; a daemon that hangs is named as one that did not say."""
    with staged(lan, brokers) as stage:
        meshed(stage)
        hears = [stage.actor("h1", "near"), stage.actor("h2", "far-1"), stage.actor("h2", "far-2", rx="#")]
        deaf = stage.actor("h2", "deaf", rx="marker.#")
        for actor in (*hears, deaf):
            assert actor.do("wait_subscribed")["subscribed"]
        h1 = stage.daemons["h1"]
        payload = json.dumps({"from": "mirosctl", "n": 1, "text": "hi"})
        sent = h1.ctl("send", "Item", "--payload", payload, "--key", "item.one")

        assert sent.stdout == "matched 3 queues on 2 hosts\n"
        assert sent.stderr == ""
        for actor in hears:
            until(
                lambda actor=actor: actor.do("report")["handled"] == [["mirosctl", 1, "hi"]], what="the event handled"
            )  # type: ignore[misc]
        assert deaf.do("report")["handled"] == []

        stage.daemons["h2"].pause()
        answer = ask(h1, "send", "Item", "--payload", payload, "--key", "item.one")
        stage.daemons["h2"].resume()

        assert answer == {
            "accepted": True,
            "settled": True,
            "hosts": 1,
            "queues": 1,
            "unanswered": ["h2"],
            "unroutable": False,
            "outcome": "delivered",
            "confirmed_by": 2,
            "unroutable_at": 0,
            "expired_at": 0,
            "overflowed_at": 0,
            "nacked_at": 0,
            "forgotten_at": 0,
        }


def test_an_event_for_nobody_is_told_to_everyone_concerned(lan: Lan, brokers: dict[str, Broker]) -> None:
    """A key that matches no queue on any host is a warning of `send`, and one line in the sender's daemon's log."""
    with staged(lan, brokers) as stage:
        meshed(stage)
        assert stage.actor("h2", "far").do("wait_subscribed")["subscribed"]
        sender = stage.actor("h1", "sender", tx="heya.lead", rx="nothing")
        assert sender.do("wait_subscribed")["subscribed"]
        h1 = stage.daemons["h1"]
        sent = h1.ctl("send", "Item", "--key", "archer.lead")
        sender.do("send", count=100)

        assert (sent.returncode, sent.stdout) == (0, "matched 0 queues on 0 hosts\n")
        assert sent.stderr == "warning: nobody is bound to archer.lead on any host\n"
        until(lambda: sender.do("wait_settled")["unroutable"] == 100, what="all of the sender's events returned")
        until(lambda: len(told(h1)) == 2, what="two keys told")
        assert ["archer.lead", "heya.lead"] == [line["routing_key"] for line in told(h1)]
        assert [] == told(stage.daemons["h2"])


def told(daemon: Daemon) -> list[dict[str, Any]]:
    """Give the lines of a daemon's log about keys that nobody is bound to."""
    return [json.loads(line) for line in daemon.log().splitlines() if '"nobody_is_bound"' in line]


def test_clients_are_listed_with_what_they_hear(lan: Lan, brokers: dict[str, Broker]) -> None:
    """A program is there with its key and its events; pending while the broker is away, bound when it is back."""
    with staged(lan, brokers) as stage:
        h1 = stage.daemon("h1", [])
        h1.start()
        h1.wait_ready()
        archer = stage.actor("h1", "archer")
        assert archer.do("wait_subscribed")["subscribed"]
        archer.do("send", count=5)
        until(lambda: archer.do("wait_settled")["waiting"] == 0, what="all settled")

        def listed() -> dict[str, Any]:
            (row,) = [row for row in ask(h1, "clients")["clients"] if row["program"] != "mirosctl"]
            return dict(row)

        row = listed()
        (chart,) = row["charts"]

        assert (row["user"], row["last_settled"], row["unroutable"], len(row["client"])) == ("root", 5, 0, 32)
        assert (chart["chart"], chart["network"], chart["binding_key"]) == ("archer", "mesh", "item.#")
        assert chart["state"] == "bound"
        assert "archer" in h1.ctl("clients").stdout
        stage.brokers["h1"].stop()
        until(lambda: listed()["charts"][0]["state"] == "pending", what="pending without a broker")
        stage.brokers["h1"].start()
        until(lambda: listed()["charts"][0]["state"] == "bound", what="bound again")


@contextmanager
def watching(daemon: Daemon) -> Iterator["subprocess.Popen[str]"]:
    """Run `mirosctl peers --watch --json` on a daemon's host."""
    process = daemon.host.popen(
        [sys.executable, "-c", "from mirosctl.main import main; main()", "peers", "--watch", "--json"],
        stdout=subprocess.PIPE,
        env=os.environ | {"MIROSD_SOCKET": str(daemon.host.socket)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_watch_follows_a_peers_life(lan: Lan, brokers: dict[str, Broker]) -> None:
    """The table first, then each change of state as it happens: killed, back, and stopped in order."""
    with staged(lan, brokers) as stage:
        meshed(stage)
        h1, h2 = stage.daemons["h1"], stage.daemons["h2"]
        with watching(h1) as watch:
            assert watch.stdout is not None
            lines = map(json.loads, watch.stdout)

            def next_state(state: str) -> dict[str, Any]:
                return next(line for line in lines if line["peer"]["name"] == "h2" and line["peer"]["state"] == state)

            (peer,) = next(lines)["peers"]
            assert (peer["name"], peer["state"]) == ("h2", "alive")
            h2.kill()
            assert next_state("failed")["peer"]["reason"] == "crashed"
            h2.start()
            assert next_state("alive")["change"] == "changed"
            h2.stop()
            next_state("left")
            h1.stop()
            assert watch.wait(30) == 3, "a daemon that is gone ends the watch"
