"""Nodes that somebody named are handed on once in a while, and made-up ones fill nothing."""

from mirosd.core.sightings import AGAIN_S, KEPT_S, MAX_BROKERS, MAX_SIGHTINGS, Sightings


def book(*named):
    sightings = Sightings(default_port=5672)
    for node, brokers, source, at_s in named:
        sightings.note(node, brokers, source, at_s)
    return sightings


def test_a_node_is_handed_on_once_in_a_minute():
    """However often it is named, and whoever names it."""
    sightings = book(("n", ("10.0.0.7",), "gossip", 0.0))
    assert (("10.0.0.7",), "gossip") == sightings.take("n", 0.0)[:2]
    sightings.note("n", ("10.0.0.8",), "gossip", 1.0)
    assert sightings.take("n", AGAIN_S - 0.1) is None
    assert ("10.0.0.8",) == sightings.take("n", AGAIN_S).brokers


def test_who_is_not_named_or_named_nowhere_is_not_handed_on():
    """There is nothing to search."""
    sightings = book(("n", (), "gossip", 0.0), ("m", ("no good host!",), "gossip", 0.0))

    assert [None] * 3 == [sightings.take(node, 0.0) for node in ("n", "m", "x")]


def test_a_renewed_node_is_handed_on_at_once():
    """People allowed it, and do not wait; nothing happens to one that nobody named."""
    sightings = book(("n", ("a",), "alien", 0.0))
    sightings.take("n", 0.0)
    sightings.renew("n")
    sightings.renew("x")

    assert sightings.take("n", 0.0) is not None


def test_an_aliens_own_word_stands_against_gossip():
    """It was sealed in answer to us; the other is hearsay. Not the other way about."""
    sightings = book(("n", ("own",), "alien", 0.0), ("n", ("said",), "gossip", 1.0), ("m", ("said",), "gossip", 2.0))
    sightings.note("m", ("own",), "alien", 3.0)

    assert [("n", ("own",), "alien"), ("m", ("own",), "alien")] == [(n, *s[:2]) for n, s in sightings]


def test_addresses_have_one_spelling_and_are_few():
    """Junk and repeats are left out; the first eight stay."""
    hosts = ("10.0.0.7:5672", "H.Example", "10.0.0.7:5672", "10.0.0.7:1", "bob:pw@h", *(f"h{n}" for n in range(20)))
    (_, sighting) = next(iter(book(("n", hosts, "gossip", 0.0))))

    assert ("10.0.0.7", "h.example", "10.0.0.7:1") == sighting.brokers[:3]
    assert MAX_BROKERS == len(sighting.brokers)


def test_nodes_that_nobody_names_any_more_are_forgotten():
    """Those named since stay; a dropped one is gone at once."""
    sightings = book(("old", ("a",), "gossip", 0.0), ("new", ("b",), "gossip", 1.0), ("out", ("c",), "gossip", 1.0))
    sightings.drop("out")
    sightings.drop("never")
    sightings.forget_old(KEPT_S)

    assert ["new"] == [node for node, _ in sightings]


def test_the_book_is_bounded():
    """The node named longest ago gives way."""
    sightings = book(*((f"n{n}", ("a",), "gossip", 0.0) for n in range(MAX_SIGHTINGS)))
    sightings.note("n0", ("a",), "gossip", 1.0)
    sightings.note("one more", ("a",), "gossip", 2.0)
    nodes = [node for node, _ in sightings]

    assert (MAX_SIGHTINGS, ["n2", "n3"], ["n0", "one more"]) == (len(nodes), nodes[:2], nodes[-2:])
