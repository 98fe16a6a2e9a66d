"""Keys that are renewed and replaced while hosts speak to each other. In virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mirosd.backends.memory import MemoryBroker
from mirosd.bridge.key_desk import KeyDesk
from mirosd.bridge.rotation import FORCE_S, Rotation
from mirosd.core.control_messages import Offering
from mirosd.core.key_holders import Holders
from mirosd.core.key_ring import KeysError, Ring, parse_ring, ring_text
from mirosd.core.seal import key_id, system_key, wrap_key
from tests.backends.virtual_time import run_virtually
from tests.bridge.rig import KEY, BridgedHost, Program, until
from tests.bridge.test_member_keys import Brokers

EXPIRE_S = 110.0
OLD, NEW = key_id(KEY).hex(), key_id(b"n" * 32).hex()
LETTERS = ("a", "b", "c")


class KeyedHost:
    """A bridged host, its keys, and the disk that outlives it."""

    def __init__(self, scene: "Scene", letter: str, *, start: int = 1, disk: str = "", takes: bool = True) -> None:
        ring = parse_ring(disk) if disk else None
        self.bridged = BridgedHost(
            letter, letter, {x: x for x in LETTERS}, start=start, ring=ring, connector=scene.brokers
        )
        self.key_ring, self.letter, self.disk = self.bridged.key_ring, letter, ring_text(self.bridged.key_ring.ring)
        self.board, self.is_disk_full = self.bridged.board, False
        loop = asyncio.get_running_loop()
        self.holders = Holders()
        self.rotation = Rotation(
            self.key_ring,
            self.bridged.control,
            system="default",
            store=self._store,
            holders=self.holders,
            keep=lambda _text: None,
            takes=takes,
            expire_s=EXPIRE_S,
            board=self.board,
            clock=loop.time,
            wall_s=loop.time,
            random=lambda n: b"n" * n,
        )
        self.desk = KeyDesk(
            self.key_ring,
            self.rotation,
            self.bridged.control.identity,
            clock=loop.time,
            wall_s=loop.time,
            random=lambda n: b"n" * n,
        )

    async def _store(self, ring: Ring) -> None:
        await asyncio.sleep(0.1)  # a disk takes its time
        if self.is_disk_full:
            raise KeysError("keys_not_stored", "no space left")
        self.disk = ring_text(ring)

    def ids(self, network: str = "mesh") -> list[str]:
        """Give the ids of its keys, the one in use first."""
        return [key_id(key).hex() for key in self.key_ring.ring.keys_of(network)]

    async def stop(self) -> None:
        """End it."""
        self.rotation.close()
        await self.bridged.bridge.stop()


class Scene:
    """Hosts a, b and c, each with a broker of its own and one mesh key."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.brokers = Brokers({letter: MemoryBroker(loop) for letter in LETTERS})
        self.hosts: dict[str, KeyedHost] = {}

    def host(self, letter: str, **options: Any) -> KeyedHost:
        """Build a host, or what comes after it."""
        self.hosts[letter] = KeyedHost(self, letter, **options)
        return self.hosts[letter]

    async def start(self, *letters: str) -> None:
        """Start these hosts, and have all that are there alive both ways."""
        for letter in letters:
            self.hosts[letter].bridged.bridge.start()
        await until(lambda: all(host.bridged.bridge.is_connected for host in self.hosts.values()), "connected")
        for one in self.hosts.values():
            for other in self.hosts.values():
                if one is not other and {one.letter, other.letter} & {*letters}:
                    one.bridged.discover(other.bridged, other.letter)
                    await asyncio.sleep(0.1)
        await asyncio.sleep(3)

    async def until_used(self, key: str) -> None:
        """Wait until all hosts seal with a key."""
        for _ in range(200):
            if all(host.ids()[0] == key for host in self.hosts.values()):
                return
            await asyncio.sleep(1)
        raise AssertionError({host.letter: host.ids() for host in self.hosts.values()})


