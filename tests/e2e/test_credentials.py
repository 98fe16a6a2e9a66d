"""A host that is no member, whatever it relays, repeats or sits on, never sees a credential."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.backends.fake_broker import FakeBroker
from tests.e2e.stage import staged
from tests.lab.broker import PEERS_PASSWORD, Broker
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

PORT = 27672
OWN_BROKER = "amqp://127.0.0.1:5672"
LAN_ON = {"discovery": {"lan": {"enabled": True}}}


class Relay:
    """Hands each member's datagrams to the other member as if they were its own, and says old answers again."""

    def __init__(self, host: Host, members: tuple[str, str]) -> None:
        self._members = members
        self.passed_on = dict.fromkeys(members, 0)
        self._answers: list[bytes] = []
        self._is_over = False
        with host.network():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind(("0.0.0.0", PORT))
        self._socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._is_over = True
        self._thread.join(10)
        self._socket.close()

    def _run(self) -> None:
        while not self._is_over:
            try:
                data, (source, _) = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            if source not in self._members:
                continue
            other = self._members[source == self._members[0]]
            self._answers = [*self._answers[-20:], data]
            for said in (data, *self._answers):
                self._socket.sendto(said, (other, PORT))
                self.passed_on[other] += 1


@contextmanager
def relaying(host: Host, members: tuple[str, str]) -> Iterator[Relay]:
    relay = Relay(host, members)
    try:
        yield relay
    finally:
        relay.close()


def test_a_relay_on_a_cached_address_gets_no_credential(lan: Lan, brokers: dict[str, Broker]) -> None:
    """h3 has no key. It relays probes and answers, repeats them, and its broker is in h1's cache (D51, D52, D67)."""
    h1, h2, h3 = lan.hosts
    brokers["h3"].stop()
    with staged(lan, brokers) as stage:
        with h3.network():
            broker = FakeBroker("0.0.0.0", 5672)
        victim = stage.daemon("h1", [], broker=OWN_BROKER, settings=LAN_ON)
        cache = h1.directory / "state" / "lan_cache.json"
        cache.parent.mkdir()
        url = f"amqp://{h3.address}:5672/"
        cache.write_text(json.dumps({"addresses": [h3.address], "amqp_urls": [url], "time_out_in_minutes": 30}))
        with broker, relaying(h3, (h1.address, h2.address)) as relay:
            victim.start()
            victim.wait_ready()
            until(lambda: relay.passed_on[h2.address] > 0, what="the cached address asked")
            stage.daemon("h2", [], broker=OWN_BROKER, settings=LAN_ON).start()
            stage.wait_alive("h1")
            until(lambda: relay.passed_on[h1.address] > 5, what="relayed to the victim")
            victim.ctl("recce", check=False)  # one search more, with everything that it has recorded

            assert PEERS_PASSWORD.encode() not in broker.text
            assert [] == broker.received  # it was not even connected to
            assert {"h2": "alive"} == victim.peers()
