"""Find the hosts that people listed, and never give one up.

    read_and_evaluate_network_details --------------------------------------------------------+
    |  ENTRY / subscribe; read the hosts files                                                |
    |  CACHE [of a hosts file] / take it            -> evaluate_network, if both are known    |
    |  EVALUATE_HOSTS_FILE / take back all verdicts but proofs; read the hosts files          |
    |  host_added, host_removed / note the edit; read the local file                          |
    |  network_evaluated / publish CONNECTION_DISCOVERY of the newly proved, if any           |
    |  REFACTOR_SEARCH / hand it to the scout of that address                                 |
    |  PEER_GONE, PEER_ADRIFT / its listed hosts are not proved any more; scout them          |
    |  +- evaluate_network ----------------------------------------------------------------+  |
    |  |  ENTRY / follow the lists: forget who is gone, scout who has no verdict           |  |
    |  |  AMQP_CONSUMER_CHECK [of a listed host] / note it; if it is newly proved, post    |  |
    |  |                  network_evaluated, else arm scout_again; send the next out       |  |
    |  |  scout_again / send a scout out                                                   |  |
    |  +-----------------------------------------------------------------------------------+  |
    +-----------------------------------------------------------------------------------------+

Two hosts files count: the operator's, which is read only, and the local one, which the
two edits are written to. A file that is wrong leaves the last good list of it in force.

Takes:  CACHE (CacheReadPayload), AMQP_CONSUMER_CHECK (AMQPConsumerCheckPayload),
        EVALUATE_HOSTS_FILE, PEER_GONE, PEER_ADRIFT (PeerGonePayload), REFACTOR_SEARCH (dict)
Gives:  CACHE_FILE_READ (file name), CACHE_FILE_WRITE (CacheWritePayload), HOSTS_LISTED
        (HostsListedPayload), CONNECTION_DISCOVERY (ConnectionDiscoveryPayload), one entry
        for each time that a host is proved anew
Always: at most MAX_SCOUTS scouts out; a listed host is proved, under way, waiting its turn,
        or armed to be scouted again within 4 s; only `self` waits for the next evaluation
"""

import random
from collections.abc import Callable
from functools import partial

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.charts.scout import MAX_SCOUTS, UNSEARCHED, RabbitConsumerScoutChart, is_verdict_on
from mirosd.core.addresses import amqp_url, parse_host
from mirosd.core.backoff import LISTED_HOST_CAP_S, LISTED_HOST_FIRST_S, Dice, delay_s
from mirosd.core.cache_document import with_host, without_host
from mirosd.core.hosts_lists import Edit, HostsLists
from mirosd.core.interfaces import Prober
from mirosd.core.shown import Board
from mirosd.payloads import (
    AMQPConsumerCheckPayload,
    CacheReadPayload,
    CacheWritePayload,
    ConnectionDiscoveryPayload,
    HostsListedPayload,
    Introduction,
    PeerGonePayload,
    RecceNode,
)
from mirosd.signals import Private, Public
from mirosd_client.shell import Chart, Event


