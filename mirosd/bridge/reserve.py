"""What is owed from the start to brokers that are not proved again yet: those of an earlier start's delivery set.

A daemon that was killed is back within a second, and its programs hand it everything again that is not settled.
By then it has proved none of its peers. Were these events owed to our own broker alone, its confirm would settle
them, and the peers' programs would never get them. So the delivery set is kept in a file (core/delivery_set.py), and
each broker in it has a lane at once: its events wait there, as for any broker that is away. The set that is made for
the first proved node of that broker takes the lane over. No connection is made before that.
"""

from collections.abc import Callable, Collection, Mapping

from mirosd.bridge.lane import Lane


class Reserve:
    """Lanes without connections. Thread: loop.

    Args:
        former: the nodes behind each broker, as the earlier start left them.
        make_lane: makes the lane of a broker, by its name for people.
    """

    def __init__(self, former: Mapping[str, Collection[str]], make_lane: Callable[[str], Lane]) -> None:
        self._nodes = {broker: set(nodes) for broker, nodes in former.items()}
        self._lanes = {broker: make_lane(broker) for broker in former}

    @property
    def lanes(self) -> list[Lane]:
        """The lanes that events are owed to."""
        return list(self._lanes.values())

    @property
    def brokers(self) -> dict[str, set[str]]:
        """The nodes behind each broker that is still waited for."""
        return self._nodes

    def claim(self, node: str, broker: str) -> Lane | None:
        """Take out the lane of a node whose producers are made now, wherever its broker is by now."""
        was = self._broker_of(node)
        return self._take(was if was is not None else broker)

    def served(self, node: str, *, is_owed: bool) -> None:
        """A producer set that was there before serves the node. If events are owed to it, then the same, and more."""
        lane = self.claim(node, "")
        if lane is not None and is_owed:
            lane.dissolve()
        elif lane is not None:
            lane.close()

    def retire(self, node: str) -> None:
        """Nothing is owed to a node any more; the last one behind a broker takes its lane along."""
        broker = self._broker_of(node)
        if broker is None:
            return
        self._nodes[broker].discard(node)
        if not self._nodes[broker] and (lane := self._take(broker)) is not None:
            lane.close()

    def close(self) -> None:
        """Wait for nobody any more: what is left is owed to nobody."""
        for broker in list(self._lanes):
            if (lane := self._take(broker)) is not None:
                lane.close()

    def _broker_of(self, node: str) -> str | None:
        return next((broker for broker, nodes in self._nodes.items() if node in nodes), None)

    def _take(self, broker: str) -> Lane | None:
        self._nodes.pop(broker, None)
        return self._lanes.pop(broker, None)
