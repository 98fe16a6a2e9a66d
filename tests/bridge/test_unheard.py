"""What is told of keys that nobody is bound to, and how often."""

from mirosd.bridge.unheard import AGAIN_S, MAX_KEYS, Unheard


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_key_is_news_once() -> None:
    """However often and however long nobody hears it."""
    clock = Clock()
    unheard = Unheard(clock)

    assert unheard.is_news("a")
    clock.now_s = 1e6
    assert not unheard.is_news("a")
    assert unheard.is_news("b")


def test_a_key_that_was_heard_is_news_again() -> None:
    """A listener that ended is worth telling; one that comes and goes is told of every ten seconds at most."""
    clock = Clock()
    unheard = Unheard(clock)
    told_s = []
    for now_s in range(60):
        clock.now_s = now_s
        unheard.heard("a")
        if unheard.is_news("a"):
            told_s.append(now_s)

    assert list(range(0, 60, int(AGAIN_S))) == told_s


def test_a_client_that_makes_keys_up_fills_neither_memory_nor_log() -> None:
    """Beyond the bound nothing is news, until one of the known keys is heard."""
    clock = Clock()
    unheard = Unheard(clock)

    assert MAX_KEYS == sum(unheard.is_news(f"key {number}") for number in range(10 * MAX_KEYS))
    assert MAX_KEYS == len(unheard._told_s)
    clock.now_s = AGAIN_S
    unheard.heard("key 0")
    assert unheard.is_news("another")
