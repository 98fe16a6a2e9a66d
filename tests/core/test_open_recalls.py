"""Whose recalls are open, and for how long; time is an argument."""

from mirosd.core.open_recalls import MAX_OPEN, OPEN_S, OpenRecalls


def test_answers_go_to_who_has_asked() -> None:
    """On the network that they were asked for, for a minute."""
    recalls = OpenRecalls()

    assert recalls.open("a", "h1", "snoop_trace", 100.0)
    assert recalls.open("b", "h2", "snoop_spy", 101.0)
    assert "h1" == recalls.asker("a", "snoop_trace", 100.0 + OPEN_S - 0.1)
    assert "h2" == recalls.asker("b", "snoop_spy", 100.0)
    assert None is recalls.asker("a", "snoop_spy", 100.0)
    assert None is recalls.asker("c", "snoop_trace", 100.0)
    assert None is recalls.asker("a", "snoop_trace", 100.0 + OPEN_S)
    assert "h2" == recalls.asker("b", "snoop_spy", 100.0 + OPEN_S)


def test_an_id_is_good_for_one_recall() -> None:
    """A question that comes again is answered once, whoever asks it."""
    recalls = OpenRecalls()
    recalls.open("a", "h1", "snoop_trace", 0.0)

    assert not recalls.open("a", "h1", "snoop_trace", 1.0)
    assert not recalls.open("a", "h2", "snoop_trace", 1.0)
    assert "h1" == recalls.asker("a", "snoop_trace", 1.0)


def test_one_host_has_so_many_open() -> None:
    """It takes no room from others, and has room again when the oldest have ended."""
    recalls = OpenRecalls()
    assert all(recalls.open(f"{number}", "h1", "snoop_trace", number / 1000) for number in range(MAX_OPEN))

    assert not recalls.open("one more", "h1", "snoop_trace", 1.0)
    assert recalls.open("another's", "h2", "snoop_trace", 1.0)
    assert recalls.open("one more", "h1", "snoop_trace", OPEN_S)
    assert not recalls.open("and one more", "h1", "snoop_trace", OPEN_S)
