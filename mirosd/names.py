"""What everything is called on a broker, and how a node is written."""

import hashlib
from typing import Any

from mirosd_client.wire import Network

NETWORK_NAMES: dict[Network, str] = {
    Network.MESH: "mesh",
    Network.SNOOP_TRACE: "snoop_trace",
    Network.SNOOP_SPY: "snoop_spy",
}
NETWORKS: dict[str, Network] = {name: network for network, name in NETWORK_NAMES.items()}

ANY_NODE = "any"
"""Routing key of a challenge to whoever is behind a broker: a scout does not know the node yet."""

DIRECTORY_EXCHANGE = "mirosd.directory"
"""One topic exchange per broker that no system owns: a scout that misses its own system's
exchanges asks here which systems there are. What is said here is a hint for people, never a proof."""


class SystemNames:
    """The AMQP names of one system: the label keeps several meshes on one broker apart."""

    def __init__(self, system: str) -> None:
        self.system = system
        prefix = f"mirosd.{system}"
        self.exchanges: dict[Network, str] = {
            Network.MESH: f"{prefix}.mesh",
            Network.SNOOP_TRACE: f"{prefix}.snoop.trace",
            Network.SNOOP_SPY: f"{prefix}.snoop.spy",
        }
        self.control = f"{prefix}.control"
        self.dead = f"{prefix}.dead"

    def mesh_queue(self, node: str, client: str, subscription: int, arguments: dict[str, Any]) -> str:
        """Give a subscription's queue name.

        Its last piece is a hash of the queue's arguments: changed settings make a new
        queue instead of the broker's error 406.
        """
        return f"{self.exchanges[Network.MESH]}.{node}.{client}.{subscription}.{_digest(arguments)}"

    def dead_queue(self, node: str, arguments: dict[str, Any]) -> str:
        """Give the name of the queue for what a node's queues dropped; likewise."""
        return f"{self.dead}.{node}.{_digest(arguments)}"


def _digest(arguments: dict[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(arguments.items())).encode()).hexdigest()[:8]


def node_routing_key(node: str) -> str:
    """Give the routing key that reaches one node's control queue."""
    return f"node.{node}"


HINT_UNKNOWN_KEY = b"mirosd hint: unknown key id"
"""Clear-text answer to a challenge that does not open: shown in `peers --why`, never a verdict by itself."""

HINT_SYSTEM = b"mirosd hint: system "
"""Clear-text answer on the directory exchange; the system's label follows."""
