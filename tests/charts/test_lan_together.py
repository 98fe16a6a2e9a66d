"""Several hosts' charts on one LAN in virtual time: datagrams arrive at once or are lost, scouts take 10 ms."""

from functools import partial

import pytest

from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.lan import LanChart
from mirosd.charts.lan_recce import LanRecceChart
from mirosd.core.cache_document import lan_cache_text, parse_lan_cache
from mirosd.payloads import LanAnswer, LanNeighbour, LanSurvey, PeerGonePayload
from mirosd.signals import Private, Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import ManualReactor, RecordingBus, threadless
from tests.charts.fakes import STAGES, FakeBoard, FakeFileStore, FakeProber, introduction, node_of

BROADCASTS_S = (0.0, 0.15, 0.4, 0.8, 1.6)
QUESTIONS_S = (0.0, 0.2, 0.6, 1.4)
SCOUT_S = 0.01
CACHE = "/var/lib/mirosd/lan_cache.json"


class Ether:
    """A LAN. `lost` says of each datagram that is sent, by its time and who sends it to whom, whether it is lost."""

    def __init__(self, lost=lambda at_s, sender, receiver: False):
        self.reactor = ManualReactor()
        self.lost = lost
        self.lans = {}
        self.probes = 0

    def carry(self, sender, receiver):
        return receiver in self.lans and not self.lost(self.reactor.now(), sender, receiver)


class EtherLan:
    """One host's LanSearch on the ether: the times of lan-notes, without sweep and re-sends."""

    def __init__(self, ether, address):
        self.ether, self.address = ether, address
        self.post = None
        self.questions = 0
        self.seen = set()

    def listen(self, post):
        self.post = post
        self.ether.lans[self.address] = self

    def search(self, known):
        self.seen = set()
        question = self._question()
        for at_s in BROADCASTS_S:
            self.ether.reactor.after(at_s, partial(self._ask_all, question))
        self.ask(known)

    def ask(self, hosts):
        question = self._question()
        for host in hosts:
            for at_s in QUESTIONS_S:
                self.ether.reactor.after(at_s, partial(self._ask, host, question))

    def survey(self):
        seen = tuple(LanNeighbour(address, "alive") for address in sorted(self.seen))
        self.post(Private.ip_addresses_found, LanSurvey(self.address, seen))

    def _question(self):
        self.questions += 1
        return self.questions

    def _ask_all(self, question):
        for address in list(self.ether.lans):
            if address != self.address:
                self._ask(address, question)

    def _ask(self, address, question):
        if address == self.address or not self.ether.carry(self.address, address):
            return
        self.ether.probes += 1
        self.ether.lans[address].post(Private.lan_heard, self._said(self.address))
        if self.ether.carry(address, self.address) and (question, address) not in self.seen:
            self.seen.add(address)
            self.post(Private.lan_answered, self._said(address))

    def _said(self, address):
        return LanAnswer(address, node_of(address), f"{address}:5672")


class EtherProber(FakeProber):
    """Proves whoever is on the ether."""

    def __init__(self, ether):
        super().__init__()
        self.ether = ether

    def probe(self, host, post):
        probe = super().probe(host, post)
        is_there = host in self.ether.lans
        verdict = ("", introduction(host), STAGES) if is_there else ("tcp(silent)", None, STAGES)
        probe.connect = lambda: self.ether.reactor.after(SCOUT_S, partial(probe.complete, *verdict))
        return probe


