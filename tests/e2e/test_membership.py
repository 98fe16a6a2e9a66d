"""What befalls hosts, on real ones: each fault is told as what it is, and after many of them nothing is left over."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from mirosd_client.control import ControlConnection
from mirosd_client.errors import MirosdError
from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

SILENT_S = 5.0
"""No shorter silence is told as one."""

NEW_ADDRESS = "10.77.0.202"
OWN_BROKER = "amqp://127.0.0.1:5672"
EPISODES = 20
SEED = 4


def ask(daemon: Daemon, verb: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Give the rows and the result of a question, in a few ms: no mirosctl is started for it."""
    try:
        with ControlConnection(str(daemon.host.socket)) as connection:
            return connection.ask(verb)
    except MirosdError as error:
        raise AssertionError(f"{daemon.host.name}: {error}") from error


def peer(daemon: Daemon, name: str) -> dict[str, Any]:
    """Give a peer's line by its name; AssertionError while it has none."""
    rows, _ = ask(daemon, "peers")
    named = [row for row in rows if row["name"] == name]
    assert 1 == len(named), rows
    return named[0]


def reasons(daemon: Daemon) -> list[str]:
    """Give why a daemon is degraded."""
    _, status = ask(daemon, "status")
    return [reason["code"] for reason in status["reasons"]]


def wait_for(daemon: Daemon, name: str, state: str) -> dict[str, Any]:
    """Return a peer's line when it has this state ("failed(silent)", "left"); print how long that took."""
    began_s = time.monotonic()

    def reached() -> dict[str, Any] | None:
        row = peer(daemon, name)
        return row if state == (f"{row['state']}({row['reason']})" if row["reason"] else row["state"]) else None

    row = until(reached, what=f"{name} {state} at {daemon.host.name}")
    assert row is not None
    print(f"{name} {state} at {daemon.host.name} after {time.monotonic() - began_s:.2f} s")
    return row


def passing(seconds: float) -> Iterator[float]:
    """Let time pass, which is the fault itself; gives a few moments of it."""
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < seconds:
        yield passed_s
        time.sleep(0.1)


