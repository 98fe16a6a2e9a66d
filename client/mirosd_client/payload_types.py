"""Which Python types cross a wire, and how each stands in JSON: the codec's closed registry.

A type has a tag. An object of it is written `{"$": tag, "v": form}`, where the form is
made of things the codec can write. Types of a program's own are registered by it on
both sides: namedtuples and dataclasses go by field name (unknown fields are ignored and
missing ones take their defaults, so that versions may be mixed), enums by member name.
Nothing that arrives can name a type that was not registered here.
"""

import base64
import dataclasses
import enum
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

T = TypeVar("T")


class WireType(NamedTuple):
    """One registered type: `to_form` gives what is written, `from_form` an object again (and may raise)."""

    tag: str
    type: type[Any]
    to_form: Callable[[Any], Any]
    from_form: Callable[[Any], Any]


class Registry:
    """The types that one codec knows. Registering is for import time; look-ups are for any thread."""

    def __init__(self) -> None:
        self.by_type: dict[type[Any], WireType] = {}
        self.by_tag: dict[str, WireType] = {}
        for wire_type in _built_in():
            self._add(wire_type)

    def register(self, cls: type[T], tag: str | None = None) -> type[T]:
        """Let objects of `cls` cross a wire under `tag` (default: its name); gives `cls` back.

        The same class again replaces itself, as when a module is reloaded.

        Raises:
            TypeError: `cls` is no namedtuple, dataclass or enum.
            ValueError: the tag belongs to another type; names both.
        """
        if not isinstance(cls, type):
            raise TypeError(f"{cls!r} is no class: register the class whose objects are to be sent")
        wire_type = WireType(tag or cls.__name__, cls, *_forms(cls))
        holder = self.by_tag.get(wire_type.tag)
        if holder is not None and _full_name(holder.type) != _full_name(cls):
            raise ValueError(
                f"the tag {wire_type.tag!r} stands for {_full_name(holder.type)}; "
                f"{_full_name(cls)} needs another: register({cls.__name__}, {wire_type.tag + '2'!r})"
            )
        self._add(wire_type)
        return cls

    def _add(self, wire_type: WireType) -> None:
        self.by_type[wire_type.type] = self.by_tag[wire_type.tag] = wire_type


def _full_name(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _forms(cls: type[Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    if isinstance(cls, enum.EnumMeta):
        if issubclass(cls, enum.Flag):
            raise TypeError(f"{_full_name(cls)} is a Flag, whose combinations have no names: send its integer value")
        return (lambda member: member.name), (lambda name: cls[name])
    if dataclasses.is_dataclass(cls):
        names = [field.name for field in dataclasses.fields(cls) if field.init]
    elif issubclass(cls, tuple) and hasattr(cls, "_fields"):
        names = list(cls._fields)
    else:
        raise TypeError(f"{_full_name(cls)} is no namedtuple, dataclass or enum: only those are sent by name")

    def to_form(value: Any) -> dict[str, Any]:
        return {name: getattr(value, name) for name in names}

    def from_form(form: dict[str, Any]) -> Any:
        return cls(**{name: form[name] for name in names if name in form})

    return to_form, from_form


def _built_in() -> list[WireType]:
    def isoformat(value: Any) -> str:
        return str(value.isoformat())

    def base64_text(value: bytes) -> str:
        return base64.b64encode(value).decode()

    def from_base64(form: str) -> bytes:
        return base64.b64decode(form, validate=True)

    return [
        WireType("bytes", bytes, base64_text, from_base64),
        WireType("tuple", tuple, list, tuple),
        # sorted, so that equal sets are equal bytes
        WireType("set", set, lambda value: sorted(value, key=repr), set),
        WireType("frozenset", frozenset, lambda value: sorted(value, key=repr), frozenset),
        WireType("datetime", datetime, isoformat, datetime.fromisoformat),
        WireType("date", date, isoformat, date.fromisoformat),
        WireType("time", time, isoformat, time.fromisoformat),
        WireType(
            "timedelta",
            timedelta,
            lambda value: [value.days, value.seconds, value.microseconds],
            lambda form: timedelta(*form),
        ),
        WireType("uuid", UUID, str, UUID),
        WireType("complex", complex, str, complex),
        # what follows is reached only by values that JSON cannot hold
        WireType("float", float, repr, float),  # nan and the infinities
        WireType("int", int, hex, lambda form: int(form, 16)),  # beyond 64 bits; hex, as decimal is quadratic
        WireType("str", str, lambda value: base64_text(value.encode("utf-8", "surrogatepass")), _from_surrogates),
        WireType("map", dict, lambda value: [[key, item] for key, item in value.items()], _from_pairs),
    ]


def _from_surrogates(form: str) -> str:
    return base64.b64decode(form, validate=True).decode("utf-8", "surrogatepass")


def _from_pairs(form: list[Any]) -> dict[Any, Any]:
    return {key: item for key, item in form}  # noqa: C416 -- dict() would also take strings of two letters
