"""Producer sets without brokers: where each node is, is a dict of the test's; links are up or down as it says."""

from mirosd.bridge.producer_set import Proof
from mirosd.bridge.producer_sets import ProducerSets
from mirosd.bridge.reserve import Reserve
from mirosd_client.wire import Network

ALL = frozenset(Network)


class FakeLane:
    """Owes `events`; `end` says how its time ended."""

    pending_bytes = 0
    events = 0
    end = ""

    def __init__(self, name=""):
        self.name = name

    def dissolve(self):
        self.end = "dissolved"

    def close(self):
        self.end = "closed"

    def stop(self):
        self.end = "stopped"
        return self.events


class FakeAddress(str):
    """An address that is its own display."""

    @property
    def display(self):
        return str(self)


class FakeSet:
    """One producer set; its link is the address that it is connected to."""

    def __init__(self, address, lane=None):
        self.address = FakeAddress(address)
        self.lane = lane or FakeLane(str(address))
        self.nodes = {}
        self.control_link = self.shown_alarm = None
        self.is_started = self.is_untried = self.is_stopped = False

    def start(self):
        assert not self.is_started, "started twice"
        self.is_started = True

    async def stop(self):
        self.is_stopped = True

    def move(self, address):
        self.address, self.control_link = address, None

    @property
    def networks(self):
        return frozenset().union(*(proof.networks for proof in self.nodes.values()))

    def members(self, network):
        return frozenset(node for node, proof in self.nodes.items() if network in proof.networks)

    def add(self, node, proof):
        self.nodes[node] = proof

    prove = add

    def remove(self, node):
        self.nodes.pop(node, None)


class SetPlay:
    """The sets of a daemon. `at` says which nodes are behind which address; `asked` who was asked for where;
    `told` each delivery set that was told; `former` is what an earlier start left."""

    def __init__(self, former=None):
        self.at = {}
        self.asked, self.stopped = [], []
        self.on_ask = lambda: None
        self.own = FakeSet("own")
        self.own.control_link = "own"
        self.told = []
        self.reserve = Reserve(former or {}, FakeLane)
        self.sets = ProducerSets(
            self.own,
            self,
            reserve=self.reserve,
            make=FakeSet,
            peer_address=FakeAddress,
            stop=self.stopped.append,
            on_change=lambda brokers: self.told.append({broker: set(nodes) for broker, nodes in brokers.items()}),
        )

    async def locate(self, node, link):
        """Control's part: who is behind a broker answers."""
        self.asked.append((node, link))
        self.on_ask()
        return "introduction" if node in self.at.get(link, ()) else None

    def adopt(self, node, host, networks=ALL):
        """ProducerFactoryChart made producers; nothing here waits, so the coroutine ends at once."""
        adopting = self.sets.adopt(node, host, Proof(frozenset(networks), 1))
        try:
            adopting.send(None)
        except StopIteration:
            return
        raise AssertionError("it waits")

    def up(self, node):
        """The set of a node is connected, where it is."""
        there = self.sets.of(node)
        if there is not None:
            there.control_link = str(there.address)

    def down(self, node):
        """It is not any more."""
        there = self.sets.of(node)
        if there is not None and there is not self.own:
            there.control_link = None

    @property
    def where(self):
        """Which nodes are served at which address."""
        return {str(each.address): set(each.nodes) for each in self.sets.all if each.nodes}
