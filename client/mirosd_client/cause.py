"""The event of the mesh that is being handled, by thread: what is transmitted meanwhile names it as its cause.

    with handling(event):
        ...                 # HANDLING.event is that event here, in this thread alone

A chain goes on through what a chart posts to itself meanwhile: that stands in the inbox as a
letter with the cause (shell/posting.py). An Event object says itself what it is only when it
was made for one record that arrived (`Origin`); any other may be posted often and by many,
so nothing is noted on it.
"""

import threading
from types import TracebackType
from typing import Any

import msgspec

from mirosd_client.event_id import EventId


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Which event of the mesh an Event object is, and what that event's sender was handling."""

    event: EventId
    cause: EventId | None


class _Handling(threading.local):
    """By thread: the event of the mesh that is being handled; None between events, and in threads that handle none."""

    event: EventId | None = None


HANDLING = _Handling()
"""Read, and in the way of every event written, where each nanosecond counts; else written by `handling`."""


class handling:  # noqa: N801 -- used as a function, and quicker than a generator
    """In this block this thread handles an event of the mesh, or something that follows from it; None: neither."""

    __slots__ = ("_event", "_outer")

    def __init__(self, event: EventId | None) -> None:
        self._event = event

    def __enter__(self) -> None:
        self._outer = HANDLING.event
        HANDLING.event = self._event

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        HANDLING.event = self._outer


def mark(event: Any, origin: Origin) -> None:
    """Note on an Event that was made for a record which event of the mesh it is."""
    event.origin = origin


def origin_of(event: Any) -> Origin | None:
    """Give which event of the mesh an Event is; None for one that was made here."""
    origin: Origin | None = event.__dict__.get("origin")  # a KeyError is what miros' Event has for getattr()
    return origin
