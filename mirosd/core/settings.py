"""Everything an operator can set: frozen values, each with its default, unit and reason.

A field's annotation says what config.py accepts for it: a type, and a `Range`, `OCTAL` or a
check (a function that gives "" or what to write instead). Nothing stands here that has no effect.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from mirosd.core.addresses import AMQP_PORT, AddressError, parse_host
from mirosd.core.broker import BrokerAddress
from mirosd_client.limits import EVENT_TTL_S, MAX_FRAME_BYTES

MIB = 1024 * 1024
AMQPS_PORT = 5671
MAX_BYTES = 1 << 40  # a TiB: beyond any host this runs on, so a slip of the keyboard
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers a setting may have, both ends included, and their unit for people."""

    low: float
    high: float
    unit: str = ""


class Octal:
    """Marks a file mode: its digits are octal however they are written (660, 0660, 0o660, "0660")."""


OCTAL = Octal()

Check = Callable[[str], str]
"""Gives "" for a good text, else what to write instead. It never repeats the text, which may be secret."""


def check_system(text: str) -> str:
    """A system's label is one word of an AMQP name, so dots would make two systems' names overlap."""
    return "" if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) else "write 1 to 64 letters, digits, _ or -"


def check_word(text: str) -> str:
    """A name that people read: something, and not a page of it."""
    return "" if 1 <= len(text) <= 128 else "write 1 to 128 characters"


def check_path(text: str) -> str:
    """A service has no working directory worth the name, so a relative path leads nowhere."""
    return "" if text.startswith("/") else "write an absolute path, beginning with /"


def check_host(text: str) -> str:
    """An address where others find this host, written as in a hosts file."""
    try:
        parse_host(text)
    except AddressError as exc:
        return str(exc)
    return ""


def check_broker_url(text: str) -> str:
    """A broker's URL holds no account: URLs end in logs, and passwords with them."""
    try:
        broker_address(text, user="", password="")
    except ValueError as exc:
        return str(exc)
    return ""


def broker_address(url: str, *, user: str, password: str) -> BrokerAddress | None:
    """Give the broker that `url` names, or None for `memory://`; ValueError says what to write instead."""
    scheme, _, rest = url.partition("://")
    if scheme == "memory" and not rest:
        return None
    if scheme not in ("amqp", "amqps"):
        raise ValueError("write amqp://HOST:PORT/VHOST, amqps://HOST:PORT/VHOST or memory://")
    if "@" in rest:
        raise ValueError(
            "take the account out of the URL; write broker.user, and broker.password_file for its password"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("write amqp://HOST:PORT/VHOST with a port of 1 to 65535") from None
    vhost = unquote(parts.path[1:]) or "/"
    if not parts.hostname or port == 0 or parts.query or parts.fragment or "/" in parts.path[1:]:
        raise ValueError("write amqp://HOST:PORT/VHOST and nothing behind it; a / within VHOST is %2F")
    tls = scheme == "amqps"
    return BrokerAddress(
        host=parts.hostname,
        port=port or (AMQPS_PORT if tls else AMQP_PORT),
        vhost=vhost,
        user=user,
        password=password,
        tls=tls,
    )


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
    """HOST[:PORT] where other hosts reach this broker, told to them inside sealed answers; empty: nothing is told."""


@dataclass(frozen=True, slots=True)
class PeersSettings:
    """The account used towards other hosts' brokers: it may write to the exchanges and little else."""

    user: Word = "peers"
    """One account for the whole mesh, apart from `broker.user`, so that a peer never holds the own broker's."""
    password: str | None = field(default=None, repr=False)
    """As broker.password."""
    password_file: FilePath | None = None
    """As broker.password_file."""
    port: Port = AMQP_PORT
    """Port of a listed host that is written without one: AMQP's own."""
    vhost: Word = "/"
    """RabbitMQ's default virtual host."""


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """The mesh network."""

    key_file: FilePath = "/etc/mirosd/keys/mesh.key"
    """32 bytes in urlsafe base64; the other keys are looked for beside it."""


@dataclass(frozen=True, slots=True)
class SnoopSettings:
    """One of the two instrumentation networks."""

    key_file: FilePath | None = None
    """null: snoop_trace.key or snoop_spy.key beside the mesh key when there is one, else the mesh key."""


@dataclass(frozen=True, slots=True)
class NetworksSettings:
    """The keys of the three networks, and of the system that they belong to."""

    mesh: MeshSettings = MeshSettings()
    snoop_trace: SnoopSettings = SnoopSettings()
    snoop_spy: SnoopSettings = SnoopSettings()
    system_key_file: FilePath | None = None
    """null: system.key beside the mesh key when there is one, else derived from the mesh key."""


@dataclass(frozen=True, slots=True)
class DiscoverySettings:
    """How peers are found."""

    hosts_file: FilePath = "/etc/mirosd/hosts.json"
    """The operator's list of hosts; an edit counts at `mirosctl hosts reload` and at a reload of the service."""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How long and how much is kept for those who cannot take it now."""

    ttl_s: Annotated[float, Range(1, DAY_S, "seconds")] = EVENT_TTL_S
    """Seconds an event is worth delivering: the ancestor's."""
    pending_bytes: Annotated[int, Range(MAX_FRAME_BYTES, MAX_BYTES, "bytes")] = 64 * MIB
    """Bytes owed to one unreachable broker; at 150 bytes an event, half a million events."""
    queue_bytes: Annotated[int, Range(MAX_FRAME_BYTES, MAX_BYTES, "bytes")] = 64 * MIB
    """Bytes waiting in one subscription's queue before the oldest go."""
    queue_expires_s: Annotated[float, Range(1, DAY_S, "seconds")] = 60.0
    """Seconds a subscription's queue outlives this daemon; longer than ttl_s, so its events expire first."""
    prefetch: Annotated[int, Range(1, 65535, "bodies")] = 32
    """Bodies (of at most 64 events) on their way to one subscription: hides the round trip, bounds the memory."""


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
class LogSettings:
    """What is written to standard error."""

    format: Literal["auto", "json", "console"] = "auto"
    """auto: JSON under systemd or into a pipe, columns on a terminal."""
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
    networks: NetworksSettings = NetworksSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    delivery: DeliverySettings = DeliverySettings()
    limits: LimitsSettings = LimitsSettings()
    log: LogSettings = LogSettings()
    clock: ClockSettings = ClockSettings()
