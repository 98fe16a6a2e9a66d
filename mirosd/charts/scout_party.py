"""The scouts of one chart: at most MAX_SCOUTS are out at a time, the other addresses wait for their turn."""

from collections.abc import Set

from mirosd.charts.scout import MAX_SCOUTS, RabbitConsumerScoutChart, is_verdict_on
from mirosd.core.interfaces import Prober
from mirosd.payloads import AMQPConsumerCheckPayload, RecceNode
from mirosd_client.shell import ChartMixin, Event


class ScoutParty:
    """Sends scouts out. All methods are for the owner's thread.

    Args:
        owner: the chart whose regions the scouts are.
        routing_key, exchange_name: what they prove an address for.
    """

    def __init__(self, owner: ChartMixin, routing_key: str, exchange_name: str, prober: Prober) -> None:
        self._owner, self._prober = owner, prober
        self._keys = routing_key, exchange_name
        self.out: dict[str, RabbitConsumerScoutChart] = {}
        self._out_s: dict[str, float] = {}  # since when
        self._waiting: dict[str, None] = {}  # an ordered set: whose turn is next

    @property
    def addresses(self) -> Set[str]:
        """Whose verdict is still to come."""
        return self.out.keys() | self._waiting.keys()

    def hopeful(self, for_s: float) -> list[str]:
        """Give the addresses that wait for a scout, and those whose scouts have been out for less than `for_s`."""
        since_s = self._owner.reactor.now() - for_s
        return [*self._waiting, *(address for address in self.out if self._out_s[address] > since_s)]

    def seek(self, address: str) -> None:
        """Have the address scouted as soon as there is room, unless a scout is out for it."""
        if address not in self.out:
            self._waiting[address] = None
        self._send()

    def drop(self, address: str) -> None:
        """Want no verdict on the address any more."""
        self._waiting.pop(address, None)
        scout = self.out.pop(address, None)
        self._out_s.pop(address, None)
        if scout is not None:
            scout.disengage()
        self._send()

    def is_verdict(self, check: AMQPConsumerCheckPayload) -> bool:
        """Say whether a check settles an address that is searched, or was: for the keys that it is searched for."""
        node = RecceNode(searched=False, result=False, scout=self.out.get(check.ip_address))
        return is_verdict_on(node, check, *self._keys)

    def refactor_search(self, e: Event) -> None:
        """Hand REFACTOR_SEARCH to the scout that is out for its address."""
        scout = self.out.get(e.payload["ip_address"])
        if scout is not None:
            scout.tell(e)

    def _send(self) -> None:
        for address in list(self._waiting)[: MAX_SCOUTS - len(self.out)]:
            del self._waiting[address]
            self._out_s[address] = self._owner.reactor.now()
            scout = self.out[address] = RabbitConsumerScoutChart(self._owner, address, *self._keys, prober=self._prober)
            scout.start()
