"""The recalls that are open: which host the answers to each go to, and to no other.

An id is drawn by whoever asks, and is used once: a question that comes again is a recording, or a mistake.
"""

from collections import OrderedDict
from typing import NamedTuple

from mirosd_client.dial import SnoopNetwork

OPEN_S = 60.0
"""For how long answers may come: a recorder's 4 MiB are sent in two seconds where a broker keeps up."""

MAX_OPEN = 256
"""Of one host at a time: four people who look at all charts each second."""


class _Recall(NamedTuple):
    node: str
    network: SnoopNetwork
    until_s: float


class OpenRecalls:
    """Thread: loop. Times are seconds on the monotonic clock."""

    def __init__(self) -> None:
        self._recalls: OrderedDict[str, _Recall] = OrderedDict()  # the oldest first

    def open(self, recall: str, node: str, network: SnoopNetwork, now_s: float) -> bool:
        """Let answers go to a node; False when the id is known, or the node has as many open as it may."""
        self._forget(now_s)
        if recall in self._recalls or sum(each.node == node for each in self._recalls.values()) >= MAX_OPEN:
            return False
        self._recalls[recall] = _Recall(node, network, now_s + OPEN_S)
        return True

    def asker(self, recall: str, network: SnoopNetwork, now_s: float) -> str | None:
        """Give the node that answers on a network go to; None: nobody has asked, or it is too late."""
        self._forget(now_s)
        found = self._recalls.get(recall)
        return found.node if found is not None and found.network == network else None

    def _forget(self, now_s: float) -> None:
        while self._recalls and next(iter(self._recalls.values())).until_s <= now_s:
            self._recalls.popitem(last=False)
