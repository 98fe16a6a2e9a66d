"""RabbitConsumerScoutChart: one verdict per search, whoever answers, late or never."""

import gc
import weakref

import pytest

from mirosd.charts.scout import (
    DEADLINE_S,
    RabbitConsumerScoutChart,
    amqp_consumer_server_found,
    no_amqp_consumer_server_found,
    producer_post_and_wait,
    producer_thread_engaged,
    search,
)
from mirosd.payloads import AMQPConsumerCheckPayload
from mirosd.signals import Private, Public
from mirosd_client.shell import Chart, Event
from mirosd_client.shell.testing import check_structure, threadless
from tests.charts.fakes import STAGES, FakeProber, introduction

HOST = "192.168.1.77"


def idle(owner, _e):
    return owner.parent(owner.top)


class Play:
    """A scout of an owner that does nothing else."""

    def __init__(self, **arguments):
        self.prober = FakeProber()
        self.owner = Chart("owner")
        self.play = threadless(self.owner)
        self.play.start_at(idle)
        self.play.records.clear()
        keys = ("heya.man", "miros.mesh.exchange")
        self.scout = RabbitConsumerScoutChart(self.owner, HOST, *keys, prober=self.prober, **arguments)
        self.scout.start()
        self.play.drain()

    @property
    def probe(self):
        return self.prober.probes[-1]

    @property
    def checks(self):
        return [event.payload for event in self.play.published]

    def connected(self):
        self.probe.connected(STAGES[:1])
        self.play.drain()

    def complete(self, code="", who=None, probe=None):
        (probe or self.probe).complete(code, who, STAGES)
        self.play.drain()

    def refactor(self, **changes):
        keys = {"ip_address": HOST, "routing_key": "archer.bob", "exchange_name": "other"}
        self.scout.tell(Event(signal=Public.REFACTOR_SEARCH, payload=keys | changes))
        self.play.drain()


def test_structure():
    """Every state names its parent, and swallows nothing it does not know."""
    states = [search, producer_thread_engaged, producer_post_and_wait]
    check_structure(Play().scout, [*states, amqp_consumer_server_found, no_amqp_consumer_server_found])


def test_a_proof_is_the_seeds_trace_with_the_other_end():
    """Connected, challenged, answered: AMQP_CONSUMER_CHECK says true and who it is."""
    play = Play()
    assert ["connect"] == play.probe.asked
    play.connected()
    assert ["connect", "challenge"] == play.probe.asked
    play.complete(who=introduction(HOST))

    assert [
        (None, "top", "producer_thread_engaged"),
        ("try_to_connect_to_consumer", "producer_thread_engaged", "producer_post_and_wait"),
        ("consumer_test_complete", "producer_post_and_wait", "amqp_consumer_server_found"),
    ] == play.play.moves
    assert [HOST] * 3 == [record.chart for record in play.play.records]
    assert [
        AMQPConsumerCheckPayload(HOST, True, "heya.man", "miros.mesh.exchange", "", STAGES, introduction(HOST))
    ] == play.checks


@pytest.mark.parametrize("is_connected", [False, True])
def test_nobody_there_is_the_seeds_trace(is_connected):
    """A dead address, and a broker without a daemon, take the way that the seeds' trace shows."""
    play = Play()
    if is_connected:
        play.connected()
    play.complete("daemon" if is_connected else "tcp(silent)")

    assert [
        (None, "top", "producer_thread_engaged"),
        ("try_to_connect_to_consumer", "producer_thread_engaged", "producer_post_and_wait"),
        ("consumer_test_complete", "producer_post_and_wait", "no_amqp_consumer_server_found"),
    ] == play.play.moves


def test_a_failed_challenge_is_told_with_its_stages():
    """The verdict says for which keys, how far it came, and where it ended."""
    play = Play()
    play.connected()
    play.complete("daemon")

    assert ("heya.man", "miros.mesh.exchange", False, "daemon", STAGES) == (
        play.checks[0].routing_key,
        play.checks[0].exchange_name,
        play.checks[0].result,
        play.checks[0].code,
        play.checks[0].stages,
    )


def test_a_refused_connection_needs_no_challenge():
    """The verdict comes before it; a broker without a daemon is not found (D4)."""
    play = Play()
    play.complete("tcp(refused)")

    assert [(False, "tcp(refused)")] == [(check.result, check.code) for check in play.checks]
    assert ["connect", "abandon"] == play.probe.asked


