"""A peer's life: what was seen of it is its state, and it goes once each time it goes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.charts import peer_life
from mirosd.charts.peer_life import PeerLife
from mirosd.core.peers import Seen
from mirosd.payloads import PeerGonePayload
from mirosd.signals import Public
from mirosd_client.shell.testing import check_structure
from tests.charts.fakes import introduction, node_of
from tests.charts.peer_play import PeerPlay

ENDS = ("lost",)
SETTLED = (*ENDS, "left", "barred", "alive", "one_way_in", "one_way_out", "suspect", "failed")
LIFE_STATES = [getattr(peer_life, name) for name in ("known", "timed", "owed", *SETTLED)]


def test_structure():
    """Every state names its parent, and swallows nothing it does not know."""
    check_structure(PeerLife(PeerPlay().chart, Seen(introduction("a"))), LIFE_STATES)


def test_a_life_is_a_trace():
    """The states of the region are the design's; its name in the trace is the node's id."""
    play = PeerPlay()
    play.both_ways("a")
    play.sign("peer_link_down", "a", detail="lost")
    play.left("a")

    assert [
        (node_of("a"), "AMQP_CONSUMER_CHECK", "one_way_out"),
        (node_of("a"), "peer_heard", "one_way_in"),
        (node_of("a"), "peer_routed", "alive"),
        (node_of("a"), "peer_link_down", "suspect"),
        (node_of("a"), "peer_left", "left"),
    ] == [(r.chart, r.signal, r.end_state) for r in play.play.records if r.signal]


def test_both_directions_keep_a_peer_alive():
    """An hour of heartbeats changes no state and publishes nothing; there are two timers at most."""
    play = PeerPlay("a")
    play.both_ways("a")
    moves = len(play.play.moves)
    play.beat("a", 3600)

    assert (moves, ("alive", ""), []) == (len(play.play.moves), play.state, play.gone)
    assert 2 == play.timers


def test_a_returned_heartbeat_means_that_the_daemon_crashed():
    """Known at once, although it was heard a moment ago; its next life begins with its next heartbeat."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.sign("peer_returned", "a")
    assert ("failed", "crashed") == play.state
    play.elapse(10.0)
    assert ("failed", "crashed") == play.state
    play.heard("a", start=2, sequence=1)
    assert ("one-way(in)", "") == play.state
    play.sign("peer_routed", "a")
    assert (("alive", ""), []) == (play.state, play.gone)


@pytest.mark.parametrize(("code", "reason"), [("lost", "broker"), ("tcp(refused)", "broker"), ("auth", "auth")])
def test_a_lost_link_makes_a_peer_suspect_until_it_is_up(code, reason):
    """Its broker went; what changes is the table and nothing else."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.sign("peer_link_down", "a", detail=code)
    assert ("suspect", reason) == play.state
    play.sign("peer_link_up", "a")

    assert (("alive", ""), []) == (play.state, play.gone)


def test_a_broker_in_alarm_makes_its_peers_suspect_until_it_reads_again():
    """It is heard and not reached; its silence is counted as ever, and nothing is searched anew."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.sign("peer_blocked", "a", detail="low on memory")
    assert ("suspect", "blocked") == play.state
    for _ in range(30):
        play.elapse(1.0)
        play.heard("a")
    assert ("suspect", "blocked") == play.state
    play.sign("peer_blocked", "a", detail="")
    play.sign("peer_routed", "a")
    assert (("alive", ""), [], []) == (play.state, play.gone, play.said(Public.PEER_ADRIFT))

    play.sign("peer_blocked", "a", detail="low on disk")
    play.elapse(5.1)
    assert ("failed", "silent") == play.state


