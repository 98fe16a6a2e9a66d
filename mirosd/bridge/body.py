"""A sealed body on its way: which brokers still owe an answer for it, and who waits for that."""

from typing import NamedTuple, Protocol


class Waiting(Protocol):
    """Whoever gave records to a body: told when something about it may have changed."""

    def moved(self) -> None:
        """A body became safe or settled."""

    def routed(self, routing_key: str) -> None:
        """Records were settled, and some broker had a queue for them."""

    def unroutable(self, routing_key: str, count: int) -> None:
        """`count` records were settled without any broker having a queue for them."""


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
        self._owed = 0
        self._unsafe = 0

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

    def answered(self, *, is_routed: bool, was_unsafe: bool, is_lost: bool = False) -> None:
        """A broker answered, or will never be asked again (`is_lost`)."""
        self._owed -= 1
        self._unsafe -= was_unsafe
        self.is_routed |= is_routed
        self.is_lost |= is_lost
        if self.is_settled:
            self._judge()
        self._tell()

    def owed_to_nobody(self) -> None:
        """No broker can have a queue for it."""
        self._judge()
        self._tell()

    def _judge(self) -> None:
        for share in self.shares:
            if self.is_routed:
                share.account.routed(self.routing_key)
            elif not self.is_lost:
                share.account.unroutable(self.routing_key, share.records)

    def _tell(self) -> None:
        if self._unsafe == 0:
            for share in self.shares:
                share.account.moved()
