"""Keys that are renewed under load, through restarts, and replaced after a theft: three hosts, on real brokers."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.e2e.stage import Actor, Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

NAMES = ("h1", "h2", "h3")
SETTINGS: dict[str, Any] = {"keys": {"accept_remote": True}, "delivery": {"ttl_s": 10, "queue_expires_s": 12}}
PAUSE_S = 0.0015
"""Between two events of each of three programs: 1,000 a second in all where nothing else is slow."""


def start(stage: Stage, settings: dict[str, Any] = SETTINGS) -> list[Daemon]:
    """Start a daemon on each host; return when all are alive both ways, and know of each other's keys."""
    daemons = [stage.daemon(name, [other for other in NAMES if other != name], settings=settings) for name in NAMES]
    for daemon in daemons:
        daemon.start()
    for name in NAMES:
        stage.wait_alive(name, 2)
    until(lambda: all(len(daemon.ask("keys", "list")["hosts"]) == len(NAMES) for daemon in daemons), what="all heard")
    return daemons


def ids(daemon: Daemon, network: str = "mesh") -> list[str]:
    """Give the ids of a host's keys, the one in use first."""
    return [
        key["id"] for row in daemon.ask("keys", "list")["networks"] if row["network"] == network for key in row["keys"]
    ]


def until_ids(daemons: Sequence[Daemon], expected: list[str], deadline_s: float = 60.0) -> None:
    """Wait until all these hosts have these keys in this order."""
    until(lambda: all(ids(daemon) == expected for daemon in daemons), deadline_s, f"all with {expected}")


def actors(stage: Stage) -> list[Actor]:
    """Put a program on each host that hears all."""
    made = [stage.actor(name, f"on-{name}") for name in NAMES]
    for actor in made:
        assert actor.do("wait_subscribed")["subscribed"]
    return made


def hears(program: Actor, sender: str, numbers: list[int]) -> None:
    """Wait until a program has had as many events of another's as it sent; they are these, once each, in order."""
    until(lambda: len(program.numbers(sender)) >= len(numbers), 60, f"all of {sender} heard")
    assert numbers == program.numbers(sender)


def test_a_rotation_under_load_loses_no_event(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Each event of three hosts, up to 1,000 a second, reaches the programs of the other two once, in order."""
    with staged(lan, brokers) as stage:
        daemons = start(stage, {"keys": {"accept_remote": True}})
        programs = dict(zip(NAMES, actors(stage), strict=True))
        [old] = ids(daemons[0])
        began_s = time.monotonic()
        for program in programs.values():
            program.do("stream", pause_s=PAUSE_S)
        rotated = daemons[1].ask("keys", "rotate", "mesh")
        until_ids(daemons, [rotated["id"], old])
        accepted = {name: program.do("halt")["accepted"] for name, program in programs.items()}
        took_s = time.monotonic() - began_s
        print(f"{sum(map(len, accepted.values())) / took_s:.0f} events a second for {took_s:.1f} s")

        assert ("in_use", [], []) == (rotated["state"], rotated["lacking"], rotated["cut_off"])
        for name, program in programs.items():
            assert 0 == program.do("wait_settled")["waiting"]
            for other in {*NAMES} - {name}:
                hears(program, f"on-{other}", accepted[other])
        assert [{}] * 3 == [daemon.ask("status")["counters"] for daemon in daemons]


def test_a_rotation_goes_on_through_restarts(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Begun while one host is off; who began it is killed before that one is back. All forget the old key."""
    with staged(lan, brokers) as stage:
        daemons = start(stage)
        h1, h2, h3 = daemons
        programs = actors(stage)
        [old] = ids(h1)
        h3.stop()
        rotated = h1.ask("keys", "rotate", "mesh")
        waited_for = [(row["name"], row["why"]) for row in rotated["lacking"]]
        until_ids([h1, h2], [old, rotated["id"]])
        h1.kill()
        h1.start()
        h3.start()
        until_ids(daemons, [rotated["id"], old])
        for program in programs[:2]:
            program.do("send", count=100)
        until_ids(daemons, [rotated["id"]])
        for program in programs[:2]:
            program.do("send", count=100)

        assert ("accepted", [("h3", "it does not answer")]) == (rotated["state"], waited_for)
        for program, senders in zip(programs, (["on-h2"], ["on-h1"], ["on-h1", "on-h2"]), strict=True):
            for sender in senders:
                hears(program, sender, [*range(1, 201)])


def test_a_stolen_host_is_useless_after_a_replacement(lan: Lan, brokers: dict[str, Broker]) -> None:
    """With the old key it hears nothing, what it sends is counted and dropped, and its probes find nobody (D55)."""
    with staged(lan, brokers) as stage:
        daemons = start(stage, {"keys": {"accept_remote": True}, "discovery": {"lan": {"enabled": True}}})
        h1, h2, h3 = daemons
        near, _, thief = actors(stage)
        key_file = h1.host.directory / "new.key"
        key_file.unlink(missing_ok=True)
        h1.ctl("keys", "generate", str(key_file))
        [old] = ids(h1)
        for daemon in (h1, h2):
            replaced = daemon.ask("keys", "replace", "mesh", "--file", str(key_file))
            assert [old] == replaced["retired"]
        stage.wait_alive("h1", 1)
        near.do("send", count=5)  # which h2 and h3 are owed
        thief.do("send", count=5)
        until(lambda: h1.ask("status")["counters"].get("unopened_unknown_key"), what="what it sends is dropped")
        until(lambda: h1.ask("status")["counters"].get("control_unknown_key"), what="its heartbeats are dropped")
        until(lambda: h1.peers()["h2"] == "alive", what="the others alive")
        h3.stop()
        (h3.host.directory / "state" / "lan_cache.json").unlink(missing_ok=True)  # what it found before the theft
        h3.start()
        h3.wait_ready()
        searched = h3.ask("recce")
        scouted = h3.ctl("scout", h1.host.address, check=False)
        key = key_file.read_text().strip()

        assert [] == near.numbers("on-h3")
        assert [] == thief.numbers("on-h1")
        assert [] == [row for row in searched["addresses"] if row["node"] or row["verdict"] == "proved"]
        assert "alive" not in h3.peers().values()
        assert "key" in scouted.stdout
        assert 1 == scouted.returncode
        assert all(key not in daemon.log() for daemon in daemons)