class Host:
    """One host's charts."""

    def __init__(self, ether, address, *cached):
        self.address, self.bus, self.files = address, RecordingBus(), FakeFileStore()
        if cached:
            self.files.put(CACHE, lan_cache_text(cached, (), time_out_in_minutes=30))
        self.lan = EtherLan(ether, address)
        self.prober, board = EtherProber(ether), FakeBoard()
        self.recce = LanRecceChart("rk", "ex", lan=self.lan, prober=self.prober, board=board, dice=lambda: 0.5)
        charts = [CacheFileChart(CACHE, self.files, parse=parse_lan_cache), self.recce, LanChart(CACHE, board=board)]
        for chart in charts:
            threadless(chart, ether.reactor, self.bus)
            chart.start()
        self.recce.listen()
        self.ether = ether

    @property
    def found(self):
        """Who was discovered, as producers would be made."""
        return {
            host
            for event in self.bus.published
            if event.signal == Public.CONNECTION_DISCOVERY
            for host in event.payload.hosts
        }

    @property
    def cached(self):
        return set(parse_lan_cache(self.files.files[CACHE][0])["addresses"])


ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def others(host):
    return set(ADDRESSES) - {host.address}


def test_three_hosts_with_empty_caches_find_each_other_with_the_first_broadcast():
    """Each asks the others and is asked by them; a proof takes no longer than its scout."""
    ether = Ether()
    hosts = [Host(ether, address) for address in ADDRESSES]
    ether.reactor.advance(SCOUT_S)
    assert [others(host) for host in hosts] == [host.found for host in hosts]
    ether.reactor.advance(2.0)

    assert [others(host) for host in hosts] == [host.cached for host in hosts]
    assert [2, 2, 2] == [len(host.prober.probes) for host in hosts]


@pytest.mark.parametrize("lonely", [(), ("10.0.0.3",)])
def test_all_are_found_within_two_probe_rounds(lonely):
    """The whole first round is lost, and what one host sends is lost for good: the others' second round finds all."""
    ether = Ether(lost=lambda at_s, sender, receiver: at_s < BROADCASTS_S[1] or (at_s < 0.16 and sender in lonely))
    hosts = [Host(ether, address) for address in ADDRESSES]
    ether.reactor.advance(BROADCASTS_S[1] + 2 * SCOUT_S)
    expected = [set() if host.address in lonely else others(host) - set(lonely) for host in hosts]
    assert expected == [host.found for host in hosts]
    ether.reactor.advance(BROADCASTS_S[2])

    assert [others(host) for host in hosts] == [host.found for host in hosts]


def test_a_fresh_cache_needs_no_search():
    """The cached are asked, and prove themselves; nobody else is disturbed."""
    ether = Ether()
    Host(ether, "10.0.0.2")
    ether.reactor.advance(10.0)
    before = ether.probes
    host = Host(ether, "10.0.0.1", "10.0.0.2", "10.0.0.99")
    ether.reactor.advance(SCOUT_S)

    assert {"10.0.0.2"} == host.found
    assert [] == [event for event in host.bus.published if event.signal == Public.RECCE_LAN]
    assert before + 2 >= ether.probes


def test_who_comes_later_finds_and_is_found():
    """Its own search introduces it; no search of the others is needed (D15)."""
    ether = Ether()
    hosts = [Host(ether, address) for address in ADDRESSES[:2]]
    ether.reactor.advance(60.0)
    hosts.append(Host(ether, ADDRESSES[2]))
    ether.reactor.advance(2 * SCOUT_S)

    assert [others(host) for host in hosts] == [host.found for host in hosts]


def test_a_host_that_was_unplugged_is_asked_for_and_found_again():
    """PEER_GONE, then half an hour of questions."""
    ether = Ether()
    one, other = (Host(ether, address) for address in ADDRESSES[:2])
    ether.reactor.advance(5.0)
    ether.lans.pop(other.address)
    gone = Event(signal=Public.PEER_GONE, payload=PeerGonePayload(node_of(other.address), (other.address,)))
    one.bus.publish(gone, 1000)
    ether.reactor.advance(1200.0)
    assert 1 == len(one.prober.probes)
    ether.lans[other.address] = other.lan
    ether.reactor.advance(31.0)

    assert 2 == len(one.prober.probes)
    assert 2 == sum(event.signal == Public.CONNECTION_DISCOVERY for event in one.bus.published)