class ManNetChart(Chart):
    """The manual network: what the hosts files list.

    Args:
        routing_key, exchange_name: what a scout proves a host for.
        cache_file_path: the operator's hosts file; local_file_path: the one that add_host() and remove_host()
            change. Each is the file of a CacheFileChart that parses hosts and was started before.
        url_of: gives the URL of a host's broker.
        on_listed: told the hosts that are listed, before any of them is scouted. Called in this chart's thread.
    """

    def __init__(
        self,
        routing_key: str,
        exchange_name: str,
        cache_file_path: str,
        *,
        local_file_path: str,
        prober: Prober,
        board: Board,
        url_of: Callable[[str], str] = amqp_url,
        on_listed: Callable[[tuple[str, ...]], None] = lambda _hosts: None,
        dice: Dice = random.random,
        live_trace: bool = False,
        live_spy: bool = False,
    ) -> None:
        super().__init__("man_net_chart", instrumented=live_spy)
        self.live_trace, self.live_spy = live_trace, live_spy
        self.routing_key, self.exchange_name = routing_key, exchange_name
        self.lists = HostsLists(cache_file_path, local_file_path)
        self.candidates: dict[str, RecceNode] = {}
        self._prober, self._board, self._on_listed, self._dice = prober, board, on_listed, dice
        self._url_of = url_of
        self._waiting: dict[str, None] = {}  # an ordered set: whose turn is next
        self._failures: dict[str, int] = {}  # in a row, by host
        self._timers: dict[str, str | None] = {}  # scout_again, by host
        self._live: dict[str, Introduction] = {}  # proved, and not published yet

    def start(self) -> None:
        """Start the chart and its thread."""
        self.start_at(read_and_evaluate_network_details)

    def add_host(self, host: str) -> None:
        """Have `host` written to the local hosts file. Thread: any. Raises AddressError."""
        self.post_fifo(Event(signal=Private.host_added, payload=str(parse_host(host))))

    def remove_host(self, host: str) -> None:
        """Have `host` taken out of the local hosts file. Thread: any. Raises AddressError."""
        self.post_fifo(Event(signal=Private.host_removed, payload=str(parse_host(host))))

    # --- the files -------------------------------------------------------------------

    def read_files(self, *file_names: str) -> None:
        """Ask for these hosts files."""
        for file_name in file_names:
            self.publish(Event(signal=Public.CACHE_FILE_READ, payload=file_name))

    def note_edit(self, edit: Edit) -> None:
        """Make the edit as soon as the local file has been read."""
        self.lists.edit(edit)
        self.read_files(self.lists.local_path)

    def take_file(self, cache: CacheReadPayload) -> None:
        """Take what a hosts file lists, or its problem."""
        text = self.lists.take(cache)
        if text is not None:
            payload = CacheWritePayload(text, self.lists.local_path)
            self.publish(Event(signal=Public.CACHE_FILE_WRITE, payload=payload))
            self.read_files(self.lists.local_path)
        if self.lists.problem:
            self._board.raise_reason("hosts_file", self.lists.problem)
        else:
            self._board.clear_reason("hosts_file")

    # --- the hosts -------------------------------------------------------------------

    def follow_lists(self) -> None:
        """Make the candidates those that are listed now."""
        hosts = self.lists.hosts
        self._board.show_hosts(*self.lists.parts)
        self._on_listed(hosts)
        if hosts != tuple(self.candidates):
            self.publish(Event(signal=Public.HOSTS_LISTED, payload=HostsListedPayload(hosts)))
        for host in self.candidates.keys() - set(hosts):
            self._forget(host)
        self.candidates = {host: self.candidates.get(host, UNSEARCHED) for host in hosts}
        self.seek([host for host, node in self.candidates.items() if not node.searched])

    def seek(self, hosts: list[str]) -> None:
        """Have the hosts scouted as soon as there is room, whatever they were waiting for."""
        for host in hosts:
            self.cancel_event(self._timers.pop(host, None))
            if self.candidates[host].scout is None:
                self._waiting[host] = None
        self._send_scouts()

    def evaluate_anew(self) -> None:
        """Take back every verdict but the proofs, and read the files, which sends the scouts out."""
        self._failures.clear()
        for host, node in self.candidates.items():
            if not node.result:
                self.candidates[host] = node._replace(searched=False)
        self.read_files(*self.lists.paths)

    def seek_gone(self, gone: PeerGonePayload) -> None:
        """Begin again with the hosts behind which nobody is any more."""
        hosts = [host for host in gone.hosts if host in self.candidates]
        for host in hosts:
            self._live.pop(host, None)
            self.candidates[host] = UNSEARCHED._replace(scout=self.candidates[host].scout)
        self.seek(hosts)

    def concerns(self, check: AMQPConsumerCheckPayload) -> bool:
        """Say whether a verdict is on a listed host, and on what we search it for."""
        return is_verdict_on(self.candidates.get(check.ip_address), check, self.routing_key, self.exchange_name)

    def take_check(self, check: AMQPConsumerCheckPayload) -> None:
        """Note a verdict on a listed host."""
        host, node = check.ip_address, self.candidates[check.ip_address]
        if node.scout is not None:
            node.scout.disengage()
        is_proved = check.introduction is not None
        self.candidates[host] = RecceNode(searched=True, result=is_proved or node.result, scout=None)
        if check.introduction is not None:
            self._stop_waiting(host)
            if not node.result:
                self._live[host] = check.introduction
                self.post_fifo(Event(signal=Private.network_evaluated))
        elif not node.result and check.code != "self":
            self._arm_again(host)
        self._send_scouts()

    def publish_discovery(self) -> None:
        """Publish who was proved since the last time."""
        live, self._live = self._live, {}
        if live:
            payload = ConnectionDiscoveryPayload(
                hosts=tuple(live),
                amqp_urls=tuple(self._url_of(host) for host in live),
                dispatcher=str(self.name),
                introductions=tuple(live.values()),
                sources=("manual",) * len(live),
            )
            self.publish(Event(signal=Public.CONNECTION_DISCOVERY, payload=payload))

    def refactor_search(self, e: Event) -> None:
        """Hand the event to the scout that is out for its address."""
        node = self.candidates.get(e.payload["ip_address"], UNSEARCHED)
        if node.scout is not None:
            node.scout.tell(e)

    def _arm_again(self, host: str) -> None:
        attempt = self._failures.get(host, 0)
        self._failures[host] = attempt + 1
        wait_s = delay_s(attempt, first_s=LISTED_HOST_FIRST_S, cap_s=LISTED_HOST_CAP_S, random=self._dice)
        self._timers[host] = self.post_fifo(Event(signal=Private.scout_again, payload=host), period=wait_s, times=1)

    def _send_scouts(self) -> None:
        room = MAX_SCOUTS - sum(node.scout is not None for node in self.candidates.values())
        for host in list(self._waiting)[: max(room, 0)]:
            del self._waiting[host]
            scout = RabbitConsumerScoutChart(self, host, self.routing_key, self.exchange_name, prober=self._prober)
            self.candidates[host] = self.candidates[host]._replace(scout=scout)
            scout.start()

    def _forget(self, host: str) -> None:
        scout = self.candidates[host].scout
        if scout is not None:
            scout.disengage()
        self._live.pop(host, None)
        self._stop_waiting(host)

    def _stop_waiting(self, host: str) -> None:
        self.cancel_event(self._timers.pop(host, None))
        self._waiting.pop(host, None)
        self._failures.pop(host, None)


