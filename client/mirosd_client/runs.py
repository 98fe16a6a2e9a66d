"""Lines and rows as they are put into records: as many as one record holds, encoded."""

from collections.abc import Iterable, Iterator

import msgspec

MAX_RUN_ITEMS, MAX_RUN_BYTES = 100, 16 * 1024
"""Of one record: four fit a body. A line takes some 250 bytes."""

_encode = msgspec.json.Encoder().encode


def runs(items: Iterable[msgspec.Struct]) -> Iterator[tuple[bytes, int]]:
    """Give all items in order: payloads, as encode_lines or encode_charts make them, and how many are in each.

    One that is longer than a record may be travels alone.
    """
    parts: list[bytes] = []
    size = 0
    for item in items:
        part = _encode(item)
        if parts and (len(parts) >= MAX_RUN_ITEMS or size + len(part) > MAX_RUN_BYTES):
            yield _joined(parts), len(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield _joined(parts), len(parts)


def _joined(parts: list[bytes]) -> bytes:
    return b"[" + b",".join(parts) + b"]"
