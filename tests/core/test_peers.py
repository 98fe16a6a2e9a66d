"""What is known of a peer gives its state, its row, and whether events are kept for it."""

import pytest

from mirosd.core.peer_rows import address_row, clock_skew_detail, peer_row
from mirosd.core.peers import Seen, Standing, is_owed, next_change_s, owed_until_s, standing
from mirosd.payloads import Introduction


def introduction(start=1, name="h2", ahead_s=0.0):
    return Introduction("n2", name, start, "0.1.0", ("mesh",), ahead_s)


def seen(**facts):
    return Seen(introduction(), **facts)


@pytest.mark.parametrize(
    ("facts", "state", "reason"),
    [
        ({"heard_s": 96.0, "routed_s": 99.0}, "alive", ""),
        ({"heard_s": 99.0}, "one-way(in)", ""),
        ({"heard_s": 99.0, "proved_s": 99.0}, "one-way(in)", ""),
        ({"heard_s": 99.0, "routed_s": 95.0}, "one-way(in)", ""),
        ({"proved_s": 99.0}, "one-way(out)", ""),
        ({"proved_s": 50.0, "routed_s": 99.0}, "one-way(out)", ""),
        ({"heard_s": 95.0, "routed_s": 99.0}, "failed", "silent"),
        ({"proved_s": 95.0}, "failed", "silent"),
        ({}, "failed", "silent"),
        ({"heard_s": 99.0, "routed_s": 98.0, "returned": True}, "failed", "crashed"),
        ({"heard_s": 50.0, "returned": True}, "failed", "crashed"),
        ({"heard_s": 99.0, "routed_s": 99.0, "down": "lost"}, "suspect", "broker"),
        ({"heard_s": 99.0, "down": "auth"}, "suspect", "auth"),
        ({"heard_s": 90.0, "down": "lost"}, "failed", "silent"),
        ({"heard_s": 99.0, "routed_s": 99.0, "returned": True, "down": "lost", "left": True}, "left", ""),
    ],
)
def test_a_state_follows_from_what_was_last_seen(facts, state, reason):
    """Left before crashed before silent before broker before the directions."""
    assert Standing(state, reason) == standing(seen(**facts), 100.0)


def test_the_next_change_is_when_the_first_recent_sign_grows_old():
    """A timer is set for it; without a recent sign there is nothing to wait for."""
    assert 101.0 == next_change_s(seen(heard_s=99.0, routed_s=96.0, proved_s=50.0), 100.0)
    assert next_change_s(seen(heard_s=95.0), 100.0) is None
    assert next_change_s(seen(), 100.0) is None


@pytest.mark.parametrize(
    ("facts", "owed"),
    [
        ({"heard_s": 41.0}, True),
        ({"routed_s": 41.0, "heard_s": 1.0}, True),
        ({"proved_s": 41.0, "returned": True, "down": "lost"}, True),
        ({"heard_s": 40.0}, False),
        ({"heard_s": 99.0, "left": True}, True),
        ({}, False),
    ],
)
def test_events_are_kept_until_60_s_after_the_last_sign(facts, owed):
    """Liveness is for people, the delivery set is for events: crashed, suspect and left change nothing in it."""
    assert owed == is_owed(seen(**facts), 100.0)


def test_a_node_that_gave_no_sign_is_owed_nothing():
    """Without a sign there is no time from which to keep."""
    assert float("-inf") == owed_until_s(seen())


def test_older_heartbeats_and_farewells_are_ignored():
    """Only a later start, or the same start further on, is news."""
    peer = seen()

    assert peer.hear(introduction(start=2), 5, 1.5, now_s=1.0)
    assert not peer.hear(introduction(start=2), 5, None, now_s=2.0)
    assert not peer.hear(introduction(start=1), 9, None, now_s=2.0)
    assert not peer.leave(2, 4)
    assert (1.0, 1.5, False) == (peer.heard_s, peer.rtt_ms, peer.left)
    assert peer.leave(2, 6)
    assert not peer.hear(introduction(start=2), 6, None, now_s=3.0)
    assert peer.left
    assert peer.hear(introduction(start=3), 1, None, now_s=4.0)
    assert (False, 1.5, 3) == (peer.left, peer.rtt_ms, peer.introduction.start)