@state
def read_and_evaluate_network_details(net: ManNetChart, e: Event) -> Status:
    """The files are not known yet; or what holds whether they are or not."""
    match e.signal:
        case Engine.ENTRY:
            for signal in (
                Public.CACHE,
                Public.AMQP_CONSUMER_CHECK,
                Public.EVALUATE_HOSTS_FILE,
                Public.REFACTOR_SEARCH,
                Public.PEER_GONE,
                Public.PEER_ADRIFT,
            ):
                net.subscribe(signal)
            net.read_files(*net.lists.paths)
            return HANDLED
        case Public.CACHE if e.payload.file_name in net.lists.paths:
            net.take_file(e.payload)
            return net.trans(evaluate_network) if net.lists.is_known else HANDLED
        case Public.EVALUATE_HOSTS_FILE:
            net.evaluate_anew()
            return HANDLED
        case Private.host_added:
            net.note_edit(partial(with_host, host=e.payload))
            return HANDLED
        case Private.host_removed:
            net.note_edit(partial(without_host, host=e.payload))
            return HANDLED
        case Private.network_evaluated:
            net.publish_discovery()
            return HANDLED
        case Public.REFACTOR_SEARCH:
            net.refactor_search(e)
            return HANDLED
        case Public.PEER_GONE | Public.PEER_ADRIFT:
            net.seek_gone(e.payload)
            return HANDLED
    return net.parent(net.top)


@state
def evaluate_network(net: ManNetChart, e: Event) -> Status:
    """The listed hosts are known, and each is proved or being proved."""
    match e.signal:
        case Engine.ENTRY:
            net.follow_lists()
            return HANDLED
        case Public.AMQP_CONSUMER_CHECK if net.concerns(e.payload):
            net.take_check(e.payload)
            return HANDLED
        case Private.scout_again if e.payload in net.candidates:
            net.seek([e.payload])
            return HANDLED
    return net.parent(read_and_evaluate_network_details)
