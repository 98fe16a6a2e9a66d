"""Everything an operator can set: frozen values, each with its default, unit and reason.

A field's annotation says what config.py accepts for it: a type, and a `Range`, `OCTAL` or a
check (a function that gives "" or what to write instead). Nothing stands here that has no effect.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from mirosd.core.setting_checks import (
    NOT_WRITTEN,
    OCTAL,
    Range,
    check_broker_url,
    check_host,
    check_interface_or_prefix,
    check_path,
    check_system,
    check_word,
)
from mirosd_client.limits import EVENT_TTL_S, MAX_FRAME_BYTES

MIB = 1024 * 1024
MAX_BYTES = 1 << 40  # a TiB: beyond any host this runs on, so a slip of the keyboard
DAY_S = 86_400

Word = Annotated[str, check_word]
FilePath = Annotated[str, check_path]
Port = Annotated[int, Range(1, 65535)]


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """The Unix socket that programs and mirosctl connect to."""

    path: FilePath = "/run/mirosd/mirosd.sock"
    """Where clients look first; systemd keeps its directory (RuntimeDirectory=)."""
    group: Word | None = "mirosd"
    """The socket's group: its members may transmit and subscribe. Missing, it is a warning unless root starts us."""
    operators: Word = "mirosd-admin"
    """The group whose members may change things; root always may."""
    mode: Annotated[int, OCTAL] = 0o660
    """The socket's mode: user and group, so that being a member is what counts."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """This host's own broker, and the account that never leaves the host."""

    url: Annotated[str, check_broker_url] = "amqp://127.0.0.1:5672/%2F"
    """amqp, amqps, or memory:// for a single host without RabbitMQ; loopback, as the broker is private to the host."""
    user: Word = "mirosd"
    """`guest` would do on loopback only, and is the first name anybody tries."""
    password: str | None = field(default=None, repr=False)
    """In this file only where nobody else reads it; password_file is better."""
    password_file: FilePath | None = None
    """A file whose first line is the password."""
    advertise: tuple[Annotated[str, check_host], ...] = ()
    """HOST[:PORT] where other hosts reach this broker, told to them sealed; empty: where `url` is, or for one on
    loopback this host's addresses on its LANs."""


@dataclass(frozen=True, slots=True)
class PeersSettings:
    """The account used towards other hosts' brokers: it may write to the exchanges and little else."""

    user: Word = "peers"
    """One account for the whole mesh, apart from `broker.user`, so that a peer never holds the own broker's."""
    password: str | None = field(default=None, repr=False)
    """As broker.password."""
    password_file: FilePath | None = None
    """As broker.password_file."""
    port: Port | None = None
    """Port of a listed host that is written without one; null: AMQP's own, 5672, and with TLS 5671."""
    tls: Literal["auto", "on", "off"] = "auto"
    """auto: TLS if broker.url has it; on: also where our own broker is spoken to in clear, on loopback."""
    vhost: Word = "/"
    """RabbitMQ's default virtual host."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS to brokers, wherever broker.url or peers.tls asks for it.

    A broker's certificate must come from an authority that is trusted and name the host as it is addressed; nothing
    switches that off. Files that are renewed count at the next connection.
    """

    ca_file: FilePath | None = None
    """Authorities that are trusted, PEM; null: the system's."""
    cert_file: FilePath | None = None
    """This host's certificate, PEM, for brokers that ask for one; with those between it and its authority."""
    key_file: FilePath | None = None
    """Its private key, PEM, without a passphrase, since nobody is there to type one; null: in cert_file."""


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """The mesh network."""

    key_file: FilePath = "/etc/mirosd/keys/mesh.key"
    """32 bytes in urlsafe base64; the other keys are looked for beside it.

    Where there is a system key it may be missing: this host then has no events.
    """


