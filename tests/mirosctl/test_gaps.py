"""What did not arrive."""

from mirosctl.gaps import Gaps
from mirosd_client.wire import Network
from tests.mirosctl.test_trace import line

TRACE, SPY = Network.SNOOP_TRACE, Network.SNOOP_SPY


def taken(*numbers: int, network: Network = TRACE, host: str = "h2") -> Gaps:
    """Give what is known after live lines with these numbers."""
    gaps = Gaps()
    for number in numbers:
        gaps.take(line(host=host, line=number), network)
    return gaps


def test_what_came_in_its_order_is_no_gap() -> None:
    """From the first one that was for us; what comes again is none; history has no numbers."""
    assert [] == taken(7, 8, 0, 9, 7, 10, 11).tell(0.0)


def test_missing_numbers_are_told_by_program() -> None:
    """How many, whose; once."""
    gaps = taken(1, 4, 6)
    gaps.take(line(host="h1", line=5), TRACE)
    gaps.take(line(host="h1", line=7), TRACE)

    assert [
        "1 line of h1 (client 0a0a0a0a) did not arrive",
        "3 lines of h2 (client 0b0b0b0b) did not arrive",
    ] == gaps.tell(0.0)
    assert [] == gaps.tell(10.0)


def test_networks_are_numbered_each_by_itself() -> None:
    """A program counts what it puts on each."""
    gaps = taken(1, 2)
    gaps.take(line(line=9), SPY)

    assert [] == gaps.tell(0.0)


def test_it_is_told_no_more_than_once_a_second() -> None:
    """What is missing meanwhile is added up; at the end all of it is said."""
    gaps = taken(1, 3)
    first = gaps.tell(100.0)
    gaps.take(line(line=5), TRACE)
    gaps.take(line(line=7), TRACE)

    assert 1 == len(first)
    assert [] == gaps.tell(100.9)
    assert ["2 lines of h2 (client 0b0b0b0b) did not arrive"] == gaps.tell(100.9, is_last=True)
