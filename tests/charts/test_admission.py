"""Who is let in: aliens by policy, gossip, and what people decide of single nodes."""

import json

import pytest

from mirosd.charts import peer
from mirosd.core.peer_memory import TOMBSTONE_S, memory_of, parse_peers
from mirosd.core.peers import GONE_AFTER_S
from mirosd.core.sightings import AGAIN_S
from mirosd.payloads import HostsSightedPayload, PeerGonePayload
from mirosd.signals import Public
from tests.charts.fakes import FakeFileStore, introduction, node_of
from tests.charts.peer_play import DECISIONS, PeerPlay


def kept(play):
    """What the file holds."""
    return memory_of(parse_peers(play.files.files[DECISIONS][0]))


def heard_alien(aliens, host="a"):
    """A play in which an unknown node was heard, and answered our challenge."""
    play = PeerPlay(aliens=aliens)
    play.heard(host)
    play.alien(host, f"{host}:1")
    return play


def test_an_alien_is_searched_once():
    """Not once per message, and again only when it is told again after a minute."""
    play = heard_alien("allow")
    for _ in range(59):
        play.elapse(1.0)
        play.heard("a")
        play.alien("a", "a:1")
    assert [("alien", ("a:1",))] == play.sighted
    assert [("one-way(in)", ("alien",))] == [(row.state, row.sources) for row in play.board.rows]
    play.elapse(1.0)
    play.heard("a")
    play.alien("a", "a:1")

    assert 2 == len(play.sighted)


def test_an_alien_becomes_a_peer_with_its_source():
    """Scouted at what it named, then reached: alive, and its provenance stays."""
    play = heard_alien("allow")
    play.check("a")
    play.discover("a", "alien")
    play.sign("peer_routed", "a")

    assert [("alive", ("alien",), "a")] == [(row.state, row.sources, row.address) for row in play.board.rows]


def test_an_alien_that_cannot_be_scouted_shows_why():
    """It is heard, and its broker refuses us: one row, with the code and the stages."""
    play = heard_alien("allow")
    play.check("a:1", "auth")
    (row,) = play.board.rows
    assert ("one-way(in)", "auth", 2) == (row.state, row.reason, len(row.stages))
    play.check("a:1", who=introduction("a"))
    assert ("one-way(in)", "") == play.state
    play.sign("peer_routed", "a")

    assert [("name-a", "alive", "")] == play.rows


@pytest.mark.parametrize(("aliens", "state"), [("quarantine", ("quarantined", "")), ("deny", ("refused", "alien"))])
def test_an_alien_that_is_kept_out(aliens, state):
    """It is shown, not scouted, owed nothing, and its row goes when it falls silent: no PEER_GONE."""
    play = heard_alien(aliens)
    for _ in range(100):
        play.elapse(1.0)
        play.heard("a")
        play.sign("peer_link_down", "a", detail="lost")
    assert state == play.state
    assert 1 == play.timers
    play.elapse(GONE_AFTER_S - 0.1)
    assert state == play.state
    play.elapse(0.2)

    assert ([], [], [], 0) == (play.board.rows, play.sighted, play.gone, play.timers)


@pytest.mark.parametrize("aliens", ["quarantine", "deny"])
def test_whoever_is_found_is_no_alien(aliens):
    """A proof lets it in, whether it was heard before or not; what is owed to it then ends with PEER_GONE."""
    play = heard_alien(aliens)
    play.check("a")
    play.check("b")
    assert ["one-way(in)", "one-way(out)"] == [row.state for row in play.board.rows]
    play.elapse(61.0)

    assert {node_of("a"), node_of("b")} == {payload.node for payload in play.gone}


@pytest.mark.parametrize("aliens", ["quarantine", "deny"])
def test_a_known_peer_that_moves_is_searched_where_it_says(aliens):
    """Nobody lists that address; it is no alien, since it was found before."""
    play = PeerPlay(aliens=aliens)
    play.both_ways("a")
    play.sign("peer_link_down", "a", detail="lost")
    play.alien("a", "there")

    assert [("alien", ("there",))] == play.sighted


@pytest.mark.parametrize("aliens", ["quarantine", "deny"])
def test_an_allowed_alien_is_searched_at_once_and_at_its_next_word(aliens):
    """For good: after a restart too; its state changes with the decision."""
    play = heard_alien(aliens)
    play.allow("a")
    assert ("one-way(in)", "") == play.state
    assert [("alien", ("a:1",))] == play.sighted
    play.alien("a", "a:1")
    play.alien("a", "a:1")
    assert 2 == len(play.sighted)

    again = PeerPlay(aliens=aliens, files=play.files)
    again.heard("a")
    again.alien("a")
    assert (("one-way(in)", ""), [("alien", ("a",))]) == (again.state, again.sighted)