@dataclass(frozen=True, slots=True)
class SnoopNetworkSettings:
    """One of the two instrumentation networks."""

    key_file: FilePath | None = None
    """null: snoop_trace.key or snoop_spy.key beside the mesh key when there is one, else the mesh key.

    Without either the network does not exist on this host.
    """


@dataclass(frozen=True, slots=True)
class NetworksSettings:
    """The keys of the three networks, and of the system that they belong to."""

    mesh: MeshSettings = MeshSettings()
    snoop_trace: SnoopNetworkSettings = SnoopNetworkSettings()
    snoop_spy: SnoopNetworkSettings = SnoopNetworkSettings()
    system_key_file: FilePath | None = None
    """null: system.key beside the mesh key when there is one, else derived from the mesh key."""


@dataclass(frozen=True, slots=True)
class KeysSettings:
    """How the networks' keys are renewed."""

    accept_remote: bool = False
    """True: keys of a rotation that another host began are taken (mirosctl keys rotate). A rotation waits for hosts
    that take none; but whoever has a network's key could lock out those that take any."""


@dataclass(frozen=True, slots=True)
class LanSettings:
    """How the LAN is searched for hosts with our key."""

    enabled: bool = True
    """False: nothing is sent to the LAN, no probe is answered; listed hosts alone are found."""
    port: Port = 27672
    """UDP: asked from and answered on, so that one firewall rule is enough; the same on all hosts."""
    cache_minutes: Annotated[float, Range(0, 525_600, "minutes")] = 30.0
    """Minutes that what was found counts after a restart without a new search; 0: search at every start."""
    arp_timeout_s: Annotated[float, Range(0.1, 60, "seconds")] = 1.5
    """Seconds a search waits for answers: all hosts were found within 0.9 s at 20 % loss."""
    scout: Literal["proved", "all"] = "proved"
    """proved: who answered a sealed probe; all: every neighbour, which sends them, and whoever is
    named by others, our account, as the ancestor did."""
    sweep: Literal["auto", "always", "off"] = "auto"
    """Asking address by address: auto at 300/s where no broadcast is answered, else 20/s; off where ARP is limited."""
    ping: bool = False
    """True: also ping the broadcast address as the ancestor did; our own probe needs none."""
    allow: tuple[Annotated[str, check_interface_or_prefix], ...] = ()
    """Interfaces ("eth1"), kinds of them ("tun") and networks ("100.64.0.0/22") searched that would be skipped.

    Networks that are public or of more than 1,024 addresses are swept only where this names them, at most 65,536.
    """
    deny: tuple[Annotated[str, check_interface_or_prefix], ...] = ()
    """Interfaces, kinds and networks never searched; stronger than allow."""


@dataclass(frozen=True, slots=True)
class DiscoverySettings:
    """How peers are found."""

    hosts_file: FilePath = "/etc/mirosd/hosts.json"
    """The operator's list of hosts; watched, so an edit counts at once."""
    aliens: Literal["allow", "quarantine", "deny"] = "allow"
    """Of hosts that have our key and that nobody listed or found: quarantine counts their events and delivers none."""
    lan: LanSettings = LanSettings()


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How long and how much is kept for those who cannot take it now."""

    ttl_s: Annotated[float, Range(1, DAY_S, "seconds")] = EVENT_TTL_S
    """Seconds an event is worth delivering: the ancestor's."""
    pending_bytes: Annotated[int, Range(MAX_FRAME_BYTES, MAX_BYTES, "bytes")] = 64 * MIB
    """Bytes of memory for what is owed to one broker: half a million events of 150 bytes; 80,000 that came singly."""
    queue_bytes: Annotated[int, Range(MAX_FRAME_BYTES, MAX_BYTES, "bytes")] = 64 * MIB
    """Bytes waiting in one subscription's queue before the oldest go."""
    queue_expires_s: Annotated[float, Range(1, DAY_S, "seconds")] = 60.0
    """Seconds a subscription's queue outlives this daemon; longer than ttl_s, so its events expire first."""
    prefetch: Annotated[int, Range(1, 65535, "bodies")] = 32
    """Bodies (256 events, 64 KiB at most) on their way to one subscription: hides the round trip, bounds the memory."""


