"""Lines and rows as they are put into records: as many as one record holds, encoded."""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from mirosd_client.printable import printable_deep

MAX_RUN_ITEMS, MAX_RUN_BYTES = 64, 16 * 1024
"""Of one record: four fit a body. A line takes some 240 bytes."""

_encode = msgspec.json.Encoder().encode


def runs(items: Iterable[msgspec.Struct]) -> Iterator[tuple[bytes, int]]:
    """Give all items in order: payloads, as encode_lines or encode_charts make them, and how many are in each.

    One that is longer than a record may be travels alone.
    """
    rest = iter(items)
    while run := list(islice(rest, MAX_RUN_ITEMS)):
        yield from _fit(run)


def _fit(run: list[msgspec.Struct]) -> Iterator[tuple[bytes, int]]:
    """Encode them together, or in halves where that is too long: to encode each apart takes three times as long."""
    try:
        payload = _encode(run)
    except UnicodeEncodeError:  # a lone surrogate, as in names of files
        payload = _encode(printable_deep(msgspec.to_builtins(run)))
    if len(payload) <= MAX_RUN_BYTES or len(run) == 1:
        yield payload, len(run)
        return
    middle = len(run) // 2
    yield from _fit(run[:middle])
    yield from _fit(run[middle:])