@pytest.mark.parametrize("is_connected", [False, True])
def test_a_lost_answer_ends_the_search_all_the_same(is_connected):
    """The deadline is the scout's own: 10 s after the start, and never twice."""
    play = Play()
    if is_connected:
        play.connected()
    play.play.elapse(DEADLINE_S - 0.01)
    assert [] == play.checks
    play.play.elapse(0.02)
    assert [(False, "lost")] == [(check.result, check.code) for check in play.checks]

    play.complete(who=introduction(HOST))
    play.play.elapse(60.0)
    assert 1 == len(play.checks)


def test_after_a_verdict_nothing_more_is_said():
    """Neither the deadline nor a second answer publishes again, and the probe is let go."""
    play = Play()
    probe = play.probe
    play.complete("key")
    play.complete(who=introduction(HOST), probe=probe)
    probe.connected()
    play.play.elapse(60.0)

    assert ["key"] == [check.code for check in play.checks]
    assert "abandon" == probe.asked[-1]


def test_refactor_search_searches_again_with_other_keys():
    """The same object runs many searches (D15); its address is compared by its text, not its identity (D25)."""
    play = Play()
    play.complete("tcp(refused)")
    play.refactor(ip_address="".join(["192.168", ".1.77"]))
    play.complete(who=introduction(HOST))

    assert [("heya.man", False), ("archer.bob", True)] == [(c.routing_key, c.result) for c in play.checks]
    assert 2 == play.prober.asked(HOST)


def test_refactor_search_of_another_address_is_not_for_this_scout():
    """Nothing begins, nothing ends."""
    play = Play()
    play.refactor(ip_address="192.168.1.78")

    assert (1, "producer_post_and_wait") == (play.prober.asked(HOST), play.scout.state.fun.__name__)


def test_each_search_has_its_own_deadline():
    """What was left of the first search's time does not end the second."""
    play = Play()
    play.play.elapse(DEADLINE_S - 1.0)
    play.refactor()
    play.play.elapse(DEADLINE_S - 1.0)
    assert [] == play.checks
    play.play.elapse(1.1)
    assert ["archer.bob"] == [check.routing_key for check in play.checks]


def test_answers_of_an_abandoned_search_are_ignored():
    """A search that was refactored while its probe was out publishes one verdict, the new one's."""
    play = Play()
    first = play.probe
    first.connected()
    first.complete("auth")
    play.refactor()
    first.complete("auth")
    play.play.drain()
    assert ([], "abandon") == (play.checks, first.asked[-1])

    play.complete("vhost")
    assert [("archer.bob", "vhost")] == [(check.routing_key, check.code) for check in play.checks]


def test_a_dropped_scout_is_heard_no_more_and_freed():
    """The owner's last word ends the probe; a probe still held by a backend keeps no scout alive (D27)."""
    play = Play()
    probe, scout = play.probe, weakref.ref(play.scout)
    play.scout.disengage()
    del play.scout
    gc.collect()
    probe.complete("", introduction(HOST))
    play.play.elapse(60.0)

    assert (["connect", "abandon"], [], None) == (probe.asked, play.checks, scout())


def test_answers_come_through_the_owners_queue():
    """A probe's post from another thread changes nothing until the owner's turn comes."""
    play = Play()
    play.probe.post(Private.consumer_test_complete, play.scout.result)
    assert "producer_post_and_wait" == play.scout.state.fun.__name__

    play.play.drain()
    assert "amqp_consumer_server_found" == play.scout.state.fun.__name__


def test_live_trace_and_live_spy_show_one_scout_alone(capsys):
    """As in the seeds: the lines are printed, and its owner's are not."""
    play = Play(live_trace=True)
    play.complete("tcp(refused)")
    traced = capsys.readouterr().out.splitlines()
    play = Play(live_spy=True)
    play.complete("tcp(refused)")
    spied = capsys.readouterr().out.splitlines()

    assert [
        f"[{HOST}] e->start_at() top->producer_thread_engaged",
        f"[{HOST}] e->try_to_connect_to_consumer() producer_thread_engaged->producer_post_and_wait",
        f"[{HOST}] e->consumer_test_complete() producer_post_and_wait->no_amqp_consumer_server_found",
    ] == [line.partition("] ")[2] for line in traced]
    assert {"START", "ENTRY_SIGNAL:producer_post_and_wait", "ENTRY_SIGNAL:no_amqp_consumer_server_found"} <= set(spied)