@dataclass(frozen=True, slots=True)
class SnoopSettings:
    """What others may see of this host's charts, beside what programs show by themselves."""

    remote: Literal["trace", "spy", "off"] = "trace"
    """What other hosts may turn on: traces; also miros' spy, which shows every step; nothing. Here one always may."""


@dataclass(frozen=True, slots=True)
class LimitsSettings:
    """What one local user (uid) may take, so that one cannot starve the others."""

    connections_per_uid: Annotated[int, Range(1, 10_000)] = 32
    """Programs connected at a time."""
    queues_per_uid: Annotated[int, Range(1, 10_000)] = 64
    """Subscriptions at a time; each is a queue on the broker."""
    unsent_bytes_per_uid: Annotated[int, Range(MAX_FRAME_BYTES, MAX_BYTES, "bytes")] = 16 * MIB
    """Bytes waiting to be read by the user's programs."""


@dataclass(frozen=True, slots=True)
class RightsRule:
    """What a group or a user may do at the local socket, on top of what the two groups of `socket` give."""

    group: Word | None = None
    """A group's name or number; it counts for the group's members, the primary group included."""
    user: Word | None = None
    """A user's name or number, instead of a group."""
    may: tuple[Literal["read", "transmit", "operate"], ...] = ()
    """read: see this host's status, peers and hosts; transmit: send events and subscribe to them; operate: change what
    the daemon does, and see what the charts of all hosts do. What is not written is not given."""
    networks: tuple[Literal["mesh", "snoop_trace", "snoop_spy"], ...] = ()
    """Only these; a snoop network that is named may be watched by whoever may read. Empty: the mesh for transmit, and
    the snoop networks for operate."""
    line: int = field(default=0, compare=False, metadata=NOT_WRITTEN)
    """Where it stands in the file, for warnings."""

    @property
    def fault(self) -> str:
        """What is wrong with the rule, though each of its settings is right by itself; "" when nothing is."""
        if (self.group is None) == (self.user is None):
            return "write a group or a user, one of them in each rule"
        if not self.may:
            return "write what they may: read, transmit or operate"
        if "operate" in self.may and self.networks:
            return "operate is for the whole host: write it in a rule without networks"
        return ""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is written to standard error, or to the journal behind it."""

    format: Literal["auto", "json", "console"] = "auto"
    """auto: fields in systemd's journal, JSON into a pipe, columns on a terminal."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """info tells each change and no repetition of it."""


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """For tests alone."""

    offset_s: Annotated[float, Range(-10 * 365 * DAY_S, 10 * 365 * DAY_S, "seconds")] = 0.0
    """Seconds added to the wall clock as this daemon sees it: shows what a wrong clock does."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration."""

    system: Annotated[str, check_system] = "default"
    """Keeps several meshes on one LAN or broker apart."""
    name: Word | None = None
    """This host's name for people; null: the hostname."""
    state_dir: FilePath = "/var/lib/mirosd"
    """Where the daemon keeps what it must not forget; one daemon each."""
    socket: SocketSettings = SocketSettings()
    broker: BrokerSettings = BrokerSettings()
    peers: PeersSettings = PeersSettings()
    tls: TlsSettings = TlsSettings()
    networks: NetworksSettings = NetworksSettings()
    keys: KeysSettings = KeysSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    delivery: DeliverySettings = DeliverySettings()
    snoop: SnoopSettings = SnoopSettings()
    rights: tuple[RightsRule, ...] = ()
    """Who may do what at the local socket besides; what several rules give to somebody adds up."""
    limits: LimitsSettings = LimitsSettings()
    log: LogSettings = LogSettings()
    clock: ClockSettings = ClockSettings()