def test_an_alien_that_left_says_so():
    """A quarantined node that stops is shown as what it is for a while, and is gone without PEER_GONE."""
    play = heard_alien("quarantine")
    play.left("a")
    assert [("name-a", "left", "")] == play.rows
    play.elapse(GONE_AFTER_S)

    assert ([], [], 0) == (play.board.rows, play.gone, play.timers)


def test_what_a_node_that_was_never_heard_says_is_not_taken():
    """An answer without a heartbeat is nobody's sign of life."""
    play = PeerPlay()
    play.alien("a")

    assert ([], []) == (play.board.rows, play.sighted)


def test_gossip_is_searched_at_most_once_a_minute_and_shown():
    """A candidate with its source; its failure is its reason; not named any more, it goes."""
    play = PeerPlay()
    for _ in range(30):
        play.gossip("b", "b:1", "b:2")
        play.elapse(1.0)
    assert [("gossip", ("b:1", "b:2"))] == play.sighted
    (row,) = play.board.rows
    assert (node_of("b"), "b:1, b:2", "candidate", ("gossip",)) == (row.node, row.address, row.state, row.sources)
    play.check("b:2", "tcp(refused)")
    assert ("scouting", "tcp(refused)") == play.state
    play.elapse(31.0)
    play.gossip("b", "b:1")
    assert 2 == len(play.sighted)
    play.elapse(2 * AGAIN_S)
    play.heard("c")

    assert ["name-c"] == [row.name for row in play.board.rows]


def test_who_answered_on_the_lan_is_shown_until_it_is_proved():
    """A candidate; its failure is its reason; proved, it is a peer in one row; forgotten, it is not shown."""
    play = PeerPlay()
    answered = HostsSightedPayload(("a",), "lan", node_of("a"))
    play.publish(Public.LAN_HOST_ANSWERED, answered)
    (row,) = play.board.rows
    assert (node_of("a"), "a", "candidate", ("lan",)) == (row.node, row.address, row.state, row.sources)
    play.check("a", "tcp(silent)")
    assert ("scouting", "tcp(silent)") == play.state
    play.check("a")
    assert 1 == len(play.board.rows)
    assert [] == play.sighted
    play.forget("a")
    play.publish(Public.LAN_HOST_ANSWERED, answered)

    assert [] == play.board.rows


def test_gossip_of_a_known_node_is_no_news():
    """Alive, an alien that is asked already, or a listed one that is down: nothing is searched."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.heard("b")
    play.gossip("a", "elsewhere")
    play.gossip("b", "elsewhere")

    assert [] == play.sighted


@pytest.mark.parametrize("aliens", ["quarantine", "deny"])
def test_gossip_goes_through_the_same_gate(aliens):
    """Nobody here listed or found it: only an allowed node is searched."""
    play = PeerPlay(aliens=aliens)
    play.gossip("a")
    assert ([], []) == (play.sighted, play.board.rows)
    play.allow("a")
    play.gossip("a")

    assert [("gossip", ("a",))] == play.sighted


def test_a_proved_candidate_is_a_node():
    """Its row is the node's, and its sighting is forgotten."""
    play = PeerPlay()
    play.gossip("a")
    play.check("a")
    play.discover("a", "gossip")

    assert [("name-a", ("gossip",))] == [(row.name, row.sources) for row in play.board.rows]
    assert [] == list(play.chart.table.sightings)


def test_made_up_nodes_fill_nothing(monkeypatch):
    """Beyond the bound a heartbeat is counted and begins no life; known ones are still heard."""
    monkeypatch.setattr(peer, "MAX_SIGHTINGS", 20)
    play = PeerPlay()
    for n in range(25):
        play.heard(f"h{n}")
    play.heard("h0")

    assert (20, {"aliens_ignored": 5}) == (len(play.chart.table.lives), play.board.counters)


