"""ProducerFactoryChart: every discovery becomes producers once, however full the queue is."""

import queue

from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.charts.producer_factory import (
    MeshProducerFactory,
    ProducerFactoryChart,
    SnoopSpyProducerFactory,
    SnoopTraceProducerFactory,
    post_to_queue,
    producer_discovery,
    refactor_producers,
)
from mirosd.names import NETWORKS
from mirosd.payloads import ConnectionDiscoveryPayload, PeerGonePayload, Producer, ProducerQueue
from mirosd.signals import Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import check_structure, threadless
from tests.charts.fakes import FakeProducerMaker, introduction, node_of


class Play:
    """A producer factory whose reader is the test."""

    def __init__(self):
        self.queue = queue.Queue(maxsize=1)
        self.wakes = 0
        self.retired = []
        self.chart = ProducerFactoryChart(
            self.queue, FakeProducerMaker(), self.wake, retire=self.retired.append, dice=lambda: 0.5
        )
        self.play = threadless(self.chart)
        self.chart.start()
        self.play.drain()

    def wake(self):
        self.wakes += 1

    def publish(self, signal, payload):
        self.play.bus.publish(Event(signal=signal, payload=payload), 1000)

    def discover(self, *hosts, who=introduction):
        introductions = tuple(map(who, hosts)) if who else ()
        self.publish(Public.CONNECTION_DISCOVERY, ConnectionDiscoveryPayload(hosts, (), "alien", introductions))

    def gone(self, host, node=None):
        self.publish(Public.PEER_GONE, PeerGonePayload(node or node_of(host), (host,)))

    def taken(self):
        """Take the item, as the reader does when woken; its addresses."""
        try:
            return self.queue.get_nowait().ip_addresses
        except queue.Empty:
            return ()


def test_structure():
    """Every state names its parent, and swallows nothing it does not know."""
    check_structure(Play().chart, [producer_discovery, post_to_queue, refactor_producers])


def test_a_discovery_becomes_three_producers_per_host():
    """The item is the seeds' ProducerQueue; its reader is woken once; the trace is the seeds'."""
    play = Play()
    play.discover("a", "b", who=lambda host: introduction(host)._replace(networks=tuple(NETWORKS)))
    play.play.drain()

    assert (
        ProducerQueue(
            (Producer("MESH", "a", node_of("a")), Producer("MESH", "b", node_of("b"))),
            (Producer("SNOOP_TRACE", "a", node_of("a")), Producer("SNOOP_TRACE", "b", node_of("b"))),
            (Producer("SNOOP_SPY", "a", node_of("a")), Producer("SNOOP_SPY", "b", node_of("b"))),
            ("a", "b"),
        )
        == play.queue.get_nowait()
    )
    assert 1 == play.wakes
    assert [
        (None, "top", "producer_discovery"),
        ("ips_discovered", "producer_discovery", "refactor_producers"),
        ("ready", "refactor_producers", "producer_discovery"),
    ] == play.play.moves


def test_a_host_gets_producers_of_the_networks_that_it_has_proved():
    """Who has no mesh key is sent no events, and none where nothing is proved."""
    networks = {"a": ("mesh",), "b": ("snoop_spy", "snoop_trace"), "c": ()}
    play = Play()
    play.discover(*networks, who=lambda host: introduction(host)._replace(networks=networks[host]))
    play.play.drain()
    item = play.queue.get_nowait()

    assert ["a", "b", "b"] == [
        producer.host for producer in (*item.mesh_producers, *item.snoop_trace_producers, *item.snoop_spy_producers)
    ]


def test_a_name_that_nobody_resolves_takes_nothing_from_the_others():
    """A discovery is texts: no name is looked up in the chart's thread, and none can spoil the rest (D11)."""
    play = Play()
    play.discover("no.such.name.example", "10.0.0.7", "[fe80::7%eth0]")
    play.play.drain()

    assert ("no.such.name.example", "10.0.0.7", "[fe80::7%eth0]") == play.taken()


def test_the_reader_is_woken_for_each_item_whether_it_transmits_or_not():
    """A node that only listens has its peers' producers too (D13)."""
    play = Play()
    for n, host in enumerate("abc", start=1):
        play.discover(host)
        play.play.drain()
        assert (n, (host,)) == (play.wakes, play.taken())


def test_each_network_has_its_factory():
    """The seeds' three classes differ in their network only."""
    factories = [
        kind(FakeProducerMaker()) for kind in (MeshProducerFactory, SnoopTraceProducerFactory, SnoopSpyProducerFactory)
    ]

    assert ["MESH", "SNOOP_TRACE", "SNOOP_SPY"] == [factory.make_producer(None, "a").network for factory in factories]


def test_what_is_known_is_not_made_again():
    """The difference of the sets: an item holds the new addresses alone, and nothing new makes no item."""
    play = Play()
    play.discover("a")
    play.play.drain()
    assert ("a",) == play.taken()
    play.discover("a")
    play.discover()
    play.play.drain()
    assert () == play.taken()
    play.discover("a", "b")
    play.play.drain()
    assert ("b",) == play.taken()


def test_discoveries_back_to_back_lose_nothing_and_make_nothing_twice():
    """Two discoveries before the first was worked on: all addresses, once (D6)."""
    play = Play()
    play.discover("a")
    play.discover("b", "a")
    play.discover("c")
    taken = []
    for _ in range(10):
        play.play.elapse(1.0)
        taken += play.taken()

    assert (["a", "b", "c"], 1) == (taken, play.wakes)


