import pytest

from mirosd.localapi import census as census_module
from mirosd.localapi.census import LINES_PER_PERIOD, PERIOD_S, Census
from mirosd_client.errors import DaemonRefusedError

ID = b"i" * 16


class Member:
    """A session as the census sees it."""

    def __init__(self, uid: int, unsent_bytes: int = 0, subscription_count: int = 0, is_gone: bool = False) -> None:
        self.uid, self.unsent_bytes, self.subscription_count, self.is_gone = (
            uid,
            unsent_bytes,
            subscription_count,
            is_gone,
        )
        self.fate = ""

    def is_peer_gone(self) -> bool:
        return self.is_gone

    def drop(self) -> None:
        self.fate = "dropped"

    def overrun(self, message: str) -> None:
        self.fate, self.unsent_bytes = "overrun", 0


def census_of(*members: Member) -> Census:
    census = Census(connections_per_uid=3, queues_per_uid=4, unsent_bytes_per_uid=100)
    for member in members:
        census.enter(member)
    return census


def test_a_uid_has_its_own_bound_of_connections() -> None:
    """The fourth connection of a uid is refused, and counted until it is gone; another uid has its own three."""
    refused = Member(1)
    census = census_of(Member(1), Member(1), Member(1), Member(2))
    with pytest.raises(DaemonRefusedError) as caught:
        census.enter(refused)

    assert caught.value.code == "too_many_connections"
    census.enter(Member(2))
    assert len(census.members()) == 6
    census.leave(refused)
    assert len(census.members()) == 5


def test_a_client_id_has_one_live_connection() -> None:
    """A second claim is refused while the first holder lives, and granted when it has released the id."""
    first, second = Member(1), Member(1)
    census = census_of(first, second)
    census.claim(first, ID)
    with pytest.raises(DaemonRefusedError) as caught:
        census.claim(second, ID)

    assert caught.value.code == "already_connected"
    census.release(second, ID)  # not its own: nothing happens
    with pytest.raises(DaemonRefusedError):
        census.claim(second, ID)
    census.release(first, ID)
    census.claim(second, ID)
    assert first.fate == ""


def test_a_holder_whose_peer_is_gone_makes_room() -> None:
    """A connection that is dead but not yet buried is dropped in favour of the new one."""
    dead, new = Member(1, is_gone=True), Member(1)
    census = census_of(dead, new)
    census.claim(dead, ID)
    census.claim(new, ID)

    assert dead.fate == "dropped"
    census.release(dead, ID)
    with pytest.raises(DaemonRefusedError):
        census.claim(Member(1), ID)


def test_a_client_id_belongs_to_the_user_who_had_it_first() -> None:
    """Another user who shows the same secret is refused, whether the first is connected or not."""
    census = census_of()
    mine = Member(1)
    census.claim(mine, ID)
    for _ in range(2):
        with pytest.raises(DaemonRefusedError) as caught:
            census.claim(Member(2), ID)
        assert caught.value.code == "foreign_client"
        census.release(mine, ID)


def test_the_memory_of_owners_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest owner is forgotten first; one that came back counts as new."""
    monkeypatch.setattr(census_module, "REMEMBERED_OWNERS", 2)
    census = census_of()
    ids = [bytes([n]) * 16 for n in range(3)]
    for number in (0, 1, 0, 2):
        member = Member(1)
        census.claim(member, ids[number])
        census.release(member, ids[number])

    census.claim(Member(2), ids[1])
    with pytest.raises(DaemonRefusedError):
        census.claim(Member(2), ids[2])


def test_a_loop_that_is_refused_fills_no_log() -> None:
    """Each uid has its lines in a minute; the first one after that says how many were left out."""
    census = census_of()
    said = [census.say(1, now_s) for now_s in range(30)]

    assert [0] * LINES_PER_PERIOD + [None] * (30 - LINES_PER_PERIOD) == said
    assert 0 == census.say(2, 30.0)
    assert census.say(1, PERIOD_S - 0.1) is None
    assert 30 - LINES_PER_PERIOD + 1 == census.say(1, PERIOD_S)
    assert 0 == census.say(1, PERIOD_S)


def test_the_memory_of_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more uids than are remembered, the one that was told of least lately begins anew."""
    monkeypatch.setattr(census_module, "REMEMBERED_TALKS", 2)
    census = census_of()
    for uid in (*[1] * LINES_PER_PERIOD, *[2] * LINES_PER_PERIOD, 1, 3):
        census.say(uid, 0.0)

    assert census.say(1, 0.0) is None
    assert 0 == census.say(2, 0.0)


def test_queues_are_counted_over_all_sessions_of_a_uid() -> None:
    """Four subscriptions are the bound, wherever they are; another uid's do not count."""
    one, other = Member(1, subscription_count=3), Member(2, subscription_count=9)
    census = census_of(one, other)
    census.check_queues(one)
    census.enter(Member(1, subscription_count=1))

    with pytest.raises(DaemonRefusedError) as caught:
        census.check_queues(one)
    assert caught.value.code == "too_many_subscriptions"


def test_the_slowest_readers_go_first_and_no_more_than_needed() -> None:
    """Above the bound the session with the most unsent bytes is dropped, whichever wrote; the others stay."""
    small, large, writer, stranger = Member(1, 30), Member(1, 70), Member(1, 20), Member(2, 99)
    census = census_of(small, large, writer, stranger)
    census.check_unsent(writer)

    assert [member.fate for member in (small, large, writer, stranger)] == ["", "overrun", "", ""]


def test_the_bound_itself_is_allowed() -> None:
    """Exactly the bound of unsent bytes costs nobody a connection."""
    member = Member(1, 100)
    census_of(member).check_unsent(member)

    assert member.fate == ""
