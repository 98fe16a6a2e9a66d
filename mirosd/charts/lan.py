"""Know the hosts of the LAN: from the cache while it is fresh, else from a search.

    read_or_discover_network_details ---------------------------------------------------------+
    |  ENTRY / subscribe; read the cache                                                      |
    |  CACHE [mine, the first, fresh, somebody in it] / publish HOSTS_SIGHTED; arm            |
    |                                                   cache_expired for when it is too old  |
    |  CACHE [mine, the first, else]                           -> discover_network            |
    |  CACHE [mine, later] / show it; if it is a problem, arm cache_due                       |
    |  LAN_HOST_FOUND / remember it; post connections_discovered; arm cache_due               |
    |  connections_discovered / publish CONNECTION_DISCOVERY of what is new                   |
    |  PEER_GONE / forget it                                                                  |
    |  LAN_RECCE_COMPLETE / write the cache; arm cache_expired                                |
    |  cache_due / write the cache, if it would change                                        |
    |  cache_expired                                           -> discover_network            |
    |  LAN_CACHE_FLUSH / write an empty cache                  -> discover_network            |
    |  +- discover_network: ENTRY / publish RECCE_LAN; arm cache_expired                      |
    +-----------------------------------------------------------------------------------------+

A cached address is a hint of whom to ask, no more: what is found there is proved anew.

Takes:  CACHE (CacheReadPayload), LAN_RECCE_COMPLETE (RecceCompletePayload), LAN_HOST_FOUND
        (LanHostFoundPayload), PEER_GONE (PeerGonePayload), LAN_CACHE_FLUSH
Gives:  CACHE_FILE_READ (file name), CACHE_FILE_WRITE (CacheWritePayload), RECCE_LAN,
        HOSTS_SIGHTED (HostsSightedPayload), CONNECTION_DISCOVERY (ConnectionDiscoveryPayload):
        an entry for each LAN_HOST_FOUND; the cache and `lan_cache`, to the board
Always: no password in any of them; an empty result is never taken from the cache; hosts
        found one by one are one write; with cache_minutes 0 the search is made at each start
"""

from collections.abc import Callable

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.core.addresses import amqp_url
from mirosd.core.cache_document import MAX_HOSTS, lan_cache_text, merge
from mirosd.core.shown import Board, LanCache
from mirosd.payloads import (
    CacheReadPayload,
    CacheWritePayload,
    ConnectionDiscoveryPayload,
    HostsSightedPayload,
    LanHostFoundPayload,
    PeerGonePayload,
)
from mirosd.signals import Private, Public
from mirosd_client.shell import Chart, Event

WRITE_AFTER_S = 2.0
"""Hosts that are found one by one come in one write; a search's end, 1.5 s after its beginning, writes them first."""

WRITE_AGAIN_S = 60.0
"""A disk that was full or read-only is tried again, so that its cure is noticed."""


