"""What peers tell of peers, and what becomes of hearsay."""

from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.gossip import (
    AGAIN_S,
    FRESH_S,
    MAX_BROKERS,
    MAX_HEARSAY,
    MAX_TOLD,
    Gossip,
    Hearsay,
    Rumour,
    one_spelling,
)
from tests.properties import TOTAL


class TestTold:
    def test_everybody_is_told_of_in_turn(self) -> None:
        """Of twenty peers eight are told at a time, and each within three heartbeats."""
        gossip = Gossip()
        nodes = {f"{number:02}" for number in range(20)}
        for node in nodes:
            gossip.heard(node, (f"h{node}:5672",), 0.0)
        turns = [[rumour.node for rumour in gossip.next(1.0)] for _ in range(3)]

        assert [MAX_TOLD] * 3 == [len(set(turn)) for turn in turns]
        assert nodes == {node for turn in turns for node in turn}

    def test_only_who_is_heard_and_can_be_found_is_told_of(self) -> None:
        """Silence of 5 s, no broker, or being gone, ends it."""
        gossip = Gossip()
        gossip.heard("a", ("h:1",), 0.0)
        gossip.heard("b", (), 0.0)
        gossip.heard("c", ("h:3",), 3.0)
        gossip.heard("d", ("h:4",), 3.0)
        gossip.gone("d")

        assert [Rumour("a", ("h:1",)), Rumour("c", ("h:3",))] == gossip.next(FRESH_S - 0.1)
        assert [Rumour("c", ("h:3",))] == gossip.next(FRESH_S)


class TestHeard:
    def test_a_rumour_is_news_once_a_minute(self) -> None:
        """However many tell it, and however often."""
        hearsay, rumours = Hearsay(), [Rumour("a", ("H:5673", "h:5673")), Rumour("b", ("b",))]

        assert [Rumour("a", ("h:5673",)), Rumour("b", ("b:5672",))] == hearsay.news(rumours, 0.0)
        assert [] == hearsay.news(rumours, AGAIN_S - 0.1)
        assert 2 == len(hearsay.news(rumours, AGAIN_S))

    def test_it_is_bounded(self) -> None:
        """Eight rumours of a heartbeat and eight brokers of a rumour are looked at, 1,024 nodes remembered."""
        hearsay = Hearsay()
        many = [Rumour(str(number), tuple(f"h{broker}" for broker in range(20))) for number in range(20)]
        news = hearsay.news(many, 0.0)
        for number in range(MAX_HEARSAY + 100):
            hearsay.news([Rumour(f"x{number}", ("h",))], 0.0)

        assert (MAX_TOLD, {MAX_BROKERS}) == (len(news), {len(rumour.brokers) for rumour in news})
        assert MAX_HEARSAY == len(hearsay._told_s)

    def test_where_nobody_can_be_found_is_no_news(self) -> None:
        """A rumour whose brokers are no hosts is dropped, and may be told better."""
        hearsay = Hearsay()

        assert [] == hearsay.news([Rumour("a", ("no host", "amqp://u:p@h/"))], 0.0)
        assert [Rumour("a", ("h:5672",))] == hearsay.news([Rumour("a", ("h",))], 0.0)

    @TOTAL
    @given(st.lists(st.text(max_size=40), max_size=20))
    def test_any_word_gives_hosts_or_nothing(self, brokers: list[str]) -> None:
        """Whatever a peer says of brokers, what is left is one spelling of few hosts."""
        spelt = one_spelling(brokers)

        assert len(spelt) <= MAX_BROKERS
        assert spelt == one_spelling(spelt)
