"""Payloads as bytes: JSON, plus what JSON loses where that can be carried safely.

Plain JSON types are written as they are, everything else as `{"$": tag, "v": ...}` by
payload_types.py. Encoding refuses what it cannot carry in the sender's own thread, and
names the type and where in the payload it stands. Decoding is total: whatever the
bytes, it gives a value or raises RemoteProtocolError.

A plain payload, which is nearly every one, is only looked through and then written by
msgspec: that look is needed because msgspec would silently write a tuple as a list, an
enum as its value, a NaN as null.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from mirosd_client.errors import PayloadTooLarge, RemoteProtocolError, UnregisteredTypeError
from mirosd_client.limits import MAX_PAYLOAD_BYTES
from mirosd_client.payload_types import Registry

CONTENT_TYPE = "json"
MAX_DEPTH = 64
"""Values inside values; a chart's payload has two or three, and 64 stay far from Python's own limit."""
MAX_WARNED_TAGS = 256
"""Unknown tags that are remembered as warned about: senders choose them."""

_TAG, _FORM = "$", "v"
_MAX_INT, _MIN_INT = 2**64 - 1, -(2**63)
_SCALARS = frozenset((str, int, float, bool, type(None)))

log = logging.getLogger("mirosd_client.codec")
T = TypeVar("T")
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


class Codec:
    """Payload to bytes and back, with a registry of its own. Any thread may call it."""

    def __init__(self) -> None:
        self.registry = Registry()
        self._warned: set[str] = set()

    def encode(self, payload: Any) -> bytes:
        """Give a payload's bytes.

        Raises:
            UnregisteredTypeError: it holds an object of a type that cannot cross; says which and where.
            PayloadTooLarge: more than 256 KiB, or more than 64 levels deep (or inside itself).
        """
        try:
            data = _to_json(payload if _is_plain(payload, 0) else self._tagged(payload, "payload", 0))
        except UnicodeEncodeError:  # a lone surrogate, as in names of files
            data = _to_json(self._tagged(payload, "payload", 0))
        if len(data) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLarge(f"the payload has {len(data)} bytes; the limit is {MAX_PAYLOAD_BYTES}")
        return data

    def decode(self, data: bytes) -> Any:
        """Give the payload that bytes stand for; RemoteProtocolError for anything else.

        An object of a type that is not registered here arrives as the plain list, dict
        or text it was written as, with one warning per tag.
        """
        try:
            value = _from_json(data)
            if type(value) is dict and _TAG not in value and _SCALARS.issuperset(map(type, value.values())):
                return value  # most end here
            # one with few brackets is not deep, and one without a tag is plain
            if b'"$"' in data or data.count(b"[") + data.count(b"{") > MAX_DEPTH:
                value = self._untagged(value, 0)
            return value
        except RemoteProtocolError:
            raise
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise RemoteProtocolError(f"not a payload: {exc}") from exc

    def _tagged(self, value: Any, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise PayloadTooLarge(f"the payload is more than {MAX_DEPTH} levels deep, or holds itself")
        kind = type(value)
        if kind is list:
            return [self._tagged(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        if kind is dict and all(type(key) is str and key != _TAG and _is_text(key) for key in value):
            return {key: self._tagged(item, f"{path}[{key!r}]", depth + 1) for key, item in value.items()}
        if kind is str and _is_text(value):
            return value
        if kind is not dict and kind is not str and _is_plain(value, depth):
            return value
        wire_type = self.registry.by_type.get(kind)
        if wire_type is None:
            raise UnregisteredTypeError(
                f"{path} is a {kind.__module__}.{kind.__qualname__}, which cannot cross a wire; "
                "register it with @mirosd_client.register (namedtuple, dataclass or enum), or send plain JSON"
            )
        return {_TAG: wire_type.tag, _FORM: self._form(wire_type.to_form(value), path, depth)}

    def _form(self, form: Any, path: str, depth: int) -> Any:
        """Give a form with what it holds tagged; the form itself is no level, and its keys are field names."""
        if type(form) is dict:
            return {name: self._tagged(item, f"{path}.{name}", depth + 1) for name, item in form.items()}
        if type(form) is list:
            return [self._tagged(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(form)]
        return form

    def _untagged(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise RemoteProtocolError(f"a payload is more than {MAX_DEPTH} levels deep", code="too_deep")
        if type(value) is list:
            return [self._untagged(item, depth + 1) for item in value]
        if type(value) is not dict:
            return value
        if _TAG not in value:
            return {key: self._untagged(item, depth + 1) for key, item in value.items()}
        tag = value[_TAG]
        if type(tag) is not str or value.keys() != {_TAG, _FORM}:
            raise RemoteProtocolError("a payload holds a malformed tag")
        form = self._untagged_form(value[_FORM], depth)
        wire_type = self.registry.by_tag.get(tag)
        if wire_type is None:
            self._warn(tag)
            return form
        try:
            return wire_type.from_form(form)
        except Exception as exc:  # a registered class of the program may raise anything
            raise RemoteProtocolError(f"a payload's {tag!r} cannot be made: {exc!r}") from exc

    def _untagged_form(self, form: Any, depth: int) -> Any:
        if type(form) is dict:
            return {name: self._untagged(item, depth + 1) for name, item in form.items()}
        if type(form) is list:
            return [self._untagged(item, depth + 1) for item in form]
        return form

    def _warn(self, tag: str) -> None:
        if tag not in self._warned and len(self._warned) < MAX_WARNED_TAGS:
            self._warned.add(tag)
            log.warning("no type is registered as %a: it arrives as plain data", tag)


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_plain(value: Any, depth: int) -> bool:
    """True when msgspec writes a value just as it is, and gives it back equal."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(_MIN_INT <= value <= _MAX_INT)
    if kind is float:
        return math.isfinite(value)
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                return False
            kind = type(item)  # texts and numbers are looked at here: a call for each would cost twice the time
            if kind is str or (kind is int and _MIN_INT <= item <= _MAX_INT):
                continue
            if not _is_plain(item, depth + 1):
                return False
        return _TAG not in value
    if kind is list:
        for item in value:  # noqa: SIM110 -- a generator costs twice the time of this loop
            if not _is_plain(item, depth + 1):
                return False
        return True
    return False


default_codec = Codec()
encode = default_codec.encode
decode = default_codec.decode
register = default_codec.registry.register


def wire(tag: str) -> Callable[[type[T]], type[T]]:
    """Register a namedtuple, dataclass or enum under a tag of its own: `@wire("Host")`."""
    return lambda cls: register(cls, tag)