def test_a_restarted_daemon_has_got_nothing_yet():
    """What was routed went to its predecessor's queue."""
    peer = seen(routed_s=9.0, returned=True)
    peer.hear(introduction(start=2), 1, None, now_s=10.0)

    assert (None, False) == (peer.routed_s, peer.returned)
    assert Standing("one-way(in)") == standing(peer, 10.0)


def test_a_crashed_daemon_is_alive_when_its_successor_was_heard():
    """That a heartbeat is taken again says no more than that somebody is there: what was heard was its predecessor."""
    peer = seen(heard_s=9.0, routed_s=8.0, returned=True)
    peer.reach(9.5)
    assert Standing("one-way(out)") == standing(peer, 9.6)
    peer.hear(introduction(start=2), 1, None, now_s=9.7)
    peer.reach(10.0)

    assert Standing("alive") == standing(peer, 10.0)


def test_a_proof_ends_what_went_before():
    """A node that answers a challenge has neither left nor crashed, and its old silence is over."""
    peer = seen(heard_s=1.0, left=True, returned=True, down="lost")
    peer.prove(introduction(start=2), 100.0)

    assert Standing("one-way(out)") == standing(peer, 100.0)


def test_a_proof_does_not_bring_back_an_older_self():
    """An answer that a restart has overtaken changes no name and no network."""
    peer = Seen(introduction(start=3, name="new"))
    peer.prove(introduction(start=2, name="old"), 1.0)

    assert "new" == peer.introduction.name


def test_a_node_whose_counter_went_back_is_heard_again():
    """A proof counts from its start on if the later one has been silent: of a clone, or before a backup came back."""
    peer = Seen(introduction(start=4))
    peer.hear(introduction(start=9), 40, None, now_s=100.0)
    peer.prove(introduction(start=4), 104.0)
    assert not peer.hear(introduction(start=4), 1, None, now_s=104.5)
    peer.prove(introduction(start=4), 110.0)

    assert peer.hear(introduction(start=4), 1, None, now_s=111.0)
    assert 4 == peer.introduction.start


def test_a_row_shows_all_addresses_and_sources_sorted():
    """One node, one line, however many ways lead to it (D21)."""
    peer = seen(addresses={"b", "a"}, rtt_ms=0.7, shown_s=3.0, stages=("s",))
    row = peer_row(peer, Standing("alive"), ["manual", "lan"])

    assert ("n2", "h2", "a, b", "alive", "") == (row.node, row.name, row.address, row.state, row.reason)
    assert (("lan", "manual"), ("mesh",), 0.7, 3.0, ("s",), "2") == (
        row.sources,
        row.networks,
        row.rtt_ms,
        row.last_heard_s,
        row.stages,
        row.wire,
    )


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (None, "candidate", ""),
        ("resolve", "scouting", "resolve"),
        ("tcp(refused)", "scouting", "tcp(refused)"),
        ("daemon", "scouting", "daemon"),
        ("auth", "refused", "auth"),
        ("tls(certificate)", "refused", "tls(certificate)"),
        ("self", "refused", "self"),
    ],
)
def test_an_address_without_a_node_shows_its_last_verdict(code, state, reason):
    """Nobody there yet is scouting; an answer that says no is refused."""
    row = address_row("10.0.0.7", ["manual"], code, ())

    assert ("", "10.0.0.7", state, reason) == (row.node, row.address, row.state, row.reason)


def test_clocks_more_than_a_minute_off_are_named():
    """Either way, and nobody else's."""
    clocks = [introduction(name=name, ahead_s=s) for name, s in (("b", 75.4), ("a", -3600.0), ("c", 60.0), ("d", 0.0))]

    assert "a is 3600 s behind, b is 75 s ahead" == clock_skew_detail(clocks)
    assert "" == clock_skew_detail(clocks[2:])


def test_a_heartbeat_takes_no_proved_network_away():
    """A heartbeat proves the system key alone: the networks stay those that the scout proved."""
    peer = seen()
    peer.hear(introduction()._replace(networks=()), 1, None, 100.0)

    assert ("mesh",) == peer.introduction.networks
