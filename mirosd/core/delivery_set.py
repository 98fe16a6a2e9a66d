"""The delivery set in its file: which brokers events are owed to, and which nodes are behind each.

    delivery_set.json   {"brokers": {"10.0.0.7:5672": ["<node>", ...], ...}}

It is read once, at the start (bridge/reserve.py), and written whenever the set has changed. The own broker is not in
it.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from mirosd.core.cache_document import DocumentError, parse_object

MAX_BROKERS = 1024
"""As many as hosts in a hosts file; and nodes behind one broker."""

DeliverySet = Mapping[str, Collection[str]]

_NODE = re.compile(r"[0-9a-f]{32}")


def parse_delivery_set(text: str) -> DeliverySet:
    """Give the nodes behind each broker; an empty text is an empty set.

    Raises:
        DocumentError: it is anything else.
    """
    brokers = parse_object(text).get("brokers", {})
    if not isinstance(brokers, dict) or len(brokers) > MAX_BROKERS or not all(map(_are_nodes, brokers.values())):
        raise DocumentError(1, 1, f'"brokers" must be an object of at most {MAX_BROKERS} lists of node ids')
    return {broker: tuple(nodes) for broker, nodes in brokers.items()}


def _are_nodes(nodes: Any) -> bool:
    return (
        isinstance(nodes, list)
        and len(nodes) <= MAX_BROKERS
        and all(isinstance(node, str) and _NODE.fullmatch(node) for node in nodes)
    )


def delivery_set_text(brokers: DeliverySet) -> str:
    """Give the file's text: the same for the same set."""
    return json.dumps({"brokers": {broker: sorted(brokers[broker]) for broker in sorted(brokers)}}, indent=2) + "\n"
