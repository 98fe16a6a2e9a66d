"""A host as people write it in a hosts file, and as the daemon calls it.

    192.168.1.75   www.my_host_as_a_url.com   10.0.0.7:5673   [::1]   [fe80::1%eth0]:5672

An IPv6 address stands in brackets, since it has colons of its own. User and password
never stand here: they belong to `peers.user` and the credentials beside it.

One host has one text: `str(parse_host(text))` is what is compared, shown and cached.
"""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote

from mirosd.errors import MirosdError

AMQP_PORT = 5672
"""The registered port of AMQP, meant where none is written."""

ALLOWED = 'allowed: "192.168.1.75", "a.name", "10.0.0.7:5673", "[fe80::1%eth0]" or "[::1]:5672"'

_MAX_NAME_CHARS = 253  # a name in the DNS, RFC 1035 section 2.3.4
_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}", re.ASCII)  # a network interface: IFNAMSIZ is 16 with its end
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


class AddressError(MirosdError):
    """A text is not a host; says what is allowed. Never repeats a text that may hold a password."""

    code = "address"


class HostPort(NamedTuple):
    """A host in its one spelling, and the port if one was written. An IPv6 host is bare here, its zone behind `%`."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        """The text that a hosts file, a scout and a peers table have in common."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parse_host(text: str) -> HostPort:
    """Give the host that `text` means: names in lower case, addresses in their shortest form.

    Raises:
        AddressError: anything else.
    """
    text = text.strip()
    if "@" in text or "/" in text:
        raise AddressError(
            "a host is written without protocol, user, password or path; the account for other hosts' brokers stands "
            f"in peers.user and peers.password_file of the configuration; {ALLOWED}"
        )
    match = _ADDRESS.fullmatch(text)
    if match is None:
        if _is_ipv6(text):
            raise AddressError(f'{text!r} needs brackets: "[{text}]"; {ALLOWED}')
        raise AddressError(f"{text[:80]!r} is not a host; {ALLOWED}")
    host = _ipv6(match["v6"]) if match["v6"] else _name(match["name"])
    port = None if match["port"] is None else int(match["port"])
    if port is not None and not 1 <= port <= 65535:
        raise AddressError(f"{port} is not a port (1 to 65535); {ALLOWED}")
    return HostPort(host, port)


def amqp_url(host: str, default_port: int = AMQP_PORT, *, tls: bool = False) -> str:
    """Give the AMQP URL of a host's broker, for people and caches: no user, no password, the default virtual host.

    Raises:
        AddressError: as `parse_host`.
    """
    name, port = parse_host(host)
    name = quote(name, safe="[]:._-")  # a zone's % becomes %25, RFC 6874
    return f"amqp{'s' * tls}://{f'[{name}]' if ':' in name else name}:{port or default_port}/"


def _ipv6(text: str) -> str:
    address, percent, zone = text.partition("%")
    if not _is_ipv6(address) or (percent and not _ZONE.fullmatch(zone)):
        raise AddressError(f"{text[:80]!r} is not an IPv6 address; {ALLOWED}")
    return f"{ipaddress.IPv6Address(address)}{percent}{zone}"


def _name(text: str) -> str:
    name = text.removesuffix(".").lower()
    if len(name) > _MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise AddressError(f"{text[:80]!r} is not a host; {ALLOWED}")
    if name.rpartition(".")[2].isdigit():  # no top level domain is a number: this means to be an IPv4 address
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise AddressError(f"{text[:80]!r} is not an IPv4 address; {ALLOWED}") from None
    return name


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
