"""PeerChart: what scouts and the bridge tell becomes rows, for people."""

from mirosd.charts.peer import deaf, hearing, watching
from mirosd.core.peers import GONE_AFTER_S
from mirosd.payloads import (
    AMQPConsumerCheckPayload,
    ConnectionDiscoveryPayload,
    LanHostFoundPayload,
    PeerGonePayload,
    PeerHeard,
)
from mirosd.signals import Private, Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import check_structure
from tests.charts.fakes import STAGES, introduction, node_of
from tests.charts.peer_play import PeerPlay


def test_structure():
    """The one state names its parent, and swallows nothing it does not know."""
    check_structure(PeerPlay().chart, [watching, hearing, deaf])


def test_a_listed_peer_from_candidate_to_alive():
    """Each verdict and sign is a row: candidate, scouting(code), one-way(out), one-way(in), alive."""
    play = PeerPlay("a")
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


def test_what_is_not_listed_is_dropped_when_it_is_gone():
    """Its row disappears, and with it its timers: without peers none runs."""
    play = PeerPlay()
    play.both_ways("a")
    play.elapse(60.1)

    assert ([], {}, 1) == (play.board.rows, play.chart.table.lives, len(play.gone))
    assert 0 == play.timers


def test_a_row_disappears_with_the_last_listing():
    """A listed peer that is gone, an address that is refused or awaited: no more listed, no more shown."""
    play = PeerPlay("gone", "awaited", "dead", "alive")
    play.both_ways("gone")
    play.left("gone")
    play.elapse(GONE_AFTER_S)
    play.check("dead", "tcp(silent)")
    play.both_ways("alive")
    play.list()

    assert [("name-alive", "alive", "")] == play.rows


def test_signs_of_nobody_are_ignored():
    """What was never heard nor proved has no life to change."""
    play = PeerPlay()
    for signal in ("peer_routed", "peer_returned", "peer_link_up", "peer_link_down", "peer_left"):
        play.sign(signal, "ghost", start=1, sequence=1)

    assert ([], []) == (play.board.rows, play.gone)


def test_one_node_at_two_addresses_is_one_row():
    """Two ways lead to it, and PEER_GONE names both (D21)."""
    play = PeerPlay("b", "a")
    play.check("b", who=introduction("x"))
    play.check("a", who=introduction("x"))
    assert [("name-x", "one-way(out)", "")] == play.rows
    assert "a, b" == play.board.rows[0].address

    play.elapse(60.1)
    assert [PeerGonePayload(node_of("x"), ("a", "b"))] == play.gone


def test_an_address_belongs_to_the_node_that_proved_last():
    """The host was set up anew: the old node is left with none, and dropped when it is gone."""
    play = PeerPlay("a")
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
    play = PeerPlay("a")
    play.both_ways("a")
    payload = AMQPConsumerCheckPayload("a", False, "rk", "ex", "auth", STAGES[:1])
    play.publish(Public.AMQP_CONSUMER_CHECK, payload)

    assert (("alive", ""), STAGES[:1]) == (play.state, play.board.rows[0].stages)


def test_a_peer_that_is_gone_and_refuses_is_shown_as_refused():
    """The password was changed while it was away; that nobody is there yet is not news."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.left("a")
    play.elapse(GONE_AFTER_S)
    play.check("a", "tcp(refused)")
    assert ("left", "") == play.state
    play.check("a", "auth")
    assert ("refused", "auth") == play.state


def test_addresses_that_nobody_listed_are_shown_only_when_they_refuse():
    """Of a LAN of 254 neighbours without a daemon no row is made."""
    play = PeerPlay()
    for n in range(254):
        play.check(f"10.0.0.{n}", "tcp(silent)")
    play.check("10.0.0.7", "key")
    assert [("10.0.0.7", "refused", "key")] == play.rows
    play.check("10.0.0.7", "tcp(refused)")
    assert [] == play.rows


def test_sources_are_where_an_address_came_from():
    """Listed is manual, discovered by the LAN search lan, heard before anything was known alien."""
    play = PeerPlay("a")
    play.check("a")
    hosts = ("a", "b")
    discovery = ConnectionDiscoveryPayload(hosts, (), "lan_chart", tuple(map(introduction, hosts)), ("lan", "cache"))
    play.publish(Public.CONNECTION_DISCOVERY, discovery)
    play.publish(Public.LAN_HOST_FOUND, LanHostFoundPayload("a", introduction("a"), "gossip"))
    play.heard("c")

    assert [("name-a", ("gossip", "lan", "manual")), ("name-c", ("alien",))] == [
        (r.name, r.sources) for r in play.board.rows
    ]


def test_rows_are_sorted():
    """By name, so that a table stays readable while it changes."""
    play = PeerPlay("z", "m")
    for host in "cab":
        play.check(host)

    assert ["m", "z", "name-a", "name-b", "name-c"] == [name for name, _, _ in play.rows]


def test_last_heard_is_on_the_monotonic_clock():
    """The reader of the table makes an age of it."""
    play = PeerPlay()
    play.elapse(12.0)
    play.heard("a")

    assert 12.0 == play.board.rows[0].last_heard_s


def test_wrong_clocks_are_a_reason_until_they_are_right():
    """Named while they are more than a minute off either way, all of them, and no longer than their peer is there."""
    play = PeerPlay("b")
    play.check("b")
    play.heard("a", ahead_s=75.0)
    assert {"clock_skew": "name-a is 75 s ahead"} == play.board.reasons
    play.elapse(1.0)
    play.heard("b", ahead_s=-61.0)
    assert {"clock_skew": "name-a is 75 s ahead, name-b is 61 s behind"} == play.board.reasons
    play.elapse(1.0)
    play.heard("a", ahead_s=2.0)
    assert {"clock_skew": "name-b is 61 s behind"} == play.board.reasons
    play.left("b")
    assert {} == play.board.reasons


def test_a_burst_is_shown_once():
    """The table is made when the queue is empty, not for each of a hundred events."""
    play = PeerPlay()
    shown = []
    play.board.show_peers = shown.append
    for n in range(100):
        play.chart.post_fifo(Event(signal=Private.peer_heard, payload=PeerHeard(introduction(f"h{n}"), 1)))
    play.play.drain()

    assert [100] == [len(rows) for rows in shown]


def test_heartbeats_alone_renew_the_table_once_a_second():
    """A hundred peers' would make it a hundred times; a change of state is shown at once."""
    play = PeerPlay()
    for host in "abcde":
        play.both_ways(host)
    shown = []
    play.board.show_peers = shown.append
    for _ in range(20):
        play.elapse(0.25)
        for host in "abcde":
            play.heard(host)
            play.sign("peer_routed", host)
    assert 5 == len(shown)
    play.sign("peer_returned", "a")

    assert (6, "failed") == (len(shown), shown[-1][0].state)
