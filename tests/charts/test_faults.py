"""What befalls a peer, and what the table says of it: state, reason, and when, exactly."""

import pytest

from mirosd.core.peers import GONE_AFTER_S
from mirosd.payloads import PeerGonePayload, PeerSign
from mirosd.signals import Public
from tests.charts.fakes import introduction, node_of
from tests.charts.peer_play import PeerPlay


def alive():
    """A listed peer, alive for a minute, and heard this very second."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.beat("a", 60)
    assert ("alive", "") == play.state
    return play


def own(play, signal, detail=""):
    play.play.tell(signal, PeerSign("", detail=detail))


def until_changed(play, most_s):
    """Let time pass in steps that add up exactly, nobody saying anything; how long the state stood."""
    before, began_s = play.state, play.play.reactor.now()
    while play.state == before and play.play.reactor.now() - began_s < most_s:
        play.elapse(1 / 64)
    return play.play.reactor.now() - began_s


def test_its_broker_is_killed():
    """suspect(broker), for as long as it is heard by ours; alive again with the link."""
    play = alive()
    play.sign("peer_link_down", "a", detail="lost")
    assert ("suspect", "broker") == play.state
    for _ in range(300):
        play.elapse(1.0)
        play.heard("a")
    assert (("suspect", "broker"), []) == (play.state, play.gone)
    play.sign("peer_link_up", "a")
    play.sign("peer_routed", "a")

    assert (("alive", ""), [1]) == (play.state, [row.flaps for row in play.board.rows])


def test_its_daemon_is_killed():
    """failed(crashed) with the first heartbeat that comes back; owed until a minute after the last sign."""
    play = alive()
    play.elapse(0.75)
    play.sign("peer_returned", "a")
    assert ("failed", "crashed") == play.state
    play.elapse(59.0)
    assert [] == play.gone
    play.elapse(0.25)

    assert 1 == len(play.gone)


def test_its_link_is_down_for_3_s():
    """alive all the while: five seconds are needed to be sure."""
    play = alive()
    play.elapse(3.0)
    assert ("alive", "") == play.state
    play.heard("a")
    play.sign("peer_routed", "a")

    assert (("alive", ""), [0]) == (play.state, [row.flaps for row in play.board.rows])


def test_it_is_unplugged():
    """failed(silent) after exactly 5 s, gone after exactly 60; the row of a listed host stays."""
    play = alive()
    assert 5.0 == until_changed(play, 10.0)
    assert ("failed", "silent") == play.state
    play.elapse(54.75)
    assert [] == play.gone
    play.elapse(0.25)

    assert (1, ("failed", "silent")) == (len(play.gone), play.state)


def test_it_is_unplugged_and_our_link_notices_first():
    """suspect(broker) while its last heartbeat is fresh, then failed(silent)."""
    play = alive()
    play.elapse(2.0)
    play.sign("peer_link_down", "a", detail="lost")
    assert ("suspect", "broker") == play.state
    assert 3.0 == until_changed(play, 10.0)

    assert (("failed", "silent"), [1]) == (play.state, [row.flaps for row in play.board.rows])


def test_it_is_proved_and_then_nothing():
    """one-way(out) for exactly 5 s, then failed(silent): nothing but the proof was ever seen of it."""
    play = PeerPlay("a")
    play.check("a")
    assert ("one-way(out)", "") == play.state
    assert 5.0 == until_changed(play, 10.0)

    assert ("failed", "silent") == play.state


def test_it_is_ended_by_sigterm():
    """left at once; what is sent while it restarts is owed to it for as long as its queues live."""
    play = alive()
    play.left("a")
    assert (("left", ""), 0) == (play.state, len(play.gone))
    play.elapse(GONE_AFTER_S)
    assert (("left", ""), 1, 0) == (play.state, len(play.gone), play.timers)
    own(play, "peer_own_blocked")
    own(play, "peer_own_free")

    assert (("left", ""), 1, 0) == (play.state, len(play.gone), play.timers)


@pytest.mark.parametrize("end", ["left", "returned", "silence"])
def test_it_restarts(end):
    """alive again, as a new incarnation of the same node: one row."""
    play = alive()
    if end == "left":
        play.left("a")
    elif end == "returned":
        play.sign("peer_returned", "a")
    else:
        play.elapse(30.0)
    play.check("a", who=introduction("a", start=2))
    play.heard("a", start=2, sequence=1)
    play.sign("peer_link_up", "a")
    play.sign("peer_routed", "a")
    (row,) = play.board.rows

    assert ("alive", "", 2, 1) == (row.state, row.reason, row.incarnation, row.flaps)


def test_its_hosts_are_to_be_proved_again_once_for_each_loss():
    """PEER_ADRIFT names them, so that a broker that has moved is found; attempts that go on failing say nothing new."""
    play = alive()
    play.check("b", who=introduction("a"))
    for code in ("lost", "tcp(refused)", "tcp(silent)"):
        play.sign("peer_link_down", "a", detail=code)
    assert [PeerGonePayload(node_of("a"), ("a", "b"))] == play.said(Public.PEER_ADRIFT)
    play.sign("peer_link_up", "a")
    play.sign("peer_link_down", "a", detail="lost")

    assert 2 == len(play.said(Public.PEER_ADRIFT))


def test_its_hosts_are_to_be_proved_again_if_our_link_does_not_get_where_it_was_proved():
    """It was there, and has moved on: the proof stands for that moment alone."""
    play = alive()
    play.sign("peer_link_down", "a", detail="lost")
    play.check("b", who=introduction("a"))
    for _ in range(2):
        play.sign("peer_link_down", "a", detail="tcp(refused)")

    assert [("a",), ("b",)] == [payload.hosts for payload in play.said(Public.PEER_ADRIFT)]


def test_its_address_changes():
    """The same node at another address: one row, and where it was before is kept with its age."""
    play = alive()
    play.list("a", "b")
    play.sign("peer_link_down", "a", detail="lost")
    play.elapse(2.0)
    play.heard("a")
    play.check("b", who=introduction("a"))
    play.sign("peer_routed", "a")
    row, candidate = sorted(play.board.rows, key=lambda row: row.state)

    assert ("alive", "b", (("a", 62.0),)) == (row.state, row.address, row.previous)
    assert ("a", "candidate") == (candidate.address, candidate.state)
    play.check("a", "tcp(silent)")
    assert ["b", "a"] == [row.address for row in sorted(play.board.rows, key=lambda row: row.state)]


def test_its_address_changes_back():
    """An earlier address that is proved again is the present one, and no earlier one any more."""
    play = alive()
    for host in ("b", "a"):
        play.sign("peer_link_down", "a", detail="lost")
        play.check(host, who=introduction("a"))
    (row,) = (row for row in play.board.rows if row.node)

    assert ("a", ["b"]) == (row.address, [address for address, _ in row.previous])


def test_earlier_addresses_are_few():
    """The last eight, the latest first."""
    play = alive()
    for n in range(20):
        play.elapse(0.1)
        play.sign("peer_link_down", "a", detail="lost")
        play.check(f"b{n}", who=introduction("a"))
    (row,) = (row for row in play.board.rows if row.node)

    assert [f"b{n}" for n in range(18, 10, -1)] == [address for address, _ in row.previous]


@pytest.mark.parametrize("why", ["blocked", "lost"])
def test_our_own_broker_brings_nothing(why):
    """Nobody is accused however long it lasts; then all have 5 s to be heard again, and who is not is silent."""
    play = alive()
    play.both_ways("b")
    play.elapse(4.0)
    own(play, "peer_own_blocked", why)
    play.elapse(3600.0)
    assert [("name-a", "alive", ""), ("name-b", "alive", "")] == play.rows
    assert 0 == play.timers
    own(play, "peer_own_free")
    play.elapse(4.75)
    assert [("name-a", "alive", ""), ("name-b", "alive", "")] == play.rows
    play.heard("b")
    play.elapse(0.25)
    assert [("name-a", "failed", "silent"), ("name-b", "one-way(in)", "")] == play.rows
    assert [] == play.gone
    play.elapse(60.0)

    assert 2 == len(play.gone)


@pytest.mark.parametrize(("why", "reasons"), [("blocked", ["broker_deaf"]), ("silent", ["broker_deaf"]), ("lost", [])])
def test_people_are_told_why_nobody_can_be_heard(why, reasons):
    """Until our own broker brings messages again; that it is gone is a reason of its own already."""
    play = alive()
    own(play, "peer_own_blocked", why)
    assert reasons == list(play.board.reasons)
    own(play, "peer_own_free")
    assert {} == play.board.reasons


def test_who_was_silent_before_stays_so():
    """Deafness excuses nobody who was accused already; what it owes is counted on where it stood."""
    play = alive()
    play.elapse(30.0)
    own(play, "peer_own_blocked")
    play.elapse(3600.0)
    own(play, "peer_own_free")
    assert ("failed", "silent") == play.state
    play.elapse(29.75)
    assert [] == play.gone
    play.elapse(0.25)

    assert 1 == len(play.gone)


def test_what_is_no_silence_counts_while_we_are_deaf():
    """A returned heartbeat, a lost link and a scout's proof are seen by us, not heard."""
    play = alive()
    own(play, "peer_own_blocked")
    play.sign("peer_returned", "a")
    assert ("failed", "crashed") == play.state
    play.sign("peer_link_down", "a", detail="lost")
    play.sign("peer_routed", "a")
    assert ("suspect", "broker") == play.state
    play.check("b")
    assert ("name-b", "one-way(out)", "") in play.rows
    assert 0 == play.timers
    own(play, "peer_own_free")
    assert 4 == play.timers


