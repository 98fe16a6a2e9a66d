"""Who has which keys: whom a rotation waits for, and why."""

from typing import Any

import pytest

from mirosd.core.cache_document import DocumentError
from mirosd.core.key_holders import NOTED_S, SEEN_S, Holder, Holders
from mirosd.core.key_ring import Ring, RingKey
from mirosd.core.seal import key_id

OLD, NEW, OTHER = (bytes([n]) * 32 for n in range(1, 4))
OLD_ID, NEW_ID, OTHER_ID = (key_id(key).hex() for key in (OLD, NEW, OTHER))
NOW_S = 100.0


def rotating(**seeds: bytes) -> tuple[Ring, RingKey]:
    """Give the ring of a host that has taken NEW for the mesh, and that key."""
    ring = Ring({}).seeded({"mesh": OLD} | seeds, 0.0)
    mesh = ring.networks["mesh"].taken(NEW, OLD_ID, since_s=1.0, is_forced=False)
    return ring.changed("mesh", mesh), mesh.latest


def lacks(keys: dict[str, list[str]], *, takes: bool = True, heard_s: float = NOW_S, **seeds: bytes) -> str:
    """Say why a host with these keys would lose touch if NEW were in use."""
    ring, key = rotating(**seeds)
    return Holder("h2", keys, takes, 0.0, heard_s).lacks("mesh", key, ring, NOW_S)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"mesh": [OLD_ID, NEW_ID]}, ""),
        ({"mesh": [NEW_ID]}, ""),
        ({"mesh": [OLD_ID]}, "it is about to take it"),
        ({"mesh": [OTHER_ID]}, ""),  # another mesh
        ({"snoop_trace": [OTHER_ID]}, ""),
        ({"mesh": [OLD_ID, NEW_ID], "snoop_trace": [OLD_ID]}, "it is about to take it"),  # ours follows the mesh
        ({"mesh": [OLD_ID, NEW_ID], "snoop_trace": [OTHER_ID]}, ""),
        ({"snoop_trace": [OTHER_ID], "system": [OTHER_ID]}, "its system key is one of its own, and would not follow"),
        ({}, "its mirosd knows no rotations"),
    ],
)
def test_who_lacks_a_key_and_why(keys: dict[str, list[str]], why: str) -> None:
    """Whoever could not open what the new key seals, on the network or on one that follows it."""
    assert why == lacks(keys)


def test_it_is_told_who_will_not_take_a_key_and_who_does_not_answer() -> None:
    """So that people know what to do."""
    assert "keys.accept_remote is false there" == lacks({"mesh": [OLD_ID]}, takes=False)
    assert "it does not answer" == lacks({"mesh": [OLD_ID]}, heard_s=NOW_S - 6)


def test_with_system_keys_of_their_own_nobody_loses_touch() -> None:
    """The mesh's rotation is nothing to the system then."""
    assert "" == lacks({"snoop_trace": [OTHER_ID], "system": [OTHER_ID]}, system=OTHER)


def test_an_old_key_is_used_until_the_last_has_changed() -> None:
    """But by who was not waited for in a forced rotation, and by members of other networks."""

    def uses(*ids: str, is_forced: bool = False) -> bool:
        ring, key = rotating()
        mesh = ring.networks["mesh"].taken(key.key, OLD_ID, since_s=1.0, is_forced=is_forced).using(NEW_ID)
        return Holder("h2", {"mesh": ids}, True, 0.0).uses("mesh", ring.changed("mesh", mesh))

    assert [True, False, False, True] == [uses(NEW_ID, OLD_ID), uses(OLD_ID, NEW_ID), uses(OLD_ID), uses(OTHER_ID)]
    assert [True, False] == [uses(OLD_ID, is_forced=True), uses(OLD_ID, NEW_ID, is_forced=True)]


def hear(holders: Holders, node: str = "b", wall_s: float = 10.0, **more: Any) -> bool:
    """Have a host heard."""
    said: dict[str, Any] = {"keys": {"mesh": [OLD_ID], "junk": ["x"]}, "takes": True, "now_s": 1.0} | more
    return holders.heard(node, "h2", wall_s=wall_s, **said)


def test_who_was_seen_within_a_day_counts_through_a_restart() -> None:
    """With its keys and its name; what is no network of ours is left out."""
    before, after = Holders(), Holders()
    hear(before)
    after.restore(before.text())

    [(node, holder)] = after.seen(10.0 + SEEN_S - 1).items()
    assert ("b", "h2", {"mesh": [OLD_ID]}, True) == (node, holder.name, holder.keys, holder.takes)
    assert {} == after.seen(10.0 + SEEN_S)


def test_it_is_written_when_it_says_something_new_and_once_an_hour() -> None:
    """Heartbeats come each second, and a memory card wears out."""
    holders = Holders()

    assert [True, False] == [hear(holders), hear(holders, wall_s=11.0)]
    assert [True, False] == [hear(holders, wall_s=11.0 + NOTED_S), hear(holders, wall_s=12.0 + NOTED_S)]
    assert hear(holders, wall_s=13.0 + NOTED_S, keys={"mesh": [NEW_ID]})


@pytest.mark.parametrize("text", ["[]", '{"b": {}}', '{"b": {"name": 1, "keys": {}, "takes": true, "seen_s": 1}}'])
def test_what_is_no_table_is_told(text: str) -> None:
    """A damaged file is a warning of who reads it."""
    with pytest.raises(DocumentError):
        Holders().restore(text)
