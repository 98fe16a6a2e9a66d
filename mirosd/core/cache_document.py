"""The JSON documents that the daemon keeps in files: the hosts file and the LAN cache.

    hosts file   {"hosts": ["192.168.1.75", "www.my_host_as_a_url.com", "10.0.0.7:5673"]}
    LAN cache    {"addresses": [...], "amqp_urls": [...], "time_out_in_minutes": 30}

Parsing is total: any text gives a document or one DocumentError, which names line and
column. A missing or empty file is an empty document, not a fault.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from mirosd.core.addresses import AddressError, parse_host
from mirosd.errors import MirosdError

Document = dict[str, Any]

MAX_HOSTS = 1024
"""Hosts in one file; a larger mesh is a RabbitMQ cluster's task."""

_ACCOUNT = re.compile(r"(?<=://).*@", re.DOTALL)  # greedy: a password may hold anything
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class DocumentError(MirosdError):
    """A text is not the document it should be; the message begins with line and column, both from 1."""

    code = "document"

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"line {line} column {column}: {message}")
        self.line = line
        self.column = column


def parse_object(text: str) -> Document:
    """Give the JSON object in `text`; an empty text is an empty object.

    Raises:
        DocumentError: it is not JSON, or not an object.
    """
    if not text.strip():
        return {}
    try:
        document = json.loads(text)
    except json.JSONDecodeError as exc:
        raise DocumentError(exc.lineno, exc.colno, exc.msg) from exc
    except (ValueError, RecursionError) as exc:  # a number of thousands of digits; brackets nested in thousands
        raise DocumentError(1, 1, f"cannot be read: {exc}") from exc
    if not isinstance(document, dict):
        raise DocumentError(1, 1, "a JSON object { } is expected")
    return document


def parse_hosts(text: str) -> Document:
    """Give {"hosts": [...]} with every host in its one spelling, in the file's order, none twice.

    Raises:
        DocumentError: with the place of the first wrong host.
    """
    document = parse_object(text)
    if not document:
        return {"hosts": []}
    listed = document.get("hosts")
    if not isinstance(listed, list):
        raise DocumentError(*_place(text, "hosts"), '"hosts" must be there, and be a list')
    if len(listed) > MAX_HOSTS:
        raise DocumentError(*_place(text, "hosts"), f"{len(listed)} hosts; at most {MAX_HOSTS}")
    for entry in listed:
        if not isinstance(entry, str):
            raise DocumentError(*_place(text, "hosts"), f"every host is a text, not {json.dumps(entry)[:40]}")
    return {"hosts": _spelled(listed, text)}


def parse_lan_cache(text: str) -> Document:
    """Give the LAN cache with its three entries; what is missing or empty is empty and expired.

    An account in a URL (the ancestor's files hold one) is left out.

    Raises:
        DocumentError: an entry has another type, or an address is none.
    """
    document: Document = {"addresses": [], "amqp_urls": [], "time_out_in_minutes": 0} | parse_object(text)
    for name in ("addresses", "amqp_urls"):
        entries = document[name]
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise DocumentError(*_place(text, name), f'"{name}" must be a list of texts')
    document["addresses"] = _spelled(document["addresses"], text)
    document["amqp_urls"] = [_ACCOUNT.sub("", url) for url in document["amqp_urls"]]
    minutes = document["time_out_in_minutes"]
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 <= minutes < float("inf"):
        raise DocumentError(*_place(text, "time_out_in_minutes"), '"time_out_in_minutes" must be a number from 0')
    return document


def _spelled(hosts: Iterable[str], text: str) -> list[str]:
    """Give every host in its one spelling, none twice; DocumentError with the place in `text` of one that is none."""
    spelled = []
    for host in hosts:
        try:
            spelled.append(str(parse_host(host)))
        except AddressError as exc:
            raise DocumentError(*_place(text, host), str(exc)) from exc
    return list(dict.fromkeys(spelled))


def hosts_text(hosts: Iterable[str]) -> str:
    """Give the hosts file that lists `hosts` in their order."""
    return _text({"hosts": list(hosts)})


def lan_cache_text(addresses: Iterable[str], amqp_urls: Iterable[str], *, time_out_in_minutes: float) -> str:
    """Give the LAN cache's text."""
    return _text(
        {
            "addresses": list(addresses),
            "amqp_urls": list(amqp_urls),
            "time_out_in_minutes": time_out_in_minutes,
        }
    )


def merge(*lists: Iterable[str]) -> tuple[str, ...]:
    """Give the hosts of all lists, in order, none twice."""
    return tuple(dict.fromkeys(host for hosts in lists for host in hosts))


def with_host(hosts: Iterable[str], host: str) -> tuple[str, ...]:
    """Give `hosts` with `host` at the end, unless it is there already. Raises AddressError."""
    return merge(hosts, [str(parse_host(host))])


def without_host(hosts: Iterable[str], host: str) -> tuple[str, ...]:
    """Give `hosts` without `host`, however it is spelled. Raises AddressError."""
    gone = str(parse_host(host))
    return tuple(kept for kept in hosts if kept != gone)


def is_expired(document: Document, *, modified_s: float, now_s: float) -> bool:
    """Say whether a document last written at `modified_s` is too old at `now_s` (both seconds since the epoch).

    A document without "time_out_in_minutes" never is; one with 0 always is. A file dated as
    far in the future is no better: the clock was wrong then or is wrong now.
    """
    minutes = document.get("time_out_in_minutes", float("inf"))
    if isinstance(minutes, bool) or not isinstance(minutes, int | float):
        return True
    return minutes == 0 or not abs(now_s - modified_s) <= minutes * 60  # "not <=": NaN is too old


def _text(document: Document) -> str:
    return json.dumps(document, sort_keys=True, indent=2) + "\n"


def _place(text: str, entry: str) -> tuple[int, int]:
    """Line and column of the first string in `text` that means `entry`: json keeps no places of what it has read."""
    for match in _STRING.finditer(text):
        try:
            meant = json.loads(match[0])
        except ValueError:
            continue
        if meant == entry:
            before = text[: match.start()]
            return before.count("\n") + 1, match.start() - before.rfind("\n")
    return 1, 1