def test_five_seconds_of_silence_are_a_failure():
    """Not 4.9; and a late heartbeat makes it alive again."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.elapse(2.0)
    play.heard("a")
    for _ in range(4):
        play.elapse(1.0)
        play.sign("peer_routed", "a")
    play.elapse(0.9)
    assert ("alive", "") == play.state
    play.elapse(0.2)
    assert ("failed", "silent") == play.state
    play.heard("a")
    assert ("alive", "") == play.state


def test_a_peer_that_does_not_hear_us_is_one_way():
    """Heard for ever, never routed, is one-way(in); routed for ever, never heard, one-way(out); neither is gone."""
    play = PeerPlay()
    play.check("out")
    for _ in range(100):
        play.elapse(1.0)
        play.heard("in")
        play.sign("peer_routed", "out")

    assert [("name-in", "one-way(in)", ""), ("name-out", "one-way(out)", "")] == play.rows
    assert [] == play.gone


def test_our_heartbeats_being_lost_is_seen_after_five_seconds():
    """Without news of ours it is one-way(in), whatever was routed before."""
    play = PeerPlay()
    play.both_ways("a")
    for _ in range(6):
        play.elapse(1.0)
        play.heard("a")

    assert ("one-way(in)", "") == play.state


def test_after_a_minute_of_silence_a_peer_is_gone_once():
    """PEER_GONE says its node and addresses; a listed one keeps its row, then begins again with its next proof."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.elapse(59.9)
    assert ([], ("failed", "silent")) == (play.gone, play.state)
    play.elapse(0.2)
    assert [PeerGonePayload(node_of("a"), ("a",))] == play.gone
    play.elapse(3600.0)
    assert (("failed", "silent"), 1) == (play.state, len(play.gone))

    play.check("a")
    assert ("one-way(out)", "") == play.state
    play.elapse(60.1)
    assert 2 == len(play.gone)


def test_a_farewell_ends_a_peer():
    """left at once, PEER_GONE when its queues are gone; heartbeats from before it are ignored (design section 4)."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.heard("a", start=3, sequence=7)
    play.sign("peer_left", "a", start=3, sequence=6)
    play.sign("peer_left", "a", start=2, sequence=9)
    assert "left" != play.state[0]
    play.sign("peer_left", "a", start=3, sequence=8)
    assert (("left", ""), 0) == (play.state, len(play.gone))
    play.heard("a", start=3, sequence=8)
    play.sign("peer_routed", "a")
    play.elapse(3600.0)
    assert (("left", ""), 1) == (play.state, len(play.gone))

    play.heard("a", start=4, sequence=1)
    assert ("one-way(in)", "") == play.state


def test_a_farewell_that_comes_too_late_changes_the_reason_only():
    """It was gone already: no second PEER_GONE."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.elapse(60.1)
    play.left("a")

    assert (("left", ""), 1) == (play.state, len(play.gone))


def test_older_heartbeats_are_ignored():
    """A repeat, and one of an earlier start, are not signs of life."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.heard("a", start=2, sequence=5)
    play.elapse(4.0)
    play.heard("a", start=2, sequence=5)
    play.heard("a", start=1, sequence=9)
    play.elapse(1.1)

    assert ("failed", "silent") == play.state


HOSTS = st.sampled_from("ab")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["heard", "old", "routed", "returned", "up", "down", "left", "prove", "fail", "refuse", "wait", "long"]
        ),
        HOSTS,
        st.integers(1, 3),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_any_order_of_signs_keeps_the_promises(steps):
    """No exception; PEER_GONE once per going; the listed row always there; an hour later all is quiet."""
    play = PeerPlay("a")
    for step, host, start in steps:
        match step:
            case "heard":
                play.heard(host, start=start)
            case "old":
                play.heard(host, sequence=1, start=start)
            case "routed" | "returned":
                play.sign(f"peer_{step}", host)
            case "up" | "down":
                play.sign(f"peer_link_{step}", host, detail="lost")
            case "left":
                play.left(host, start=start)
            case "prove":
                play.check(host, who=introduction(host, start=start))
            case "fail":
                play.check(host, "tcp(refused)")
            case "refuse":
                play.check(host, "key")
            case "wait":
                play.elapse(start)
            case "long":
                play.elapse(30.0 * start)
        assert {life.state.fun.__name__ for life in play.chart.table.lives.values()} <= set(SETTLED)
        assert any("a" in row.address for row in play.board.rows)
    began = {record.chart for record in play.play.records} - {"peer_chart"}
    play.elapse(3600.0)

    assert 0 == play.timers
    assert began == {payload.node for payload in play.gone}
    going = [r for r in play.play.records if r.end_state in ENDS and r.start_state not in ENDS]
    assert [r.chart for r in going] == [payload.node for payload in play.gone]
