"""What a test session has of the lab: one LAN of three hosts with brokers, and a broker on loopback, each made once.

Boots cost seconds and resets milliseconds, so brokers live as long as the session and tests get them clean.
"""

from functools import cached_property

from tests.lab.broker import Broker
from tests.lab.isolation import LAB_DIRECTORY
from tests.lab.namespaces import Host, Lan


class Machines:
    """The session's machines; each part is started when it is first asked for."""

    @cached_property
    def lan(self) -> Lan:
        """Hosts h1, h2 and h3."""
        return Lan(3)

    @cached_property
    def brokers(self) -> dict[str, Broker]:
        """A running broker on each host, booted side by side."""
        return {broker.host.name: broker for broker in _boot([Broker(host) for host in self.lan.hosts])}

    @cached_property
    def local_broker(self) -> Broker:
        """A running broker on 127.0.0.1 of the test process itself."""
        return _boot([Broker(Host("lab", "127.0.0.1", LAB_DIRECTORY / "local"))])[0]

    def clean(self) -> None:
        """Undo what a test did: faults of the LAN, stopped or paused brokers, their contents."""
        made = vars(self)  # cached_property keeps its value here: nothing is started only to be cleaned
        if "lan" in made:
            self.lan.heal()
        running = [*made.get("brokers", {}).values(), *([self.local_broker] if "local_broker" in made else [])]
        _boot([broker for broker in running if not broker.is_running])
        for broker in running:
            broker.resume()
            broker.reset()

    def close(self) -> None:
        """End all of it."""
        made = vars(self)
        for broker in [*made.get("brokers", {}).values(), *([self.local_broker] if "local_broker" in made else [])]:
            broker.close()
        if "lan" in made:
            self.lan.close()


def _boot(brokers: list[Broker]) -> list[Broker]:
    for broker in brokers:
        broker.start()
    for broker in brokers:
        broker.wait_ready()
    return brokers
