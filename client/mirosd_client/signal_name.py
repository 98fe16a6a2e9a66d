"""Which names a signal may have on a wire: what a receiver would not make an Event of is not sent either."""

import re
from typing import Any, Protocol, TypeAlias

from mirosd_client.limits import MAX_SIGNAL_CHARS

_SANE = re.compile(rf"[A-Za-z_][A-Za-z0-9_.:-]{{0,{MAX_SIGNAL_CHARS - 1}}}", re.ASCII)


class EventLike(Protocol):
    """What a miros Event has."""

    signal_name: str
    payload: Any


Signal: TypeAlias = str | EventLike
"""What a program may name a signal by."""


def is_sane(name: str) -> bool:
    """True for identifiers and the dotted names of SCXML, of at most 128 characters."""
    return _SANE.fullmatch(name) is not None
