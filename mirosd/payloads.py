"""Payloads of the charts' signals: immutable namedtuples, as the seed documents ask.

The first fields of each are the seeds'; what was added stands behind, with a default.
"""

from typing import Any, NamedTuple


class CacheReadPayload(NamedTuple):
    """CACHE: a cache file as it is.

    `last_modified` in seconds since the epoch, `created_at` as text, `problem` empty when all is well, `age_s` how
    long ago it was modified when it was read (negative: its date is in the future).
    """

    dict: dict[str, Any]
    last_modified: float
    created_at: str
    expired: bool
    file_name: str
    problem: str = ""
    age_s: float = 0.0


class CacheWritePayload(NamedTuple):
    """CACHE_FILE_WRITE: the new text of the file named `file_name`."""

    json: str
    file_name: str


class StageReport(NamedTuple):
    """One stage of a scouting: its name, `ok` or a code, what was seen, and how long it took."""

    stage: str
    code: str
    detail: str
    took_ms: float


class Introduction(NamedTuple):
    """What a proved peer says of itself, inside a sealed answer."""

    node: str
    name: str
    start: int
    version: str
    networks: tuple[str, ...]
    wall_ahead_s: float = 0.0
    brokers: tuple[str, ...] = ()  # where its own broker takes others' connections, as a hosts file writes it


class AMQPConsumerCheckPayload(NamedTuple):
    """AMQP_CONSUMER_CHECK: a scout's verdict on one address.

    `code` is "" when result is True, else the stage that failed (errors.BrokerError and
    daemon, key, version, system, self); `stages` every stage in order.
    """

    ip_address: str
    result: bool
    routing_key: str
    exchange_name: str
    code: str = ""
    stages: tuple[StageReport, ...] = ()
    introduction: Introduction | None = None


class ConnectionDiscoveryPayload(NamedTuple):
    """CONNECTION_DISCOVERY: addresses that proved themselves. URLs never hold a password.

    `introductions` and `sources` (manual, lan, cache, gossip, alien) stand in the order of `hosts`.
    """

    hosts: tuple[str, ...]
    amqp_urls: tuple[str, ...]
    dispatcher: str
    introductions: tuple[Introduction, ...] = ()
    sources: tuple[str, ...] = ()


class RecceCompletePayload(NamedTuple):
    """LAN_RECCE_COMPLETE: the addresses that were proved in this search, and our own address on that network."""

    other_addresses: tuple[str, ...]
    my_address: str


class LanHostFoundPayload(NamedTuple):
    """LAN_HOST_FOUND: a scout proved `ip_address`; `source` says how we came by it (lan, cache, gossip, alien)."""

    ip_address: str
    introduction: Introduction
    source: str = "lan"


class HostsSightedPayload(NamedTuple):
    """HOSTS_SIGHTED: addresses that somebody named (hosts as in a hosts file), and the source.

    `source`: cache, gossip, alien, or lan: named by people. `node`: whose they are, "" when nobody says so; an alien
    said so itself, in a sealed answer to us.
    """

    addresses: tuple[str, ...]
    source: str
    node: str = ""


class LanAnswer(NamedTuple):
    """lan_answered, lan_heard: an authentic datagram of another node.

    `address` is where it came from (no port; an IPv6 link-local one with its zone), `broker` the host where its
    broker takes connections, as a hosts file writes it ("10.0.0.7:5672"), "" when it has none for others.
    `took_ms`: since the probe it answers; 0.0 for lan_heard. `instance` tells two daemons with one node id apart.
    """

    address: str
    node: str
    broker: str
    took_ms: float = 0.0
    instance: str = ""


class LanNeighbour(NamedTuple):
    """One address of the LAN as the kernel and our probes know it.

    `state` is alive, stale (seen `age_s` ago), dead or unknown; `mac` may be "". `node` is that of its answer, or "".
    `verdict` is what `mirosctl recce` says of it: proved nothing by itself, it is for people.
    """

    address: str
    state: str
    mac: str = ""
    age_s: float | None = None
    node: str = ""
    verdict: str = ""


class LanSurvey(NamedTuple):
    """ip_addresses_found: what a search has seen so far, and our own address ("" when we have none there)."""

    my_address: str
    neighbours: tuple[LanNeighbour, ...]


class HostsListedPayload(NamedTuple):
    """HOSTS_LISTED: the manual hosts in force, from both hosts files."""

    hosts: tuple[str, ...]


class Producer(NamedTuple):
    """Where one network's events for one peer are published: the seeds' producer, without its thread.

    `start` is the start counter with which the node proved that it has the network's key; 0: nobody knows.
    """

    network: str
    host: str
    node: str
    start: int = 0


class ProducerQueue(NamedTuple):
    """The item that ProducerFactoryChart puts into its queue: producers per network, and the new addresses."""

    mesh_producers: tuple[Producer, ...]
    snoop_trace_producers: tuple[Producer, ...]
    snoop_spy_producers: tuple[Producer, ...]
    ip_addresses: tuple[str, ...]


class RecceNode(NamedTuple):
    """One address under evaluation: searched yet, the verdict, and the scout while it is out."""

    searched: bool
    result: bool
    scout: Any


class PeerHeard(NamedTuple):
    """peer_heard: an authentic heartbeat. Older (start, sequence) pairs than the last are ignored by the receiver."""

    introduction: Introduction
    sequence: int
    rtt_ms: float | None = None


class PeerSign(NamedTuple):
    """peer_routed, peer_returned, peer_link_up, peer_link_down, peer_left: something was seen of a node.

    peer_blocked: its broker takes no messages, `detail` says why; "" when it takes them again.
    peer_own_blocked, peer_own_free: `node` is "", `detail` what keeps our own broker from bringing us anything.
    (peer_forgotten and peer_allowed, which people cause, carry the node's id alone.)
    """

    node: str
    start: int = 0
    sequence: int = 0
    detail: str = ""


class PeerAlien(NamedTuple):
    """peer_alien: a node that nobody listed or found spoke to us, and answered our challenge; `brokers` as it named.

    `brokers` as a hosts file writes them ("10.0.0.7:5672"), in one spelling; () for a peer that has restarted, and was
    only asked which networks' keys it has now.
    """

    introduction: Introduction
    brokers: tuple[str, ...]


class PeerGossip(NamedTuple):
    """peer_gossip: a peer of ours hears `node`, and says where its brokers are (as in PeerAlien)."""

    node: str
    brokers: tuple[str, ...]


class NodesForgottenPayload(NamedTuple):
    """NODES_FORGOTTEN: every node that people forgot and whose tombstone stands; at the start, and at each change."""

    nodes: tuple[str, ...]


class PeerGonePayload(NamedTuple):
    """PEER_GONE: nothing is owed to this node any more. PEER_ADRIFT: our link to its broker was lost.

    `hosts` are the addresses at which it had proved to be.
    """

    node: str
    hosts: tuple[str, ...]