def test_a_peer_that_is_adrift_may_be_discovered_again_and_is_not_retired():
    """Its producers stay, with all that waits in them; the one who keeps them decides what a new address means."""
    play = Play()
    play.discover("a", "b")
    play.play.drain()
    play.taken()
    play.publish(Public.PEER_ADRIFT, PeerGonePayload(node_of("a"), ("a",)))
    play.discover("a", "b")
    play.play.drain()

    assert (("a",), []) == (play.taken(), play.retired)


def test_a_quick_reader_gets_no_empty_items():
    """Each discovery posts its own ips_discovered; those that find the work done do nothing."""
    play = Play()
    items = []
    play.chart._wake = lambda: items.append(play.taken())
    play.discover("a")
    play.discover("b")
    play.discover("c")
    play.play.elapse(5.0)

    assert [("a", "b", "c")] == items


def test_a_full_queue_is_tried_again_after_a_random_time_and_then_all_deferred_come():
    """0.1 to 1 s later; three discoveries that waited all come back, also those without news (D7)."""
    play = Play()
    play.discover("a")
    play.play.drain()
    play.discover("b")
    play.play.drain()
    assert "refactor_producers" == play.play.state
    for hosts in (("a",), ("b",), ("c",)):
        play.discover(*hosts)
    play.play.elapse(0.54)
    assert (("a",), 1) == (play.taken(), play.wakes)
    play.play.elapse(0.02)
    assert (("b",), 2) == (play.taken(), play.wakes)
    play.play.elapse(1.0)
    assert (("c",), 3, "producer_discovery") == (play.taken(), play.wakes, play.play.state)


def test_a_reader_that_sleeps_for_an_hour_is_waited_for_with_one_timer():
    """Thousands of retries end nothing, and only one is armed at a time."""
    play = Play()
    play.discover("a")
    play.play.drain()
    play.discover("b")
    play.discover("c")
    play.play.elapse(3600.0)
    moves = len(play.play.moves)
    play.play.elapse(5.5)
    assert moves + 10 == len(play.play.moves)

    assert ("a",) == play.taken()
    play.play.elapse(1.0)
    assert ("b", "c") == play.taken()


def test_a_peer_that_is_gone_may_be_discovered_again():
    """Its addresses are forgotten (D14), nobody else's."""
    play = Play()
    play.discover("a", "b")
    play.play.drain()
    play.taken()
    play.gone("a")
    play.discover("a", "b")
    play.play.drain()

    assert ("a",) == play.taken()


def test_producers_are_taken_back_after_they_were_given():
    """While the queue is full a farewell waits, so that the reader never hears of it before the producers."""
    play = Play()
    play.discover("a")
    play.play.drain()
    play.discover("b")
    play.play.drain()
    play.gone("b")
    play.play.drain()
    assert [] == play.retired
    play.taken()
    play.play.elapse(1.0)

    assert (("b",), [node_of("b")]) == (play.taken(), play.retired)


def test_a_peer_that_is_gone_before_its_turn_gets_no_producers():
    """Nothing is made for nobody."""
    play = Play()
    play.discover("a", "b")
    play.gone("a")
    play.play.drain()

    assert ("b",) == play.taken()


def test_an_alien_without_introduction_is_forgotten_by_its_address():
    """What is not known to be a node is still an address."""
    play = Play()
    play.discover("a", who=None)
    play.play.drain()
    assert ("a",) == play.taken()
    play.gone("a", node="whoever")
    play.discover("a", who=None)
    play.play.drain()
    assert ("a",) == play.taken()


def test_another_node_at_a_known_address_gets_its_producers():
    """A host that was set up anew has a new node id, and the old one's end does not take them away."""
    play = Play()
    play.discover("a")
    play.play.drain()
    play.taken()
    play.discover("a", who=lambda host: introduction(host)._replace(node="new"))
    play.play.drain()
    assert ("a",) == play.taken()

    play.publish(Public.PEER_GONE, PeerGonePayload(node_of("a"), ()))
    play.discover("a", who=lambda host: introduction(host)._replace(node="new"))
    play.play.drain()
    assert () == play.taken()


HOSTS = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)
STEPS = st.lists(
    st.tuples(st.just("discover"), HOSTS)
    | st.tuples(st.just("gone"), st.sampled_from("abcd"))
    | st.tuples(st.sampled_from(["take", "drain", "wait"]), st.none()),
    max_size=40,
)


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_any_order_gives_each_address_one_item_per_life(steps):
    """Who is known in the end has producers, and nobody has more items than lives."""
    play = Play()
    known, lives, taken = set(), [], []
    for step, what in steps:
        match step:
            case "discover":
                play.discover(*what)
                lives += [host for host in what if host not in known]
                known.update(what)
            case "gone":
                play.gone(what)
                known.discard(what)
            case "take":
                taken += play.taken()
            case "drain":
                play.play.drain()
            case "wait":
                play.play.elapse(0.3)
    for _ in range(len(steps) + 2):
        play.play.elapse(1.0)
        taken += play.taken()

    assert known <= set(taken)
    assert all(taken.count(host) <= lives.count(host) for host in "abcd")
    assert "producer_discovery" == play.play.state
