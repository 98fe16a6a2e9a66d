"""The ring: what follows what, which key is later, what seeds change, and what is stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.cache_document import DocumentError
from mirosd.core.key_ring import (
    MAX_KEYS,
    KeyRing,
    KeysError,
    NetworkRing,
    Ring,
    parse_key,
    parse_ring,
    ring_text,
)
from mirosd.core.seal import key_id, system_key

OLD, NEW, THIRD, TRACE, SYSTEM = (bytes([n]) * 32 for n in range(1, 6))


def name(key: bytes) -> str:
    """Give a key's id."""
    return key_id(key).hex()


def ring(**seeds: bytes) -> Ring:
    """Give the ring of a host that begins with these keys."""
    return Ring({}).seeded(seeds, 5.0)


def mesh(*offered: bytes, parent: bytes = OLD) -> NetworkRing:
    """Give the mesh's ring that has OLD in use, after these were offered."""
    made = ring(mesh=OLD).networks["mesh"]
    for key in offered:
        made = made.taken(key, name(parent), since_s=6.0, is_forced=False)
    return made


class TestFollowing:
    def test_without_keys_of_their_own_all_follow_the_mesh(self) -> None:
        """The snoop networks have the mesh's keys in their order, the system one derived from each."""
        both = ring(mesh=OLD).changed("mesh", mesh(NEW).using(name(NEW)))

        assert [(NEW, OLD)] * 3 == [both.keys_of(network) for network in ("mesh", "snoop_trace", "snoop_spy")]
        assert (system_key(NEW), system_key(OLD)) == both.keys_of("system")
        assert {"mesh": [name(NEW), name(OLD)]} == both.ids()

    def test_a_network_with_keys_of_its_own_follows_nobody(self) -> None:
        """What the mesh does is nothing to it."""
        own = ring(mesh=OLD, snoop_trace=TRACE, system=SYSTEM).changed("mesh", mesh(NEW))

        assert ((TRACE,), (SYSTEM,)) == (own.keys_of("snoop_trace"), own.keys_of("system"))
        assert ["", "", "mesh", ""] == [own.follows(n) for n in ("mesh", "snoop_trace", "snoop_spy", "system")]

    def test_without_a_mesh_nothing_follows(self) -> None:
        """A host that only sees traces has two networks."""
        assert {"snoop_trace", "system"} == KeyRing(ring(snoop_trace=TRACE, system=SYSTEM)).keys.keys()


class TestRotation:
    def test_who_has_both_keys_agrees_which_is_later(self) -> None:
        """Two rotations that were begun at once: whichever came first, the same one wins."""
        assert mesh(NEW, THIRD).latest == mesh(THIRD, NEW).latest
        assert mesh(NEW, THIRD).latest.id == max(name(NEW), name(THIRD))

    def test_the_key_of_a_later_rotation_is_later(self) -> None:
        """Whatever its id: it was wrapped under the one before."""
        for one, other in ((NEW, THIRD), (THIRD, NEW)):
            rotated = mesh(one).using(name(one)).taken(other, name(one), since_s=7.0, is_forced=False)
            assert name(other) == rotated.latest.id

    def test_a_key_that_is_no_later_is_not_taken(self) -> None:
        """The loser of two rotations, once the winner is in use."""
        loser, winner = sorted((NEW, THIRD), key=name)
        used = mesh(winner).using(name(winner))

        assert used == used.taken(loser, name(OLD), since_s=7.0, is_forced=False)

    def test_a_retired_key_and_one_of_an_unknown_parent_are_not_taken(self) -> None:
        """Offers may be recorded, and come again later."""
        settled = mesh(NEW).using(name(NEW)).settled()

        assert ((name(OLD),), [NEW]) == (settled.retired, [key.key for key in settled.keys])
        assert settled == settled.taken(OLD, name(NEW), since_s=7.0, is_forced=False)
        assert settled == settled.taken(THIRD, name(OLD), since_s=7.0, is_forced=False)

    def test_force_can_be_added_and_not_taken_away(self) -> None:
        """An offer that came before the force may come behind it."""
        forced = mesh(NEW).taken(NEW, name(OLD), since_s=8.0, is_forced=True)

        assert [False, True] == [key.is_forced for key in forced.keys]
        assert forced == forced.taken(NEW, name(OLD), since_s=9.0, is_forced=False)

    def test_keys_are_bounded(self) -> None:
        """A member that begins rotations without end fills no ring."""
        others = sorted((bytes([n]) * 32 for n in range(100, 99 + MAX_KEYS)), key=name)
        with pytest.raises(KeysError, match="wait until older ones have retired") as caught:
            mesh(*others, b"x" * 32)
        assert "too_many_keys" == caught.value.code

    def test_what_people_lay_down_is_alone(self) -> None:
        """All others are retired; the same key again changes nothing."""
        rotating = ring(mesh=OLD).changed("mesh", mesh(NEW))
        replaced = rotating.replaced("mesh", THIRD, 9.0)

        assert ((THIRD,), (name(OLD), name(NEW))) == (replaced.keys_of("mesh"), replaced.networks["mesh"].retired)
        assert replaced == replaced.replaced("mesh", THIRD, 10.0)


