"""A sealed body on its way: which brokers still owe an answer for it, and who waits for that."""

from collections import defaultdict
from typing import Any, Literal, NamedTuple, Protocol

from mirosd_client.messages import Fate

Verdict = Literal["confirmed", "unroutable", "nacked", "expired", "overflow", "forgotten", "dissolved"]
"""What a broker said of a body, or why it will never be asked again; "dissolved": another lane owes it the same.

The words are those of the daemon's counters.
"""

_LOSSES: frozenset[Verdict] = frozenset(("nacked", "expired", "overflow", "forgotten"))


class Waiting(Protocol):
    """Whoever gave records to a body: told when something about it may have changed."""

    def moved(self) -> None:
        """A body became safe or settled."""

    def routed(self, routing_key: str) -> None:
        """Records were settled, and some broker had a queue for them."""

    def unroutable(self, routing_key: str, count: int) -> None:
        """`count` records were settled without any broker having a queue for them."""


class Follower(Protocol):
    """Whoever wants to know what becomes of some of a body's records."""

    def settled(self, fate: Fate) -> None:
        """Every broker has answered, or will never be asked again."""


class Share(NamedTuple):
    """How many of a body's records are whose."""

    account: Waiting
    records: int


class Body:
    """One sealed body. Thread: loop.

    It is *settled* when no broker owes an answer any more, and *safe* when those that
    still do are not connected: then it lies in their pending sets, here.
    """

    __slots__ = (
        "_followed",
        "_owed",
        "_unsafe",
        "count",
        "exchange",
        "expires_s",
        "is_lost",
        "is_routed",
        "routing_key",
        "sealed",
        "shares",
    )

    def __init__(self, exchange: str, routing_key: str, sealed: bytes, expires_s: float, shares: list[Share]) -> None:
        self.exchange, self.routing_key, self.sealed = exchange, routing_key, sealed
        self.expires_s = expires_s  # monotonic seconds; nobody tries to deliver it after that
        self.shares = shares
        self.count = sum(share.records for share in shares)
        self.is_routed = False  # some broker had a queue for it
        self.is_lost = False  # some broker never gave its verdict: expired, overflowed or refused
        self._owed = 1  # by its maker, until `handed_out`: no first answer may settle what others are yet to owe
        self._unsafe = 0
        self._followed: _Followed | None = None

    @property
    def is_settled(self) -> bool:
        """No broker owes an answer any more."""
        return self._owed == 0

    @property
    def is_safe(self) -> bool:
        """Every connected broker has answered."""
        return self._unsafe == 0

    def owe(self, *, is_connected: bool) -> None:
        """One more broker owes an answer."""
        self._owed += 1
        self._unsafe += is_connected

    def set_safe(self) -> None:
        """A broker that owes an answer was lost: the body waits for it here."""
        self._unsafe -= 1
        self._tell()

    def handed_out(self) -> None:
        """Every broker that it is owed to owes it by now; there may be none, which can have a queue for it."""
        self._owed -= 1
        if self.is_settled:
            self._judge()
            self._tell()

    def answered(self, verdict: Verdict, *, was_unsafe: bool) -> None:
        """A broker answered, or will never be asked again."""
        self._owed -= 1
        self._unsafe -= was_unsafe
        if verdict == "confirmed":
            self.is_routed = True
        elif verdict in _LOSSES:
            self.is_lost = True
        if self._followed is not None:
            self._followed.verdicts[verdict] += 1
        if self.is_settled:
            self._judge()
        self._tell()

    def follow(self, follower: Follower, sequences: list[int]) -> None:
        """Tell what becomes of records with these sequence numbers."""
        if self.is_settled:
            follower.settled(Fate(sequences))
            return
        if self._followed is None:
            self._followed = _Followed()
        self._followed.whose.append((follower, sequences))

    def _judge(self) -> None:
        for share in self.shares:
            if self.is_routed:
                share.account.routed(self.routing_key)
            elif not self.is_lost:
                share.account.unroutable(self.routing_key, share.records)
        if self._followed is not None:
            self._followed.tell()

    def _tell(self) -> None:
        if self._unsafe == 0:
            for share in self.shares:
                share.account.moved()


class _Followed:
    """The brokers' verdicts on a body, for those who want to know."""

    __slots__ = ("verdicts", "whose")

    def __init__(self) -> None:
        self.verdicts: dict[str, Any] = defaultdict(int)  # how many brokers; as Fate has it
        self.whose: list[tuple[Follower, list[int]]] = []

    def tell(self) -> None:
        """All verdicts are there."""
        self.verdicts.pop("dissolved", None)
        for follower, sequences in self.whose:
            follower.settled(Fate(sequences, **self.verdicts))