class LanChart(Chart):
    """The hosts of the LAN.

    Args:
        cache_file_path: the file of a CacheFileChart that parses LAN caches and was started before.
        time_out_in_minutes: how old the cache may be, whatever the file says; 0: it never counts.
        url_of: gives the URL of the broker at an address.
    """

    def __init__(
        self,
        cache_file_path: str,
        *,
        board: Board,
        time_out_in_minutes: float = 30.0,
        url_of: Callable[[str], str] = amqp_url,
        live_trace: bool = False,
        live_spy: bool = False,
    ) -> None:
        super().__init__("lan_chart", instrumented=live_spy)
        self.live_trace, self.live_spy = live_trace, live_spy
        self.cache_file_path = cache_file_path
        self.is_cache_known = False
        self.found: dict[str, LanHostFoundPayload] = {}  # by address, with the last introduction
        self._new: list[LanHostFoundPayload] = []
        self._board = board
        self._minutes = time_out_in_minutes
        self._url_of = url_of
        self._cached: tuple[str, ...] | None = None  # what the file holds; None: unknown
        self._expiry: str | None = None
        self._due: str | None = None

    def start(self) -> None:
        """Start the chart and its thread."""
        self.start_at(read_or_discover_network_details)

    # --- the cache -------------------------------------------------------------------

    def read_cache(self) -> None:
        """Ask for the cache."""
        self.publish(Event(signal=Public.CACHE_FILE_READ, payload=self.cache_file_path))

    def expires_s(self, cache: CacheReadPayload) -> float:
        """Give in how many seconds the cache is too old: 0 when it is, or holds nobody."""
        minutes = min(cache.dict.get("time_out_in_minutes", 0), self._minutes)
        left_s = minutes * 60 - abs(cache.age_s)  # a date in the future is as wrong as one long ago
        return max(0.0, left_s) if cache.dict.get("addresses") and not cache.expired else 0.0

    def show_cache(self, cache: CacheReadPayload) -> None:
        """Show what the file holds, or its problem."""
        if cache.problem:
            self._board.raise_reason("lan_cache", cache.problem)
            self._cached = None
            self._arm_write(WRITE_AGAIN_S)
        else:
            self._board.clear_reason("lan_cache")
            self._cached = tuple(cache.dict["addresses"])
        self._board.show_lan_cache(
            LanCache(
                addresses=self._cached or (),
                amqp_urls=tuple(cache.dict.get("amqp_urls", ())),
                time_out_in_minutes=cache.dict.get("time_out_in_minutes", 0),
                age_s=cache.age_s,
                expires_s=self.expires_s(cache),
                read_s=self.reactor.now(),
                problem=cache.problem,
            )
        )

    def sight_cached(self, cache: CacheReadPayload) -> None:
        """Have the cached addresses asked, and the LAN searched when the cache is too old."""
        addresses = tuple(cache.dict["addresses"][:MAX_HOSTS])
        self.publish(Event(signal=Public.HOSTS_SIGHTED, payload=HostsSightedPayload(addresses, "cache")))
        self._arm_expiry(self.expires_s(cache))

    def begin_discovery(self) -> None:
        """Search, and again when what will be found is too old."""
        self.publish(Event(signal=Public.RECCE_LAN))
        self._arm_expiry(self._minutes * 60)

    def end_discovery(self, addresses: tuple[str, ...]) -> None:
        """Write what was found."""
        self._arm_expiry(self._minutes * 60)
        self.write_cache(merge(addresses, self.found))

    def flush_cache(self) -> None:
        """Write a cache that holds nobody, and is too old."""
        self._write((), time_out_in_minutes=0)

    def write_cache(self, addresses: tuple[str, ...]) -> None:
        """Write a cache of these addresses, from now on fresh."""
        self._write(addresses, time_out_in_minutes=self._minutes)

    def write_changes(self) -> None:
        """Write the cache if it misses somebody. Cached hosts not found yet stay in it until a search ends."""
        self._due = None
        if self._cached is None or self.found.keys() - set(self._cached):
            self.write_cache(merge(self.found, self._cached or ()))

    # --- the hosts -------------------------------------------------------------------

    def take_found(self, found: LanHostFoundPayload) -> None:
        """Remember a proved host."""
        self.found[found.ip_address] = found
        self._new.append(found)
        self.post_fifo(Event(signal=Private.connections_discovered))
        if self._due is None:
            self._arm_write(WRITE_AFTER_S)

    def take_gone(self, gone: PeerGonePayload) -> None:
        """Forget where nobody is any more."""
        self.found = {
            address: found
            for address, found in self.found.items()
            if found.introduction.node != gone.node and address not in gone.hosts
        }

    def publish_discovery(self) -> None:
        """Publish who was found since the last time."""
        new, self._new = self._new, []
        if new:
            payload = ConnectionDiscoveryPayload(
                hosts=tuple(found.ip_address for found in new),
                amqp_urls=tuple(self._url_of(found.ip_address) for found in new),
                dispatcher=str(self.name),
                introductions=tuple(found.introduction for found in new),
                sources=tuple(found.source for found in new),
            )
            self.publish(Event(signal=Public.CONNECTION_DISCOVERY, payload=payload))

    def _write(self, addresses: tuple[str, ...], *, time_out_in_minutes: float) -> None:
        self.cancel_event(self._due)
        self._due = None
        urls = map(self._url_of, addresses)
        text = lan_cache_text(addresses, urls, time_out_in_minutes=time_out_in_minutes)
        payload = CacheWritePayload(text, self.cache_file_path)
        self.publish(Event(signal=Public.CACHE_FILE_WRITE, payload=payload))
        self.read_cache()

    def _arm_write(self, after_s: float) -> None:
        self.cancel_event(self._due)
        self._due = self.post_fifo(Event(signal=Private.cache_due), period=after_s, times=1)

    def _arm_expiry(self, after_s: float) -> None:
        self.cancel_event(self._expiry)
        if self._minutes:
            self._expiry = self.post_fifo(Event(signal=Private.cache_expired), period=after_s, times=1)


@state
def read_or_discover_network_details(lan: LanChart, e: Event) -> Status:
    """The cache is read, or counts."""
    match e.signal:
        case Engine.ENTRY:
            for signal in (
                Public.CACHE,
                Public.LAN_RECCE_COMPLETE,
                Public.LAN_HOST_FOUND,
                Public.PEER_GONE,
                Public.LAN_CACHE_FLUSH,
            ):
                lan.subscribe(signal)
            lan.read_cache()
            return HANDLED
        case Public.CACHE if e.payload.file_name == lan.cache_file_path:
            lan.show_cache(e.payload)
            if lan.is_cache_known:
                return HANDLED
            lan.is_cache_known = True
            if not lan.expires_s(e.payload):
                return lan.trans(discover_network)
            lan.sight_cached(e.payload)
            return HANDLED
        case Public.LAN_HOST_FOUND:
            lan.take_found(e.payload)
            return HANDLED
        case Private.connections_discovered:
            lan.publish_discovery()
            return HANDLED
        case Public.PEER_GONE:
            lan.take_gone(e.payload)
            return HANDLED
        case Public.LAN_RECCE_COMPLETE:
            lan.end_discovery(e.payload.other_addresses)
            return HANDLED
        case Private.cache_due:
            lan.write_changes()
            return HANDLED
        case Private.cache_expired:
            return lan.trans(discover_network)
        case Public.LAN_CACHE_FLUSH:
            lan.flush_cache()
            return lan.trans(discover_network)
    return lan.parent(lan.top)


@state
def discover_network(lan: LanChart, e: Event) -> Status:
    """The LAN is searched, or was."""
    match e.signal:
        case Engine.ENTRY:
            lan.begin_discovery()
            return HANDLED
    return lan.parent(read_or_discover_network_details)