class TestSeeds:
    def test_a_seed_that_is_known_changes_nothing(self) -> None:
        """In use, accepted or retired: after a rotation the key file holds an old key, and a start must not go back."""
        rotating = ring(mesh=OLD).changed("mesh", mesh(NEW).using(name(NEW)))
        settled = rotating.changed("mesh", rotating.networks["mesh"].settled())

        assert [rotating, rotating, settled] == [
            rotating.seeded({"mesh": OLD}, 9.0),
            rotating.seeded({"mesh": NEW}, 9.0),
            settled.seeded({"mesh": OLD}, 9.0),
        ]

    def test_a_seed_that_is_new_replaces_the_networks_keys(self) -> None:
        """The operator wrote it; other networks keep theirs."""
        rotating = ring(mesh=OLD, snoop_trace=TRACE).changed("mesh", mesh(NEW))
        seeded = rotating.seeded({"mesh": THIRD, "snoop_trace": TRACE}, 9.0)

        assert {"mesh": [name(THIRD)], "snoop_trace": [name(TRACE)]} == seeded.ids()


class TestFollowers:
    def test_keys_follow_the_ring_while_it_changes(self) -> None:
        """Who holds a network's keys seals with the new one at once; a network that did not change is told nothing."""
        held = KeyRing(ring(mesh=OLD, snoop_trace=TRACE))
        told: list[str] = []
        for network, keys in held.keys.items():
            keys.on_change.append(lambda network=network: told.append(network))  # type: ignore[misc]
        held.apply(held.ring.changed("mesh", mesh(NEW).using(name(NEW))))

        assert ["mesh", "snoop_spy", "system"] == told
        assert (system_key(NEW), OLD) == (held.keys["system"].in_use, held.keys["mesh"].find(key_id(OLD)))
        assert [TRACE] == list(held.keys["snoop_trace"])


class TestStorage:
    def test_what_is_stored_is_read(self) -> None:
        """A rotation on its way, forced, with what was retired before."""
        rotating = ring(mesh=OLD, system=SYSTEM).changed("mesh", mesh(NEW).taken(NEW, "", since_s=1.0, is_forced=True))
        stored = rotating.replaced("system", TRACE, 8.5)

        assert stored == parse_ring(ring_text(stored))
        assert Ring({}) == parse_ring("")

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 2},
            {"networks": []},
            {"networks": {"other": {"in_use": name(OLD), "retired": [], "keys": []}}},
            {"networks": {"mesh": {"in_use": "00000000", "retired": [], "keys": []}}},
            {"networks": {"mesh": {"in_use": name(OLD), "retired": [7], "keys": []}}},
        ],
    )
    def test_what_is_no_ring_is_told(self, change: dict[str, object]) -> None:
        """And nothing of it is repeated."""
        with pytest.raises(DocumentError, match="not a ring of keys"):
            parse_ring(json.dumps(json.loads(ring_text(ring(mesh=OLD))) | change))

    @given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
    def test_any_document_is_a_ring_or_an_error(self, networks: object) -> None:
        """Nothing else comes of a damaged file."""
        try:
            parse_ring(json.dumps({"networks": networks}))
        except DocumentError:
            pass

    def test_a_ring_shows_no_key(self) -> None:
        """Printed or logged, it names ids at most."""
        assert repr(OLD)[2:-1] not in repr(ring(mesh=OLD))

    @pytest.mark.parametrize(
        ("text", "fault"), [("!", "is not base64"), ("aGk=", "holds 2 bytes"), ("h\u00fc", "base64")]
    )
    def test_what_is_no_key_is_told_and_not_shown(self, text: str, fault: str) -> None:
        """As a key file has it, or as it comes from mirosctl."""
        with pytest.raises(ValueError, match=fault):
            parse_key(text)