@pytest.fixture
def stage(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    with staged(lan, brokers) as made:
        yield made


def together(stage: Stage, *names: str) -> dict[str, Daemon]:
    """Start daemons that list each other, and wait until all are alive."""
    for name in names:
        stage.daemon(name, [other for other in names if other != name]).start()
    wait_together(stage, *names)
    return stage.daemons


def wait_together(stage: Stage, *names: str) -> None:
    """Return when each sees all others alive; AssertionError with the row that is not."""

    def see(name: str, other: str) -> bool:
        row = peer(stage.daemons[name], other)
        assert "alive" == row["state"], row
        return True

    for name in names:
        for other in names:
            if other != name:
                until(partial(see, name, other), deadline_s=60.0, what=f"{other} alive at {name}")


# --- single faults -------------------------------------------------------------------


def test_its_broker_is_killed(stage: Stage) -> None:
    """suspect(broker), and alive again when the broker is back; its own daemon accuses nobody meanwhile."""
    h1, h2 = together(stage, "h1", "h2").values()
    stage.brokers["h2"].kill()
    wait_for(h1, "h2", "suspect(broker)")
    assert "alive" == peer(h2, "h1")["state"]
    stage.brokers["h2"].start()
    stage.brokers["h2"].wait_ready()

    assert 1 <= wait_for(h1, "h2", "alive")["flaps"]
    wait_for(h2, "h1", "alive")


def test_its_daemon_is_killed(stage: Stage) -> None:
    """failed(crashed), then alive as a new incarnation of the same node."""
    h1, h2 = together(stage, "h1", "h2").values()
    before = peer(h1, "h2")
    h2.kill()
    wait_for(h1, "h2", "failed(crashed)")
    h2.start()
    after = wait_for(h1, "h2", "alive")

    assert (before["node"], before["incarnation"] + 1) == (after["node"], after["incarnation"])


def test_its_daemon_is_ended(stage: Stage) -> None:
    """left, then alive as a new incarnation of the same node, in one row."""
    h1, h2 = together(stage, "h1", "h2").values()
    before = peer(h1, "h2")
    assert 0 == h2.stop()
    wait_for(h1, "h2", "left")
    h2.start()
    after = wait_for(h1, "h2", "alive")

    assert (before["node"], before["incarnation"] + 1) == (after["node"], after["incarnation"])
    assert 1 == len(ask(h1, "peers")[0])


def test_its_cable_is_out_for_3_s(stage: Stage) -> None:
    """alive or suspect all the while, unless it was silent for longer; then alive."""
    h1 = together(stage, "h1", "h2")["h1"]
    stage.lan.unplug(stage.lan["h2"])
    rows = [peer(h1, "h2") for _ in passing(3.0)]
    stage.lan.plug(stage.lan["h2"])
    wait_for(h1, "h2", "alive")

    assert [] == [row for row in rows if row["state"] not in {"alive", "suspect"} and row["last_seen_s"] < SILENT_S]


def test_it_is_unplugged(stage: Stage) -> None:
    """failed(silent) on both sides, and alive again with the cable."""
    h1, h2 = together(stage, "h1", "h2").values()
    stage.lan.unplug(stage.lan["h2"])
    row = wait_for(h1, "h2", "failed(silent)")
    wait_for(h2, "h1", "failed(silent)")
    stage.lan.plug(stage.lan["h2"])
    wait_for(h1, "h2", "alive")
    wait_for(h2, "h1", "alive")

    assert row["last_seen_s"] >= SILENT_S - 0.1  # it is shown rounded


@contextmanager
def in_alarm(broker: Broker) -> Iterator[None]:
    """Have a broker find that it has no memory left."""
    broker.ctl("set_vm_memory_high_watermark", "0")
    try:
        yield
    finally:
        broker.ctl("set_vm_memory_high_watermark", "absolute", "256MB")


@contextmanager
def hanging(broker: Broker) -> Iterator[None]:
    """Stop a broker in its tracks: its sockets stay open."""
    broker.pause()
    try:
        yield
    finally:
        broker.resume()


@pytest.mark.parametrize("fault", [in_alarm, hanging])
def test_our_own_broker_brings_nothing(stage: Stage, fault: Callable[[Broker], Any]) -> None:
    """From when that is told nobody is accused, though nobody is heard; when it brings messages again all are alive."""
    h1 = together(stage, "h1", "h2", "h3")["h1"]
    began_s = time.monotonic()
    with fault(stage.brokers["h1"]):
        until(lambda: "broker_deaf" in reasons(h1), what="broker_deaf")
        print(f"told after {time.monotonic() - began_s:.2f} s")
        before = [(row["name"], row["state"]) for row in ask(h1, "peers")[0]]
        after = [[(row["name"], row["state"]) for row in ask(h1, "peers")[0]] for _ in passing(SILENT_S + 2.0)]
    assert [] == [rows for rows in after if rows != before]
    until(lambda: reasons(h1) == [], what="no reason")

    wait_together(stage, "h1", "h2", "h3")


@contextmanager
def moving(host: Host) -> Iterator[Callable[[], None]]:
    """Give what takes a host's address away and gives it another; its own comes back at the end."""

    def renumber(old: str, new: str) -> None:
        host.run(["ip", "address", "del", f"{old}/24", "dev", "eth0"])
        host.run(["ip", "address", "add", f"{new}/24", "broadcast", "+", "dev", "eth0"])

    has_moved = []

    def move() -> None:
        renumber(host.address, NEW_ADDRESS)
        has_moved.append(True)

    try:
        yield move
    finally:
        if has_moved:
            renumber(NEW_ADDRESS, host.address)


def test_its_address_changes(stage: Stage) -> None:
    """The same node, alive at its other listed address, in one row that tells where it was; events cross as before."""
    host = stage.lan["h2"]
    with moving(host) as move:
        h1, h2 = stage.daemon("h1", ["h2"]), stage.daemon("h2", ["h1"], broker=OWN_BROKER)
        h1.write_hosts([host.address, NEW_ADDRESS])
        for daemon in (h1, h2):
            daemon.start()
        wait_together(stage, "h1", "h2")
        near, far = stage.actor("h1", "near"), stage.actor("h2", "far")
        for actor in (near, far):
            assert actor.do("wait_subscribed")["subscribed"]
        node = peer(h1, "h2")["node"]
        began_s = time.monotonic()
        move()
        until(lambda: peer(h1, "h2")["address"] == NEW_ADDRESS, what="the new address")
        row = wait_for(h1, "h2", "alive")
        print(f"alive there after {time.monotonic() - began_s:.2f} s")
        wait_for(h2, "h1", "alive")
        near.do("send", count=5)
        until(lambda: far.numbers("near") == [1, 2, 3, 4, 5], what="all events at the new address")

        assert (node, [host.address]) == (row["node"], [before["address"] for before in row["previous"]])
        assert 1 == len([row for row in ask(h1, "peers")[0] if row["node"]])
        assert 2 == len(ask(h1, "status")[1]["producer_sets"])


def test_an_aliens_address_changes(stage: Stage) -> None:
    """Nobody lists it anywhere, and the LAN is not searched: its heartbeats tell where it is, and it is found there."""
    host = stage.lan["h2"]
    with moving(host) as move:
        h1, h2 = stage.daemon("h1", []), stage.daemon("h2", ["h1"], broker=OWN_BROKER)
        for daemon in (h1, h2):
            daemon.start()
        wait_together(stage, "h1", "h2")
        began_s = time.monotonic()
        move()
        until(lambda: peer(h1, "h2")["address"] == NEW_ADDRESS, what="the new address")
        wait_for(h1, "h2", "alive")
        print(f"alive there after {time.monotonic() - began_s:.2f} s")
        wait_for(h2, "h1", "alive")

        assert ["alien"] == peer(h1, "h2")["sources"]


# --- many faults ---------------------------------------------------------------------


def blip(stage: Stage, name: str, dice: random.Random) -> None:
    """The cable is out for a moment."""
    stage.lan.unplug(stage.lan[name])
    for _ in passing(dice.uniform(0.1, 1.0)):
        pass
    stage.lan.plug(stage.lan[name])


def reset(stage: Stage, name: str, _dice: random.Random) -> None:
    """The broker ends all its connections."""
    closed = '(catch rabbit_networking:close_connection(P, "lab"))'  # or ended by itself meanwhile
    stage.brokers[name].call(f"[{closed} || P <- rabbit_networking:connections()].")


def hang(stage: Stage, name: str, dice: random.Random) -> None:
    """The daemon does nothing for a moment."""
    stage.daemons[name].pause()
    for _ in passing(dice.uniform(0.1, 1.5)):
        pass
    stage.daemons[name].resume()


def crash(stage: Stage, name: str, _dice: random.Random) -> None:
    """The daemon is killed, and started again."""
    stage.daemons[name].kill()
    stage.daemons[name].start()


def restart(stage: Stage, name: str, _dice: random.Random) -> None:
    """The daemon is ended in order, and started again."""
    assert 0 == stage.daemons[name].stop()
    stage.daemons[name].start()


def lose_broker(stage: Stage, name: str, _dice: random.Random) -> None:
    """The broker is killed, and started again; it keeps its disk."""
    stage.brokers[name].kill()
    stage.brokers[name].start()
    stage.brokers[name].wait_ready()


FAULTS = [blip, reset, hang, crash, restart]


def mesh_queues(broker: Broker) -> list[str]:
    """Give the names of the subscriptions' queues that a broker holds."""
    names = broker.call("[binary_to_list(element(4, N)) || N <- rabbit_amqqueue:list_names()].")
    return [name for name in names.replace("[", '"').split('"') if name.startswith("mirosd.default.mesh.")]


def test_after_many_faults_nothing_is_left_over(stage: Stage) -> None:
    """At rest: all alive, one queue for each subscription, one producer set for each broker, and events cross once."""
    names = ("h1", "h2", "h3")
    together(stage, *names)
    actors = [stage.actor(name, f"actor-{name}") for name in names]
    for actor in actors:
        assert actor.do("wait_subscribed")["subscribed"]
    dice = random.Random(SEED)
    faults = [dice.choice(FAULTS) for _ in range(EPISODES - 2)] + [lose_broker] * 2
    dice.shuffle(faults)
    began_s = time.monotonic()
    for fault in faults:
        name = dice.choice(names)
        print(f"{time.monotonic() - began_s:6.2f} s {fault.__name__} {name}")
        fault(stage, name, dice)
        until(lambda name=name: ask(stage.daemons[name], "status"), what=f"{name} answers")  # type: ignore[misc]
    wait_together(stage, *names)
    for actor in actors:
        until(lambda actor=actor: actor.do("wait_subscribed")["subscribed"], what="subscribed")  # type: ignore[misc]
    print(f"{time.monotonic() - began_s:6.2f} s all alive")

    nodes = {name: ask(stage.daemons[name], "status")[1]["node"] for name in names}
    for name in names:
        sets = ask(stage.daemons[name], "status")[1]["producer_sets"]
        others = sorted([nodes[other]] for other in names if other != name)
        assert (3, [[], *others]) == (len({one["broker"] for one in sets}), sorted(one["nodes"] for one in sets))
        until(lambda name=name: len(mesh_queues(stage.brokers[name])) == 1, what=f"one queue at {name}")  # type: ignore[misc]
    sent = {f"actor-{name}": actor.do("send", count=10)["accepted"] for name, actor in zip(names, actors, strict=True)}
    for name, actor in zip(names, actors, strict=True):
        for other in sent.keys() - {f"actor-{name}"}:
            until(lambda actor=actor, other=other: actor.numbers(other) == sent[other], what=f"{other} at {name}")  # type: ignore[misc]