def test_a_forgotten_node_is_ignored_for_a_day():
    """Its row goes, PEER_GONE is published, and neither it, nor a find, nor gossip brings it back before."""
    play = PeerPlay()
    play.both_ways("a")
    play.forget("a")
    assert ([], [PeerGonePayload(node_of("a"), ("a",))]) == (play.board.rows, play.gone)
    assert [(), (node_of("a"),)] == play.forgotten
    play.elapse(TOMBSTONE_S - 1.0)
    play.heard("a")
    play.check("a")
    play.gossip("a")
    play.alien("a")
    play.sign("peer_link_up", "a")
    assert ([], []) == (play.board.rows, play.sighted)
    play.elapse(2.0)
    assert () == play.forgotten[-1]
    play.heard("a")

    assert (("one-way(in)", ""), 1) == (play.state, len(play.gone))


def test_a_node_that_was_forgotten_while_it_was_scouted_is_retired():
    """Its discovery is answered with PEER_GONE: else its producers would stay for ever."""
    play = PeerPlay()
    play.forget("a")
    play.discover("a", "lan")

    assert [PeerGonePayload(node_of("a"), ("a",))] == play.gone


def test_forgetting_is_kept_through_a_restart():
    """Also while the file is being read; the tombstone ends when it would have."""
    play = PeerPlay()
    play.both_ways("a")
    play.forget("a")
    files = play.files
    assert {node_of("a"): files.now_s + TOMBSTONE_S} == kept(play).forgotten
    files.is_held = True
    again = PeerPlay(files=files)
    again.heard("a")
    assert [("name-a", "one-way(in)", "")] == again.rows
    files.is_held = False
    files.serve()
    again.play.drain()
    assert ([], [(node_of("a"),)]) == (again.board.rows, again.forgotten)
    again.elapse(TOMBSTONE_S + 1.0)
    again.heard("a")

    assert [("name-a", "one-way(in)", "")] == again.rows


def test_listing_its_host_lifts_a_tombstone():
    """The operator's list is the stronger word; the file loses the tombstone too."""
    play = PeerPlay()
    play.forget("a")
    play.list("a")
    play.check("a")

    assert ([("name-a", "one-way(out)", "")], ()) == (play.rows, play.forgotten[-1])
    assert {} == kept(play).forgotten


def test_a_listed_node_begins_anew():
    """It is let go of and scouted again by PEER_GONE; no tombstone could stand."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.forget("a")

    assert ([("a", "candidate", "")], 1, [()]) == (play.rows, len(play.gone), play.forgotten)
    assert DECISIONS not in play.files.files


def test_allowing_lifts_a_tombstone_for_good():
    """It is heard again at once, and stays allowed."""
    play = PeerPlay()
    play.both_ways("a")
    play.forget("a")
    play.allow("a")
    play.heard("a")

    assert (("one-way(in)", ""), ()) == (play.state, play.forgotten[-1])
    assert ({}, (node_of("a"),)) == kept(play)


def test_a_node_that_is_gone_already_is_forgotten_without_another_going():
    """PEER_GONE is once each time."""
    play = PeerPlay("a")
    play.both_ways("a")
    play.left("a")
    play.list("b")
    play.forget("a")

    assert (1, [(), (node_of("a"),)]) == (len(play.gone), play.forgotten)


def test_a_wrong_file_is_a_reason_and_stops_nothing():
    """What people decide counts, is not written over it, and is when a reload finds it right."""
    files = FakeFileStore()
    files.put(DECISIONS, '{"allowed": [')
    play = PeerPlay(aliens="deny", files=files)
    assert f"{DECISIONS} line 1" in play.board.reasons["peers_file"]
    assert [()] == play.forgotten
    play.allow("a")
    play.heard("a")
    assert (("one-way(in)", ""), []) == (play.state, files.writes)

    files.put(DECISIONS, json.dumps({"allowed": ["node-b"]}))
    play.publish(Public.EVALUATE_HOSTS_FILE, None)
    assert ({}, ("node-b", "node-a")) == (play.board.reasons, kept(play).allowed)
    reads = len(play.said(Public.CACHE_FILE_READ))
    play.publish(Public.EVALUATE_HOSTS_FILE, None)
    assert reads == len(play.said(Public.CACHE_FILE_READ))


def test_who_stands_how_is_told_when_it_changes():
    """For the way in: proved, allowed, kept out; nothing is told twice, and heartbeats change nothing."""
    play = PeerPlay(aliens="quarantine")
    play.both_ways("a")
    play.heard("b")
    play.heard("b")
    play.allow("c")
    play.forget("d")
    play.beat("a", 3)
    play.left("a")
    play.elapse(GONE_AFTER_S)
    a, b, c, d = ({node_of(host)} for host in "abcd")
    none = set()

    told = [(a, none, none), (a, none, b), (a, c, b), (a, c, b | d), (a, c, d), (none, c, d)]
    assert told == play.standings
