"""The window's books: whatever happens, each accepted event is in exactly one place, and each receipt ends once."""

from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd_client.messages import Fate
from mirosd_client.receipt import Receipt
from mirosd_client.record import Heading, decode_records
from mirosd_client.window import ENTRY_BYTES, Line, Window
from mirosd_client.wire import Network
from tests.client.fake_daemon import OTHER, record
from tests.properties import EXAMPLES, TOTAL

HEADING = Heading(OTHER, 1, "json", "PING")
ENTRY = len(record(1)) + ENTRY_BYTES
TTL_S = 50.0
PLACES = ("settled", "expired", "uninsured", "evicted", "snoop_dropped")

POLICIES = st.sampled_from(["refuse", "drop_oldest", "raise"])
NETWORKS = st.sampled_from([Network.MESH, Network.MESH, Network.SNOOP_TRACE])
ACCEPT = st.tuples(st.just("accept"), NETWORKS, st.sampled_from("ab"), st.integers(0, 600), POLICIES, st.booleans())
STEPS = st.lists(
    st.one_of(
        ACCEPT,
        ACCEPT,
        ACCEPT,
        st.tuples(st.just("take")),
        st.tuples(st.just("take_and_settle"), st.integers(-1, 2), st.integers(0, 6)),
        st.tuples(st.just("fates")),
        st.tuples(st.just("lose")),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 20.0, TTL_S + 1.0])),
    ),
    min_size=20,
    max_size=60,
)


class Play:
    """A window, and a daemon that knows what it was handed on this connection."""

    def __init__(self) -> None:
        self.window = Window(lambda: 7, window_bytes=6 * ENTRY, ttl_s=TTL_S)
        self.now_s = 0.0
        self.accepted = self.refused = self.snoop_refused = 0
        self.handed: list[int] = []
        self.asked: list[int] = []
        self.waiting: dict[Receipt, int] = {}
        self.ended: list[Receipt] = []

    def accept(self, network: Network, key: str, size: int, policy: Any, followed: bool) -> None:
        """Accept an event, perhaps with a receipt."""
        try:
            is_accepted: Any = self.window.accept(Line(network, key, HEADING), b"x" * size, self.now_s, policy)
        except Exception as exc:
            assert "waiting for the daemon" in str(exc)
            is_accepted = False
        if is_accepted:
            self.accepted += 1
            if followed and network is Network.MESH:
                receipt = cast(Receipt, object())
                self.waiting[receipt] = self.window.last_sequence
                self.window.receipts.add(self.window.last_sequence, receipt)
        elif network is Network.MESH:
            self.refused += 1
        else:
            self.snoop_refused += 1

    def take(self) -> None:
        """Hand everything over, as the outlet does."""
        while True:
            batch = self.window.take_batch(self.now_s)
            asks = self.window.take_asks()
            assert asks == sorted(set(asks) - set(self.asked)), "asked once, in order"
            numbers = [] if batch is None else [r.sequence for r in decode_records(batch.records)]
            assert not set(asks) & set(self.handed), "asked before it is handed over"
            self.asked += asks
            assert all(number in self.asked for number in numbers if number in self.waiting.values())
            if batch is None:
                return
            self.handed += numbers

    def take_and_settle(self, unsafe: int, unsettled: int) -> None:
        """Hand everything over; the daemon says that the newest are not safe, and of those before some not settled."""
        self.take()
        safe = self.window.last_sequence - unsafe
        self.window.settle(max(0, safe), max(0, safe - unsettled))

    def fates(self) -> None:
        """The daemon answers what it was asked."""
        self.end(self.window.receipts.answered(Fate(self.asked).sequences))

    def lose(self) -> None:
        """The connection ends, and another begins."""
        self.window.rewind()
        self.end(self.window.receipts.lost(self.window.front))
        self.handed, self.asked = [], []

    def wait(self, seconds: float) -> None:
        """Time goes by, and somebody looks."""
        self.now_s += seconds
        self.window.expire(self.now_s)

    def end(self, receipts: list[Receipt]) -> None:
        """These receipts are settled."""
        for receipt in receipts:
            del self.waiting[receipt]
            self.ended.append(receipt)

    def check(self) -> None:
        """Everything is somewhere, and nothing twice."""
        window = self.window
        self.end([receipt for receipt, _ in window.receipts.take_let_go()])
        assert self.accepted == window.last_sequence
        assert self.accepted == len(window) + len(window.overdue) + sum(getattr(window, place) for place in PLACES)
        assert (self.refused, self.snoop_refused) == (window.refused, window.snoop_refused)
        assert len(window.receipts) == len(self.waiting)


@settings(TOTAL, max_examples=EXAMPLES // 10)
@given(STEPS)
def test_the_books_balance(steps: list[tuple[Any, ...]]) -> None:
    """After every step: accepted is what waits, and what left, by reason (D34); each receipt ends, and only once."""
    play = Play()
    for what, *arguments in steps:
        getattr(play, what)(*arguments)
        play.check()
    play.lose()
    play.take()
    play.fates()
    play.wait(TTL_S + 1.0)
    play.lose()
    play.check()

    assert (0, 0, {}) == (len(play.window), len(play.window.overdue), play.waiting)
