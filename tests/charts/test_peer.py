"""PeerChart: what is seen of each node becomes a row at once, and PEER_GONE once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.charts import peer_life
from mirosd.charts.peer import PeerChart, watching
from mirosd.charts.peer_life import PeerLife
from mirosd.core.peers import Seen
from mirosd.payloads import (
    AMQPConsumerCheckPayload,
    ConnectionDiscoveryPayload,
    HostsListedPayload,
    PeerGonePayload,
    PeerHeard,
    PeerSign,
)
from mirosd.signals import Private, Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import check_structure, threadless
from tests.charts.fakes import STAGES, FakeBoard, introduction, node_of

LIFE_STATES = [
    *(peer_life.known, peer_life.owed, peer_life.gone, peer_life.left, peer_life.lost),
    *peer_life.STATES.values(),
]


class Play:
    """The peers of a daemon, as the bridge and the scouts would tell of them."""

    def __init__(self, *listed):
        self.board = FakeBoard()
        self.chart = PeerChart(self.board)
        self.play = threadless(self.chart)
        self.chart.start()
        self.play.drain()
        self.sequence = 0
        if listed:
            self.list(*listed)

    def publish(self, signal, payload):
        self.play.bus.publish(Event(signal=signal, payload=payload), 1000)
        self.play.drain()

    def list(self, *hosts):
        self.publish(Public.HOSTS_LISTED, HostsListedPayload(hosts))

    def check(self, host, code="", who=None):
        who = None if code else who or introduction(host)
        payload = AMQPConsumerCheckPayload(host, not code, "rk", "ex", code, STAGES, who)
        self.publish(Public.AMQP_CONSUMER_CHECK, payload)

    def heard(self, host, *, start=1, sequence=None, rtt_ms=None, ahead_s=0.0):
        self.sequence += 1
        who = introduction(host, start=start, ahead_s=ahead_s)
        self.play.tell("peer_heard", PeerHeard(who, sequence or self.sequence, rtt_ms))

    def sign(self, signal, host, **fields):
        self.play.tell(signal, PeerSign(node_of(host), **fields))

    def both_ways(self, host):
        self.check(host)
        self.heard(host)
        self.sign("peer_routed", host)

    def beat(self, host, seconds):
        """Both hear each other every second."""
        for _ in range(seconds):
            self.play.elapse(1.0)
            self.heard(host)
            self.sign("peer_routed", host)

    def elapse(self, dt_s):
        self.play.elapse(dt_s)

    def left(self, host, *, start=1):
        self.sequence += 1
        self.sign("peer_left", host, start=start, sequence=self.sequence)

    @property
    def rows(self):
        return [(row.name or row.address, row.state, row.reason) for row in self.board.rows]

    @property
    def state(self):
        (row,) = self.board.rows
        return row.state, row.reason

    @property
    def gone(self):
        return [event.payload for event in self.play.published if event.signal == Public.PEER_GONE]


def test_structure():
    """Every state of the chart and of a life names its parent, and swallows nothing it does not know."""
    play = Play()
    check_structure(play.chart, [watching])
    check_structure(PeerLife(play.chart, Seen(introduction("a"))), LIFE_STATES)


def test_a_listed_peer_from_candidate_to_alive():
    """Each verdict and sign is a row: candidate, scouting(code), one-way(out), one-way(in), alive."""
    play = Play("a")
    assert ("candidate", "") == play.state
    play.check("a", "tcp(refused)")
    assert ("scouting", "tcp(refused)") == play.state
    play.check("a", "auth")
    assert ("refused", "auth") == play.state
    play.check("a")
    assert ("one-way(out)", "") == play.state
    play.heard("a", rtt_ms=0.7)
    assert ("one-way(in)", "") == play.state
    play.sign("peer_routed", "a")
    assert ("alive", "") == play.state

    (row,) = play.board.rows
    assert (node_of("a"), "name-a", "a", ("manual",), ("mesh",), 0.7, STAGES) == (
        row.node,
        row.name,
        row.address,
        row.sources,
        row.networks,
        row.rtt_ms,
        row.stages,
    )


def test_a_life_is_a_trace():
    """The states of the region are the design's; its name in the trace is the node's id."""
    play = Play()
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
    play = Play("a")
    play.both_ways("a")
    moves = len(play.play.moves)
    play.beat("a", 3600)

    assert (moves, ("alive", ""), []) == (len(play.play.moves), play.state, play.gone)
    assert len([timer for timer in play.play.reactor._timers._heap if not timer.is_cancelled]) <= 2 if hasattr(
        play.play.reactor._timers, "_heap"
    ) else True


def test_a_returned_heartbeat_means_that_the_daemon_crashed():
    """Known at once, although it was heard a moment ago; its next life begins with its next heartbeat."""
    play = Play("a")
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
    play = Play("a")
    play.both_ways("a")
    play.sign("peer_link_down", "a", detail=code)
    assert ("suspect", reason) == play.state
    play.sign("peer_link_up", "a")

    assert (("alive", ""), []) == (play.state, play.gone)


def test_five_seconds_of_silence_are_a_failure():
    """Not 4.9; and a late heartbeat makes it alive again."""
    play = Play("a")
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
    play = Play()
    play.check("out")
    for _ in range(100):
        play.elapse(1.0)
        play.heard("in")
        play.sign("peer_routed", "out")

    assert [("name-in", "one-way(in)", ""), ("name-out", "one-way(out)", "")] == play.rows
    assert [] == play.gone


def test_our_heartbeats_being_lost_is_seen_after_five_seconds():
    """Without news of ours it is one-way(in), whatever was routed before."""
    play = Play()
    play.both_ways("a")
    for _ in range(6):
        play.elapse(1.0)
        play.heard("a")

    assert ("one-way(in)", "") == play.state


def test_after_a_minute_of_silence_a_peer_is_gone_once():
    """PEER_GONE says its node and addresses; a listed one keeps its row, then begins again with its next proof."""
    play = Play("a")
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


def test_what_is_not_listed_is_dropped_when_it_is_gone():
    """Its row disappears, and with it its timers: without peers none runs."""
    play = Play()
    play.both_ways("a")
    play.elapse(60.1)

    assert ([], {}, 1) == (play.board.rows, play.chart.lives, len(play.gone))
    assert play.play.reactor._timers.next_due_s() is None


def test_a_row_disappears_with_the_last_listing():
    """A listed peer that is gone, an address that is refused or awaited: no more listed, no more shown."""
    play = Play("gone", "awaited", "dead", "alive")
    play.both_ways("gone")
    play.left("gone")
    play.check("dead", "tcp(silent)")
    play.both_ways("alive")
    play.list()

    assert [("name-alive", "alive", "")] == play.rows


def test_a_farewell_ends_a_peer_at_once():
    """left, and PEER_GONE; heartbeats from before it are ignored (design section 4)."""
    play = Play("a")
    play.both_ways("a")
    play.heard("a", start=3, sequence=7)
    play.sign("peer_left", "a", start=3, sequence=6)
    play.sign("peer_left", "a", start=2, sequence=9)
    assert ("alive", "") != ("left", "") and "left" != play.state[0]
    play.sign("peer_left", "a", start=3, sequence=8)
    assert (("left", ""), 1) == (play.state, len(play.gone))
    play.heard("a", start=3, sequence=8)
    play.sign("peer_routed", "a")
    play.elapse(3600.0)
    assert (("left", ""), 1) == (play.state, len(play.gone))

    play.heard("a", start=4, sequence=1)
    assert ("one-way(in)", "") == play.state


def test_older_heartbeats_are_ignored():
    """A repeat, and one of an earlier start, are not signs of life."""
    play = Play("a")
    play.both_ways("a")
    play.heard("a", start=2, sequence=5)
    play.elapse(4.0)
    play.heard("a", start=2, sequence=5)
    play.heard("a", start=1, sequence=9)
    play.elapse(1.1)

    assert ("failed", "silent") == play.state


def test_signs_of_nobody_are_ignored():
    """What was never heard nor proved has no life to change."""
    play = Play()
    for signal in ("peer_routed", "peer_returned", "peer_link_up", "peer_link_down", "peer_left"):
        play.sign(signal, "ghost", start=1, sequence=1)

    assert ([], []) == (play.board.rows, play.gone)


def test_one_node_at_two_addresses_is_one_row():
    """Two ways lead to it, and PEER_GONE names both (D21)."""
    play = Play("b", "a")
    play.check("b", who=introduction("x"))
    play.check("a", who=introduction("x"))
    assert [("name-x", "one-way(out)", "")] == play.rows
    assert "a, b" == play.board.rows[0].address

    play.elapse(60.1)
    assert [PeerGonePayload(node_of("x"), ("a", "b"))] == play.gone


def test_an_address_belongs_to_the_node_that_proved_last():
    """The host was set up anew: the old node is left with none, and dropped when it is gone."""
    play = Play("a")
    play.check("a", who=introduction("old"))
    play.check("a", who=introduction("new"))
    assert [("name-new", "a"), ("name-old", "")] == [(row.name, row.address) for row in play.board.rows]
    play.heard("new")
    for _ in range(61):
        play.elapse(1.0)
        play.heard("new")

    assert ([PeerGonePayload(node_of("old"), ())], ["name-new"]) == (play.gone, [row.name for row in play.board.rows])


def test_a_failed_scouting_does_not_touch_a_peer_that_lives():
    """Its stages are kept for `peers --why`, its state is what was seen of it."""
    play = Play("a")
    play.both_ways("a")
    payload = AMQPConsumerCheckPayload("a", False, "rk", "ex", "auth", STAGES[:1])
    play.publish(Public.AMQP_CONSUMER_CHECK, payload)

    assert (("alive", ""), STAGES[:1]) == (play.state, play.board.rows[0].stages)


def test_a_peer_that_is_gone_and_refuses_is_shown_as_refused():
    """The password was changed while it was away; that nobody is there yet is not news."""
    play = Play("a")
    play.both_ways("a")
    play.left("a")
    play.check("a", "tcp(refused)")
    assert ("left", "") == play.state
    play.check("a", "auth")
    assert ("refused", "auth") == play.state


def test_addresses_that_nobody_listed_are_shown_only_when_they_refuse():
    """Of a LAN of 254 neighbours without a daemon no row is made."""
    play = Play()
    for n in range(254):
        play.check(f"10.0.0.{n}", "tcp(silent)")
    play.check("10.0.0.7", "key")
    assert [("10.0.0.7", "refused", "key")] == play.rows
    play.check("10.0.0.7", "tcp(refused)")
    assert [] == play.rows


def test_sources_are_where_an_address_came_from():
    """Listed is manual, discovered by the LAN search lan, heard before anything was known alien."""
    play = Play("a")
    play.check("a")
    discovery = ConnectionDiscoveryPayload(("a", "b"), (), "lan_chart", (introduction("a"), introduction("b")))
    play.publish(Public.CONNECTION_DISCOVERY, discovery)
    play.heard("c")

    assert [("name-a", ("lan", "manual")), ("name-c", ("alien",))] == [(r.name, r.sources) for r in play.board.rows]


def test_rows_are_sorted():
    """By name, so that a table stays readable while it changes."""
    play = Play("z", "m")
    for host in "cab":
        play.check(host)

    assert ["m", "z", "name-a", "name-b", "name-c"] == [name for name, _, _ in play.rows]


def test_last_heard_is_on_the_monotonic_clock():
    """The reader of the table makes an age of it."""
    play = Play()
    play.elapse(12.0)
    play.heard("a")

    assert 12.0 == play.board.rows[0].last_heard_s


def test_wrong_clocks_are_a_reason_until_they_are_right():
    """Named while they are more than a minute off either way, all of them, and no longer than their peer is there."""
    play = Play()
    play.heard("a", ahead_s=75.0)
    assert {"clock_skew": "name-a is 75 s ahead"} == play.board.reasons
    play.heard("b", ahead_s=-61.0)
    assert {"clock_skew": "name-a is 75 s ahead, name-b is 61 s behind"} == play.board.reasons
    play.heard("a", ahead_s=2.0)
    assert {"clock_skew": "name-b is 61 s behind"} == play.board.reasons
    play.left("b")
    assert {} == play.board.reasons


def test_a_burst_is_shown_once():
    """The table is made when the queue is empty, not for each of a hundred events."""
    play = Play()
    shown = []
    play.board.show_peers = shown.append
    for n in range(100):
        play.chart.post_fifo(Event(signal=Private.peer_heard, payload=PeerHeard(introduction(f"h{n}"), 1)))
    play.play.drain()

    assert [100] == [len(rows) for rows in shown]


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
    play = Play("a")
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
        for life in play.chart.lives.values():
            assert life.state.fun.__name__ not in {"known", "owed", "gone"}
        assert ["a"] == [row.address for row in play.board.rows if "a" in row.address or not row.node] or "b" in {
            row.address for row in play.board.rows
        }
    began = {record.chart for record in play.play.records}
    play.elapse(3600.0)

    assert play.play.reactor._timers.next_due_s() is None
    assert began <= {payload.node for payload in play.gone} | {"peer_chart"}
    going = [(r.chart, r.end_state) for r in play.play.records if r.end_state in {"left", "lost"}]
    assert len(play.gone) <= len(going)
