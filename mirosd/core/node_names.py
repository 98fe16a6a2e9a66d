"""Which peer somebody means who writes a name, or the beginning of a node id.

A name is what its host calls itself, so two may have the same, or one that looks like
another's id: whatever could mean two peers means none. A whole id always means itself.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

from mirosd.core.shown import PeerRow
from mirosd.errors import MirosdError

SHOWN_PEERS = 5
"""As many as one line of an error holds; `mirosctl peers` shows all."""

_NODE_ID = re.compile(r"[0-9a-f]{32}")


class NodeUnknownError(MirosdError):
    """No peer is called that; the text lists the nearest."""

    code = "peer_unknown"


class NodeAmbiguousError(MirosdError):
    """More than one peer could be meant; the text lists them."""

    code = "peer_ambiguous"


def is_node_id(text: str) -> bool:
    """Say whether the text is a whole node id."""
    return _NODE_ID.fullmatch(text) is not None


def find_peer(text: str, peers: Iterable[PeerRow]) -> PeerRow:
    """Give the row of the one peer that `text` means: its name, or the beginning of its id.

    Raises:
        NodeUnknownError: nobody is called that.
        NodeAmbiguousError: more than one could be meant.
    """
    nodes = [row for row in peers if row.node]
    prefix = text.lower()
    meant = [row for row in nodes if row.name == text or row.node.startswith(prefix)]
    if is_node_id(prefix):
        meant = [row for row in nodes if row.node == prefix]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise NodeAmbiguousError(f"{text!r} could mean {_listed(meant)}; write more of the id")
    raise NodeUnknownError(f"no peer is called {text!r}; {_nearest(text, nodes)}")


def _nearest(text: str, nodes: Sequence[PeerRow]) -> str:
    if not nodes:
        return "none is known yet"
    at_address = [row for row in nodes if text in row.address.split(", ")]
    if at_address:
        return f"that is the address of {_listed(at_address)}"
    words = {row.node[: max(len(text), 4)]: row for row in nodes} | {row.name: row for row in nodes}
    near = {words[word].node: words[word] for word in difflib.get_close_matches(text, words, n=SHOWN_PEERS)}
    if near:
        return f"did you mean {_listed(list(near.values()))}?"
    return f"there are {_listed(nodes)}"


def _listed(rows: Sequence[PeerRow]) -> str:
    rows = sorted(rows, key=lambda row: (row.name, row.node))
    texts = [f"{row.name or 'unnamed'} ({row.node[:12]} at {row.address or 'no address'})" for row in rows]
    more = len(texts) - SHOWN_PEERS
    return ", ".join(texts[:SHOWN_PEERS]) + (f" and {more} more" if more > 0 else "")