def test_our_own_broker_comes_and_goes():
    """A peer that is heard in between is alive throughout; two timers at most."""
    play = alive()
    for _ in range(50):
        own(play, "peer_own_blocked", "blocked")
        own(play, "peer_own_blocked", "lost")
        play.elapse(20.0)
        own(play, "peer_own_free")
        own(play, "peer_own_free")
        play.beat("a", 4)
        assert ("alive", "") == play.state
        assert 2 == play.timers

    assert [0] == [row.flaps for row in play.board.rows]


def test_when_its_state_began_is_shown():
    """On the monotonic clock; a change of the reason alone begins no state."""
    play = alive()
    assert [0.0] == [row.since_s for row in play.board.rows]
    play.elapse(2.0)
    play.sign("peer_returned", "a")
    assert [62.0] == [row.since_s for row in play.board.rows]
    play.elapse(10.0)

    assert (("failed", "crashed"), [62.0]) == (play.state, [row.since_s for row in play.board.rows])


def test_last_heard_is_real_time():
    """However long we were deaf: the reader of the table makes an age of it."""
    play = alive()
    own(play, "peer_own_blocked")
    play.elapse(100.0)
    own(play, "peer_own_free")
    play.elapse(1.0)
    play.heard("a")

    assert [161.0] == [row.last_heard_s for row in play.board.rows]


def test_all_of_it_is_one_chart():
    """hearing and deaf are its states, and the trace says when it was which."""
    play = alive()
    own(play, "peer_own_blocked")
    own(play, "peer_own_free")

    assert [
        (None, "top", "hearing"),
        ("peer_own_blocked", "hearing", "deaf"),
        ("peer_own_free", "deaf", "hearing"),
    ] == [(r.signal, r.start_state, r.end_state) for r in play.play.records if r.chart == "peer_chart"]
