"""Where credentials may go: listed hosts, and brokers that a fresh sealed answer names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core import clearance
from mirosd.core.clearance import FRESH_S, MAX_CLEARED, MAX_NONCES, Clearance
from tests.properties import TOTAL


def listing(*hosts: str, default_port: int = 5672) -> Clearance:
    """Give a clearance with listed hosts."""
    cleared = Clearance(default_port)
    cleared.list_hosts(hosts)
    return cleared


class TestListed:
    @pytest.mark.parametrize(
        ("listed", "host", "port"),
        [
            ("10.0.0.7", "10.0.0.7", 5672),
            (" 10.0.0.7:5672 ", "10.0.0.7", 5672),
            ("10.0.0.7:5673", "10.0.0.7", 5673),
            ("A.Name.", "a.name", 5672),
            ("[FE80:0::1%eth0]", "fe80::1%eth0", 5672),
            ("[::1]:5671", "::1", 5671),
        ],
    )
    def test_every_spelling_counts(self, listed: str, host: str, port: int) -> None:
        """A listed host is cleared for ever, however it is written."""
        assert listing(listed).is_cleared(host, port, 1e9)

    @pytest.mark.parametrize(
        ("host", "port"), [("10.0.0.7", 5673), ("10.0.0.8", 5672), ("a.name", 5672), ("fe80::1%eth1", 5672)]
    )
    def test_nothing_else_counts(self, host: str, port: int) -> None:
        """Another port, address, interface, or a name that may mean the address, is not listed."""
        assert not listing("10.0.0.7", "[fe80::1%eth0]").is_cleared(host, port, 0.0)

    def test_the_default_port_is_the_setting(self) -> None:
        """A host without a port is listed for peers.port alone."""
        cleared = listing("10.0.0.7", default_port=5671)

        assert (True, False) == (cleared.is_cleared("10.0.0.7", 5671, 0.0), cleared.is_cleared("10.0.0.7", 5672, 0.0))

    def test_what_is_listed_no_more_is_cleared_no_more(self) -> None:
        """The last list alone counts."""
        cleared = listing("a", "b")
        cleared.list_hosts(["b"])

        assert (False, True) == (cleared.is_cleared("a", 5672, 0.0), cleared.is_cleared("b", 5672, 0.0))


class TestAnswers:
    def test_an_answer_clears_for_five_seconds_from_the_drawing(self) -> None:
        """What an answer names is cleared until its nonce is 5 s old, not until the answer is."""
        cleared = listing()
        assert "n" == cleared.draw("n", 10.0)
        cleared.answered("n", ["10.0.0.7:5673", "junk junk", "b"])

        for host, port in (("10.0.0.7", 5673), ("b", 5672)):
            assert [True, True, False] == [cleared.is_cleared(host, port, at_s) for at_s in (14.0, 14.999, 15.0)]
        assert not cleared.is_cleared("10.0.0.7", 5672, 14.0)

    def test_a_nonce_that_we_did_not_draw_clears_nothing(self) -> None:
        """An answer to somebody else's nonce, or to an old one of ours, is as if it had not come."""
        cleared = listing()
        cleared.draw("old", 0.0)
        cleared.answered("theirs", ["b"])
        cleared.answered("old", ["b"])

        assert not cleared.is_cleared("b", 5672, FRESH_S)

    def test_an_older_answer_takes_nothing_back(self) -> None:
        """Of two answers the one with the later nonce says how long."""
        cleared = listing()
        cleared.clear(["b"], 3.0)
        cleared.clear(["b"], 1.0)

        assert (True, False) == (cleared.is_cleared("b", 5672, 7.9), cleared.is_cleared("b", 5672, 8.0))

    def test_memory_is_bounded(self) -> None:
        """However many nonces are drawn and addresses answered, only so many are kept: the newest."""
        cleared = listing()
        for number in range(MAX_NONCES + 10):
            cleared.draw(str(number), 0.0)
        for number in range(MAX_CLEARED + 10):
            cleared.clear([f"h{number}"], 0.0)
        cleared.answered("9", ["forgotten"])

        assert (MAX_NONCES, MAX_CLEARED) == (len(cleared._drawn_s), len(cleared._until_s))
        assert not cleared.is_cleared("forgotten", 5672, 0.0)
        assert (False, True) == (cleared.is_cleared("h9", 5672, 0.0), cleared.is_cleared("h4000", 5672, 0.0))

    @TOTAL
    @given(st.lists(st.text(max_size=60), max_size=5))
    def test_any_word_of_a_peer_is_taken(self, brokers: list[str]) -> None:
        """Whatever texts a list or an answer holds, nothing is raised, and no other host is cleared."""
        cleared = listing(*brokers)
        cleared.clear(brokers, 0.0)

        assert not cleared.is_cleared("a host that nobody can write", 5672, 0.0)


def test_scout_all_clears_everything() -> None:
    """The operator may have our account sent to every neighbour."""
    assert clearance.Clearance(5672, is_open=True).is_cleared("anything", 1, 0.0)
