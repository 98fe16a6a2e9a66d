"""What a setting may be: ranges, modes, and checks that say what to write instead."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from mirosd.core.addresses import AMQP_PORT, AddressError, parse_host
from mirosd.core.broker import BrokerAddress

AMQPS_PORT = 5671


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers a setting may have, both ends included, and their unit for people."""

    low: float
    high: float
    unit: str = ""


class Octal:
    """Marks a file mode: its digits are octal however they are written (660, 0660, 0o660, "0660")."""


OCTAL = Octal()

NOT_WRITTEN = {"is_written": False}
"""Marks a field (its metadata) that the reader of the file fills, and nobody can write."""

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


def check_interface_or_prefix(text: str) -> str:
    """An interface's name, or a network in its short form."""
    if re.fullmatch(r"[A-Za-z0-9_.:@-]{1,15}", text) and not re.fullmatch(r"[0-9.]+", text):
        return ""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return 'write an interface ("eth0") or a network ("192.168.1.0/24")'
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