def play(test: Callable[[Scene], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Play a test with three hosts; `options` of host c."""

    async def run() -> None:
        scene = Scene()
        for letter in LETTERS:
            scene.host(letter, **(options if letter == "c" else {}))
        await scene.start(*LETTERS)
        try:
            await test(scene)
        finally:
            for host in scene.hosts.values():
                await host.stop()

    run_virtually(run())


async def speaking(speaker: Program, stop: asyncio.Event) -> None:
    """Send an event each 50 ms."""
    while not stop.is_set():
        speaker.send(1, "k")
        await asyncio.sleep(0.05)


def test_a_rotation_loses_nothing_and_doubles_nothing() -> None:
    """All use the new key, then none has the old one; every event of all that time arrives once, in order."""

    async def test(scene: Scene) -> None:
        a, b, c = (host.bridged for host in scene.hosts.values())
        programs = [
            (Program(host, letter), Program(host, letter.upper()))
            for host, letter in zip((a, b, c), "xyz", strict=True)
        ]
        for speaker, listener in programs:
            speaker.attach()
            listener.attach()
            await listener.hear("k")
        stop = asyncio.Event()
        talk = [asyncio.ensure_future(speaking(speaker, stop)) for speaker, _ in programs]
        result = await scene.hosts["b"].desk.rotate("mesh", is_forced=False)
        await scene.until_used(NEW)
        await asyncio.sleep(EXPIRE_S + 10)
        stop.set()
        await asyncio.gather(*talk)
        await asyncio.sleep(3)

        assert ("in_use", NEW, [], []) == tuple(result[name] for name in ("state", "id", "lacking", "cut_off"))
        assert [[NEW]] * 3 == [host.ids() for host in scene.hosts.values()]
        assert [[key_id(system_key(b"n" * 32)).hex()]] * 3 == [host.ids("system") for host in scene.hosts.values()]
        assert [{}] * 3 == [dict(host.board.counters) for host in scene.hosts.values()]
        sent = sum(speaker.sequence for speaker, _ in programs)
        for _, listener in programs:
            assert sent == len(listener.received)

    play(test)


def test_a_key_is_not_used_before_all_have_it() -> None:
    """A host that takes none is waited for, told of with the reason, and hears all the same."""

    async def test(scene: Scene) -> None:
        result = await scene.hosts["a"].desk.rotate("mesh", is_forced=False)
        await asyncio.sleep(100)

        assert [("c", "keys.accept_remote is false there")] == [(row["name"], row["why"]) for row in result["lacking"]]
        assert [[OLD, NEW], [OLD, NEW], [OLD]] == [host.ids() for host in scene.hosts.values()]
        assert 0 == scene.hosts["c"].board.counters["control_unknown_key"]
        again = await scene.hosts["a"].desk.rotate("mesh", is_forced=False)
        assert (NEW, "accepted") == (again["id"], again["state"])

    play(test, takes=False)


def test_force_goes_on_without_it_and_names_it() -> None:
    """The others follow the force; the old key goes though one host still uses it, and that one is heard no more."""

    async def test(scene: Scene) -> None:
        await scene.hosts["a"].desk.rotate("mesh", is_forced=False)
        began_s = asyncio.get_running_loop().time()
        result = await scene.hosts["a"].desk.rotate("mesh", is_forced=True)
        took_s = asyncio.get_running_loop().time() - began_s
        await asyncio.sleep(FORCE_S + 5)

        assert ("in_use", ["c"]) == (result["state"], result["cut_off"])
        assert FORCE_S <= took_s <= FORCE_S + 2
        assert [[NEW, OLD], [NEW, OLD], [OLD]] == [host.ids() for host in scene.hosts.values()]
        await asyncio.sleep(EXPIRE_S + 20)
        assert [[NEW], [NEW], [OLD]] == [host.ids() for host in scene.hosts.values()]
        assert scene.hosts["c"].board.counters["control_unknown_key"]

    play(test, takes=False)


def test_force_waits_for_nobody_who_is_silent() -> None:
    """Who is off is named, and cut off at once."""

    async def test(scene: Scene) -> None:
        await scene.hosts["c"].stop()
        await asyncio.sleep(6)
        began_s = asyncio.get_running_loop().time()
        result = await scene.hosts["a"].desk.rotate("mesh", is_forced=True)

        assert ("in_use", ["c"]) == (result["state"], result["cut_off"])
        assert asyncio.get_running_loop().time() - began_s < 5

    play(test)


def test_an_old_key_is_kept_while_one_host_seals_with_it() -> None:
    """One that cannot store what it is to use goes on as before, and is opened; once it can, all forget the old key."""

    async def test(scene: Scene) -> None:
        task = asyncio.ensure_future(scene.hosts["a"].desk.rotate("mesh", is_forced=False))
        await until(lambda: len(scene.hosts["c"].ids()) == 2, "taken")
        scene.hosts["c"].is_disk_full = True
        await task
        await asyncio.sleep(3 * EXPIRE_S)
        assert [[NEW, OLD], [NEW, OLD], [OLD, NEW]] == [host.ids() for host in scene.hosts.values()]
        assert not scene.hosts["a"].board.counters["control_unknown_key"]

        scene.hosts["c"].is_disk_full = False
        await asyncio.sleep(EXPIRE_S + 10)
        assert [[NEW]] * 3 == [host.ids() for host in scene.hosts.values()]

    play(test)


def test_who_is_off_is_waited_for_and_gets_the_key_when_it_returns() -> None:
    """For a day; a host that restarts in the middle goes on with what it has stored, and so does the one that began."""

    async def test(scene: Scene) -> None:
        await scene.hosts["c"].stop()
        await scene.hosts["a"].desk.rotate("mesh", is_forced=False)
        assert [[OLD, NEW], [OLD, NEW]] == [scene.hosts[letter].ids() for letter in "ab"]
        await scene.hosts["a"].stop()
        scene.host("a", start=2, disk=scene.hosts["a"].disk)
        scene.host("c", start=2, disk=scene.hosts["c"].disk)
        await scene.start("a", "c")
        await scene.until_used(NEW)

        await scene.hosts["b"].stop()
        scene.host("b", start=2, disk=scene.hosts["b"].disk)
        await scene.start("b")
        await asyncio.sleep(EXPIRE_S + 10)
        assert [[NEW]] * 3 == [host.ids() for host in scene.hosts.values()]

    play(test)


def test_who_comes_two_rotations_late_is_taken_along() -> None:
    """An invitation of an hour ago has the first key, which is still opened; the newcomer is handed what came since."""

    async def run() -> None:
        scene = Scene()
        disk = ring_text(Ring({}).seeded({"mesh": KEY, "system": b"s" * 32}, 0.0))
        for letter in "ab":
            scene.host(letter, disk=disk)
        await scene.start("a", "b")
        for byte in (b"n", b"m"):
            scene.hosts["a"].desk._random = lambda n, byte=byte: byte * n  # type: ignore[misc]
            await scene.hosts["a"].desk.rotate("mesh", is_forced=False)
            await scene.until_used(key_id(byte * 32).hex())
        scene.host("c", disk=disk)
        await scene.start("c")
        await scene.until_used(key_id(b"m" * 32).hex())
        await asyncio.sleep(EXPIRE_S + 10)

        assert [[key_id(b"m" * 32).hex()]] * 3 == [host.ids() for host in scene.hosts.values()]
        for host in scene.hosts.values():
            await host.stop()

    run_virtually(run())


def test_nothing_is_said_of_a_key_that_is_not_stored() -> None:
    """A host with a full disk holds the rotation up, rather than come back without the key."""

    async def test(scene: Scene) -> None:
        scene.hosts["c"].is_disk_full = True
        await scene.hosts["a"].desk.rotate("mesh", is_forced=False)
        assert [[OLD, NEW], [OLD, NEW], [OLD]] == [host.ids() for host in scene.hosts.values()]
        scene.hosts["c"].is_disk_full = False
        await scene.until_used(NEW)

        scene.hosts["a"].is_disk_full = True
        with pytest.raises(KeysError, match="no space left"):
            await scene.hosts["a"].desk.replace("mesh", "b" * 43 + "=")
        assert [[NEW, OLD]] * 3 == [host.ids() for host in scene.hosts.values()]

    play(test)


def test_after_a_replacement_the_old_key_opens_nothing() -> None:
    """Who has it hears nothing, and what it says is counted and dropped; nothing of it is answered."""

    async def test(scene: Scene) -> None:
        a, c = scene.hosts["a"], scene.hosts["c"]
        speaker, thief = Program(a.bridged, "s"), Program(c.bridged, "t")
        for program in (speaker, thief):
            program.attach()
            await program.hear("k")
        for letter in "ab":
            result = await scene.hosts[letter].desk.replace("mesh", "bm5u" * 10 + "bm4=")
            assert [OLD] == result["retired"]
        before = len(thief.received)
        speaker.send(5, "k")
        thief.send(5, "k")
        await asyncio.sleep(5)
        asked = c.bridged.control.locate(a.bridged.node, c.bridged.bridge._sets.of(a.bridged.node).control_link)  # type: ignore

        assert await asked is None
        assert [1, 2, 3, 4, 5] == [sequence for _, sequence in speaker.received]
        assert [1, 2, 3, 4, 5] == [sequence for _, sequence in thief.received[before:]]  # its own
        assert 1 == a.board.counters["unopened_unknown_key"]
        assert a.board.counters["control_unknown_key"]
        await scene.hosts["b"].desk.rotate("mesh", is_forced=False)
        assert [OLD] == c.ids()

    play(test)


@pytest.mark.parametrize(
    ("change", "takes"),
    [
        ({}, False),
        ({"node": "e" * 32}, True),
        ({"old": NEW}, True),
        ({"wrapped": "00" * 60}, True),
        ({"network": "x"}, True),
    ],
)
def test_an_offer_that_is_not_to_be_taken_is_counted(change: dict[str, str], takes: bool) -> None:
    """Where people did not allow it; of who is no peer; under a key that is not ours; and what is no key."""

    async def test(scene: Scene) -> None:
        a, c = scene.hosts["a"], scene.hosts["c"]
        wrapped = wrap_key(b"n" * 32, KEY, "default", "mesh", random=bytes).hex()
        offer = {"node": a.bridged.node, "network": "mesh", "old": OLD, "key": NEW, "wrapped": wrapped}
        c.rotation.offered(Offering(**offer | change))  # type: ignore[arg-type]
        await asyncio.sleep(3)

        assert (1, [OLD]) == (c.board.counters["key_offers_refused"], c.ids())

    play(test, takes=takes)


def test_an_offer_of_a_peer_is_taken_once() -> None:
    """The same again, as a recording has it, changes nothing."""

    async def test(scene: Scene) -> None:
        a, c = scene.hosts["a"], scene.hosts["c"]
        wrapped = wrap_key(b"n" * 32, KEY, "default", "mesh", random=bytes).hex()
        offer = Offering(node=a.bridged.node, network="mesh", old=OLD, key=NEW, wrapped=wrapped)
        beats: list[float] = []
        clock = asyncio.get_running_loop().time
        a.bridged.control.on_heartbeat = lambda beat, _reply_to: (
            beats.append(clock()) if NEW in beat.keys["mesh"] else None
        )
        began_s = clock()
        c.rotation.offered(offer)
        await until(lambda: beats, "told of")
        assert beats[0] - began_s < 0.2  # a write to a disk, and no second until the next heartbeat
        await scene.until_used(NEW)
        await asyncio.sleep(EXPIRE_S + 10)
        c.rotation.offered(offer)
        await asyncio.sleep(3)

        assert [[NEW]] * 3 == [host.ids() for host in scene.hosts.values()]
        assert 1 == c.board.counters["key_offers_refused"]  # its old key has retired

    play(test)


def test_people_see_who_has_which_key() -> None:
    """By id; never a key."""

    async def test(scene: Scene) -> None:
        await scene.hosts["a"].desk.rotate("mesh", is_forced=False)
        rows = scene.hosts["a"].desk.rows()
        [mesh, *_], hosts = rows[:4], rows[4:]

        assert ["mesh", "snoop_trace", "snoop_spy", "system"] == [row["network"] for row in rows[:4]]
        assert ["", "mesh", "mesh", "mesh"] == [row["follows"] for row in rows[:4]]
        assert [(OLD, "in_use", []), (NEW, "accepted", ["c"])] == [
            (key["id"], key["state"], [lack["name"] for lack in key["lacking"]]) for key in mesh["keys"]
        ]
        assert [("a", [OLD, NEW], True), ("b", [OLD, NEW], True), ("c", [OLD], False)] == [
            (host["name"], host["keys"]["mesh"], host["takes"]) for host in hosts
        ]

    play(test, takes=False)


@pytest.mark.parametrize(("network", "code"), [("snoop_trace", "follows"), ("system", "follows")])
def test_who_follows_is_not_rotated(network: str, code: str) -> None:
    """The error names the network that it follows."""

    async def test(scene: Scene) -> None:
        with pytest.raises(KeysError, match="rotate mesh") as caught:
            await scene.hosts["a"].desk.rotate(network, is_forced=False)
        assert code == caught.value.code

    play(test)


def test_what_is_no_key_or_was_one_is_not_laid_down() -> None:
    """A retired key may be a stolen one."""

    async def test(scene: Scene) -> None:
        desk = scene.hosts["a"].desk
        for text, code in (("hunter2", "bad_key"), ("bm5u" * 10 + "bm4=", ""), ("a2tr" * 10 + "a2s=", "key_retired")):
            if not code:
                await desk.replace("mesh", text)
                continue
            with pytest.raises(KeysError) as caught:
                await desk.replace("mesh", text)
            assert code == caught.value.code
            assert "hunter2" not in str(caught.value)

    play(test)
