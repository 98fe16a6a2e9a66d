"""Which broker addresses may be sent our credentials, and until when.

Two things clear an address, and nothing else does:

* a hosts file lists it: for as long as it stands there;
* a sealed answer names it, to a probe or challenge whose nonce we drew: for FRESH_S from the drawing.
  Where an answer came from clears nothing: a datagram can be relayed, a broker can pass a challenge on.

A name is cleared as a name, an address as an address: neither clears the other, whatever the resolver
says. So a listed name is sent credentials wherever it resolves to at that moment, as its operator asked,
and an address learnt elsewhere gains nothing by being what a listed name resolves to, now or once.
Who does not trust the resolver lists addresses, or uses TLS, which proves the name.
"""

from collections import OrderedDict
from collections.abc import Iterable

from mirosd.core.addresses import AddressError, HostPort, parse_host

FRESH_S = 5.0
"""How long a nonce of ours proves that its answer is new, and an address that stands in the answer is cleared."""

MAX_CLEARED = 4096
"""Addresses cleared at a time: four /22 networks that answer within 5 s; the oldest gives way."""

MAX_NONCES = 4096
"""Nonces waiting for their answers; the oldest gives way."""


class Clearance:
    """The addresses that are cleared. Times are seconds on the monotonic clock. Thread: loop.

    Args:
        default_port: of a listed host that is written without one.
        is_open: everything is cleared: the operator's `discovery.lan.scout: all`.
    """

    def __init__(self, default_port: int, *, is_open: bool = False) -> None:
        self._default_port, self._is_open = default_port, is_open
        self._listed: frozenset[HostPort] = frozenset()
        self._until_s: OrderedDict[HostPort, float] = OrderedDict()
        self._drawn_s: OrderedDict[str, float] = OrderedDict()

    def list_hosts(self, hosts: Iterable[str]) -> None:
        """Have these hosts listed, as hosts files write them, and no others."""
        self._listed = frozenset(where for host in hosts if (where := self._where(host)) is not None)

    def draw(self, nonce: str, now_s: float) -> str:
        """Note that `nonce` has been drawn now, and give it back."""
        self._drawn_s[nonce] = now_s
        while len(self._drawn_s) > MAX_NONCES:
            self._drawn_s.popitem(last=False)
        return nonce

    def answered(self, nonce: str, brokers: Iterable[str]) -> None:
        """A sealed answer to `nonce` names these brokers; one to a nonce that we did not draw clears nothing."""
        drawn_s = self._drawn_s.get(nonce)
        if drawn_s is not None:
            self.clear(brokers, drawn_s)

    def clear(self, brokers: Iterable[str], drawn_s: float) -> None:
        """Clear brokers that a sealed answer names, whose nonce was drawn at `drawn_s`."""
        until_s = drawn_s + FRESH_S
        for broker in brokers:
            where = self._where(broker)
            if where is not None:
                self._until_s[where] = max(until_s, self._until_s.pop(where, until_s))
        while len(self._until_s) > MAX_CLEARED:
            self._until_s.popitem(last=False)

    def is_cleared(self, host: str, port: int, now_s: float) -> bool:
        """Say whether a broker may be sent credentials now; `host` is bare, as BrokerAddress has it."""
        if self._is_open:
            return True
        where = HostPort(host, port)
        return where in self._listed or now_s < self._until_s.get(where, now_s)

    def _where(self, text: str) -> HostPort | None:
        try:
            host, port = parse_host(text)
        except AddressError:  # a peer's word may be anything
            return None
        return HostPort(host, port or self._default_port)
