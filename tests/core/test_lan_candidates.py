"""LanCandidates: who may be a peer, for whom a proof stands, and who is wanted no more."""

from mirosd.core.lan_candidates import LEAST_WANTED_S, LanCandidates
from mirosd.payloads import Introduction, LanAnswer, LanNeighbour, LanSurvey, PeerGonePayload

HOST = "10.0.0.7"


def candidates(wanted_s=600.0):
    return LanCandidates(default_port=5672, wanted_s=wanted_s)


def answer(address=HOST, node="n7", broker=None):
    return LanAnswer(address, node, f"{address}:5672" if broker is None else broker, 1.0)


def introduction(node):
    return Introduction(node, f"name-{node}", 1, "0.1.0", ("mesh",))


def proved(*pairs):
    """Candidates whose hosts answered for themselves, and were proved."""
    known = candidates()
    for host, node in pairs:
        known.answer(answer(host, node), 0.0)
        known.of[host].prove(introduction(node))
    return known


def test_a_search_begins_without_those_who_are_wanted_no_more():
    """The proved, the busy and the wanted stay; nobody else does."""
    known = proved(("10.0.0.2", "n2"))
    known.sight("10.0.0.3", "cache", 0.0)
    known.sight("10.0.0.4", "cache", 0.0)
    known.sight("10.0.0.5", "cache", 100.0)
    known.begin_search(601.0, {"10.0.0.4"})

    assert ["10.0.0.2", "10.0.0.4", "10.0.0.5"] == list(known.of) == known.hosts


def test_a_neighbour_is_a_candidate_of_one_search():
    """It was scouted because it is there, and nobody asks for it later."""
    known = candidates()
    known.begin_search(0.0, set())
    known.take_survey(LanSurvey("10.0.0.1", (LanNeighbour(HOST, "alive"), LanNeighbour("10.0.0.1", "alive"))))
    assert [HOST] == known.neighbours([])
    known.begin_search(1.0, set())

    assert {} == known.of


def test_our_own_address_is_no_row_and_no_neighbour():
    """Whoever names it, the kernel or people (D20)."""
    known = candidates()
    known.begin_search(0.0, set())
    known.take_survey(LanSurvey("10.0.0.1", (LanNeighbour("10.0.0.1", "alive"),)))

    assert ([], ()) == (known.neighbours(["10.0.0.1:5673"]), known.rows())


def test_each_sign_renews_how_long_it_is_wanted():
    """From the last one on, and five minutes at the least."""
    known = candidates(wanted_s=0.0)
    for now_s in (0.0, 50.0):
        known.answer(answer(), now_s)
        assert now_s + LEAST_WANTED_S == known.of[HOST].wanted_until_s
    known.of[HOST].prove(introduction("n7"))
    known.take_gone(PeerGonePayload("n7", ()), 9000.0)

    assert 9000.0 + LEAST_WANTED_S == known.of[HOST].wanted_until_s


def test_a_node_is_gone_from_all_its_addresses_and_from_those_it_is_named_with():
    """Either is enough; other nodes' addresses stay proved."""
    known = proved(("10.0.0.2", "n2"), ("10.0.0.3", "n2"), ("10.0.0.4", "n4"), ("10.0.0.5", "n5"))

    assert ["10.0.0.2", "10.0.0.3", "10.0.0.4"] == known.take_gone(PeerGonePayload("n2", ("10.0.0.4",)), 0.0)
    assert [False, False, False, True] == [candidate.is_proved for candidate in known.of.values()]
    assert [] == known.take_gone(PeerGonePayload("n2", ("10.0.0.4",)), 0.0)


def test_another_nodes_proof_that_goes_with_its_broker_is_sought_at_all_its_addresses():
    """Both were behind it; the one that is not gone may be at an address that its proof stood for."""
    known = proved(("10.0.0.2", "n2"))
    known.answer(answer("10.0.0.3", "n3", broker="10.0.0.2:5672"), 0.0)
    known.of["10.0.0.2"].prove(introduction("n2"))
    known.answer(answer("10.0.0.3", "n3"), 0.0)
    assert "10.0.0.2" == known.cover("10.0.0.3")

    assert ["10.0.0.2", "10.0.0.3"] == known.take_gone(PeerGonePayload("n2", ("10.0.0.2",)), 0.0)


def test_a_forgotten_nodes_answer_makes_no_candidate_and_no_row():
    """It is as if it were not there."""
    known = candidates()
    known.answer(answer(), 0.0)
    assert [HOST] == known.forget(["n7"])
    del known.of[HOST]

    assert ("", {}, ()) == (known.answer(answer(), 1.0), known.of, known.rows())
    assert not known.is_news(answer())


def test_only_who_was_never_answered_for_is_replaced_by_its_answer():
    """A host with two brokers has two candidates; a name of its that nobody answers for has none."""
    known = candidates()
    known.sight(HOST, "cache", 0.0)
    known.answer(answer(broker="10.0.0.7:5673"), 0.0)
    known.answer(answer(broker="10.0.0.7:5674"), 0.0)
    known.sight("10.0.0.7:5675", "alien", 0.0, node="n7")
    known.answer(answer(broker="10.0.0.7:5673"), 1.0)

    assert {"10.0.0.7:5673", "10.0.0.7:5674", "10.0.0.7:5675"} == set(known.of)
    assert ["lan", "cache"] == list(known.of["10.0.0.7:5673"].sources)


def test_a_row_has_the_name_of_who_answered_alone():
    """Behind a broker that several share, the name that was proved may be another's."""
    known = candidates()
    known.begin_search(0.0, set())
    for host, node in (("10.0.0.2", "n2"), ("10.0.0.3", "n3")):
        known.answer(answer(host, node, broker="10.0.0.9:5672"), 0.0)
        known.of["10.0.0.9"].prove(introduction("n2"))

    assert [("10.0.0.2", "name-n2", "proved"), ("10.0.0.3", "", "proved")] == [
        (row.address, row.name, row.verdict) for row in known.rows()
    ]


def test_a_search_has_found_those_that_answered_it():
    """Not those that an earlier one had found, until they answer again."""
    known = proved(("10.0.0.2", "n2"), ("10.0.0.3", "n3"))
    known.begin_search(1.0, set())
    known.answer(answer("10.0.0.3", "n3"), 1.0)

    assert ("10.0.0.3",) == known.proved()
    assert ["10.0.0.3"] == [row.address for row in known.rows()]
