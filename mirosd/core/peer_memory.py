"""What people decided about single nodes, kept through restarts: whom to forget, and whom to allow.

    peers.json   {"allowed": ["<node>", ...], "forgotten": {"<node>": <until, seconds since the epoch>, ...}}

A forgotten node has a tombstone: nothing that it says, and nothing that is said of it, counts
until the tombstone ends. An allowed one is no alien any more, for good. Both are bounded; beyond
that the oldest go. Parsing is total, as for all documents (core/cache_document.py).
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from mirosd.core.cache_document import Document, DocumentError, parse_object
from mirosd.payloads import CacheReadPayload

TOMBSTONE_S = 24 * 3600.0
"""Longer than any gossip, cache or retry that still knows of the node; short enough to be harmless when forgotten."""

MAX_NODES = 1024
"""Of each kind: a mesh is some hundreds of hosts."""

_NODE = re.compile(r"[0-9A-Za-z._:\[\]%-]{1,64}", re.ASCII)


class PeerMemory(NamedTuple):
    """Who is forgotten, until when (seconds since the epoch), and who is allowed; the oldest first."""

    forgotten: dict[str, float]
    allowed: tuple[str, ...]

    def forget(self, node: str, now_s: float) -> "PeerMemory":
        """Give the memory with a tombstone for `node`, which is allowed no more."""
        forgotten = {other: until_s for other, until_s in self.forgotten.items() if other != node}
        kept = [*forgotten.items()][1 - MAX_NODES :]
        return PeerMemory(
            dict([*kept, (node, now_s + TOMBSTONE_S)]), tuple(other for other in self.allowed if other != node)
        )

    def allow(self, node: str) -> "PeerMemory":
        """Give the memory with `node` allowed, and no tombstone for it."""
        allowed = (*(other for other in self.allowed if other != node), node)
        return self.lift(node)._replace(allowed=allowed[-MAX_NODES:])

    def lift(self, node: str) -> "PeerMemory":
        """Give the memory without a tombstone for `node`."""
        return self._replace(forgotten={other: until_s for other, until_s in self.forgotten.items() if other != node})

    def at(self, now_s: float) -> "PeerMemory":
        """Give what still holds at `now_s`. No tombstone ends later than 24 h from now: the clock was wrong then."""
        return self._replace(
            forgotten={
                node: min(until_s, now_s + TOMBSTONE_S) for node, until_s in self.forgotten.items() if until_s > now_s
            }
        )


Edit = Callable[[PeerMemory], PeerMemory]


def parse_peers(text: str) -> Document:
    """Give {"allowed": [...], "forgotten": {...}}; what is missing is empty.

    Raises:
        DocumentError: an entry has another type, or there are too many.
    """
    document: Document = {"allowed": [], "forgotten": {}} | parse_object(text)
    allowed, forgotten = document["allowed"], document["forgotten"]
    if not isinstance(allowed, list) or len(allowed) > MAX_NODES or not all(map(_is_node, allowed)):
        raise DocumentError(1, 1, f'"allowed" must be a list of at most {MAX_NODES} node ids')
    if not isinstance(forgotten, dict) or len(forgotten) > MAX_NODES or not all(map(_is_node, forgotten)):
        raise DocumentError(1, 1, f'"forgotten" must be an object with at most {MAX_NODES} node ids')
    for node, until_s in forgotten.items():
        if isinstance(until_s, bool) or not isinstance(until_s, int | float) or not 0 <= until_s < 1e12:
            raise DocumentError(1, 1, f'"forgotten": {node} must have a time in seconds since the epoch')
    return {"allowed": list(dict.fromkeys(allowed)), "forgotten": forgotten}


def _is_node(entry: Any) -> bool:
    return isinstance(entry, str) and _NODE.fullmatch(entry) is not None


def peers_text(memory: PeerMemory) -> str:
    """Give the file's text."""
    document = {"allowed": list(memory.allowed), "forgotten": memory.forgotten}
    return json.dumps(document, indent=2) + "\n"  # in their order: the oldest first


def memory_of(document: Document) -> PeerMemory:
    """Give the memory that a parsed document holds."""
    return PeerMemory({node: float(at_s) for node, at_s in document["forgotten"].items()}, tuple(document["allowed"]))


class PeerFile:
    """What is in force, the file, and the edits that it does not hold yet.

    An edit counts at once. It is written as soon as the file has been read, since nothing is
    written over a file that is wrong; and it is kept until the file, read again, holds it. Edits
    may be made twice: the second time changes nothing.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.memory = PeerMemory({}, ())
        self.problem = ""
        self._edits: list[Edit] = []
        self._has_failed = False

    def edit(self, edit: Edit) -> None:
        """Change what is in force; the caller has the file read next."""
        self.memory = edit(self.memory)
        self._edits = [*self._edits, edit][-2 * MAX_NODES :]
        self.retry()

    def retry(self) -> None:
        """The next reading may write what a failure kept back."""
        self._has_failed = False

    def take(self, cache: CacheReadPayload, now_s: float) -> str | None:
        """Take what was read; give the text to write, and to be read again then, None when there is none."""
        if cache.problem:
            self.problem, self._has_failed = cache.problem, True
            return None
        kept = memory = memory_of(cache.dict).at(now_s)
        for edit in self._edits:
            memory = edit(memory).at(now_s)
        self.memory = memory
        if memory == kept:
            self._edits.clear()
            self.problem, self._has_failed = "", False
            return None
        return None if self._has_failed else peers_text(memory)

    def expire(self, now_s: float) -> None:
        """Let go of the tombstones that have ended; the file follows with its next edit."""
        self.memory = self.memory.at(now_s)
