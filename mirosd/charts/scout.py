"""Prove, or fail to prove, who is behind one address. A region: its owner's thread, its owner's timers.

    search -----------------------------------------------------------------------------------+
    |  INIT -> producer_thread_engaged                                                        |
    |  REFACTOR_SEARCH [my address] / take the new keys -> search                             |
    |  +- producer_thread_engaged ---------------------------------------------------------+  |
    |  |  ENTRY / make a probe; arm the deadline; post try_to_connect_to_consumer          |  |
    |  |  EXIT  / disarm it; abandon the probe                                             |  |
    |  |  consumer_test_complete [proved] -> amqp_consumer_server_found                    |  |
    |  |  consumer_test_complete [else]   -> no_amqp_consumer_server_found                 |  |
    |  |  try_to_connect_to_consumer -> producer_post_and_wait                             |  |
    |  |  +- producer_post_and_wait -----------------------------------------------------+ |  |
    |  |  |  ENTRY / ask the probe to connect                                            | |  |
    |  |  |  try_to_connect_to_consumer / ask the probe for the sealed challenge         | |  |
    |  |  +------------------------------------------------------------------------------+ |  |
    |  +-----------------------------------------------------------------------------------+  |
    |  amqp_consumer_server_found, no_amqp_consumer_server_found:                             |
    |     ENTRY / publish AMQP_CONSUMER_CHECK                                                 |
    +-----------------------------------------------------------------------------------------+

"Found" means proved: a daemon of this system answered a sealed challenge over the very
connection that was opened. A broker alone proves nothing.

The first try_to_connect_to_consumer is the scout's own: the seeds give a thread 0.1 s to
start, a probe needs none. The second is the probe's, once the broker has let it in.

Takes:  REFACTOR_SEARCH (dict: ip_address, routing_key, exchange_name), handed on by the
        owner; try_to_connect_to_consumer, consumer_test_complete (Probe, or the deadline)
Gives:  AMQP_CONSUMER_CHECK (AMQPConsumerCheckPayload), exactly once per search that is
        not refactored or dropped, within DEADLINE_S
Always: at most one probe; an answer of an earlier one is ignored
"""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.core.interfaces import Probe, Prober, ProbeResult
from mirosd.payloads import AMQPConsumerCheckPayload, RecceNode
from mirosd.signals import Private, Public
from mirosd_client.shell import Alarm, ChartMixin, Event, Region

DEADLINE_S = 10.0
"""A probe answers within 8 s and a challenge's 1.5 s; what takes longer has lost its answer."""

MAX_SCOUTS = 32
"""Of one owner, at a time. Polite to the network: a /24 is through in 126 ms at 5 to 20 ms per answer."""

UNSEARCHED = RecceNode(searched=False, result=False, scout=None)


def is_verdict_on(
    node: RecceNode | None, check: AMQPConsumerCheckPayload, routing_key: str, exchange_name: str
) -> bool:
    """Say whether `check` settles `node`, an address that is searched for these keys; None: it is nobody's.

    Another's proof is as good as that of the own scout; another's failure is not.
    """
    if node is None:
        return False
    if node.scout is not None:
        routing_key, exchange_name = node.scout.routing_key, node.scout.exchange_name
    if (check.routing_key, check.exchange_name) != (routing_key, exchange_name):
        return False
    return check.result or (node.scout is not None and node.scout.probe is None)


class RabbitConsumerScoutChart(Region):
    """One address under search, as often as it is told to.

    Args:
        owner: the chart in whose thread it lives; its `live_trace` shows the scout's moves too.
    """

    def __init__(
        self,
        owner: ChartMixin,
        ip_address: str,
        routing_key: str,
        exchange_name: str,
        *,
        prober: Prober,
        live_trace: bool = False,
        live_spy: bool = False,
    ) -> None:
        super().__init__(owner, ip_address, instrumented=live_spy)
        self.live_trace, self.live_spy = live_trace, live_spy
        self.ip_address = ip_address
        self.routing_key = routing_key
        self.exchange_name = exchange_name
        self.probe: Probe | None = None
        self.result = ProbeResult("", ())
        self._prober = prober
        self._search_number = 0
        self._deadline: Alarm | None = None

    def start(self) -> None:
        """Begin the first search."""
        self.start_at(search)

    def engage(self) -> None:
        """Make a new probe, and go on at once."""
        self._deadline = self.arm(
            Event(signal=Private.consumer_test_complete, payload=ProbeResult("lost", ())), DEADLINE_S
        )
        self.probe = self._prober.probe(self.ip_address, self._ear(self._search_number))
        self.post_fifo(Event(signal=Private.try_to_connect_to_consumer))

    def disengage(self) -> None:
        """Let go of the probe, also when the owner drops the scout while it is out; nothing of it is heard any more."""
        self._search_number += 1
        self.disarm(self._deadline)
        if self.probe is not None:
            self.probe.abandon()
            self.probe = None

    def publish_check(self) -> None:
        """Publish the verdict."""
        payload = AMQPConsumerCheckPayload(
            self.ip_address,
            self.result.code == "",
            self.routing_key,
            self.exchange_name,
            self.result.code,
            self.result.stages,
            self.result.introduction,
        )
        self.publish(Event(signal=Public.AMQP_CONSUMER_CHECK, payload=payload))

    def hear(self, search_number: int, signal: int, payload: Any) -> None:
        """Take an answer, if it belongs to the search that is on."""
        if search_number == self._search_number:
            self.tell(Event(signal=signal, payload=payload))

    def _ear(self, search_number: int) -> Callable[[int, Any], None]:
        """Give what a probe may call from any thread: it goes through the owner's queue into the owner's thread."""
        owner, scout = self.owner, weakref.ref(self)

        def hear(signal: int, payload: Any) -> None:
            here = scout()
            if here is not None:
                here.hear(search_number, signal, payload)

        def post(signal: int, payload: Any) -> None:
            owner.post_call(partial(hear, signal, payload))

        return post


@state
def search(scout: RabbitConsumerScoutChart, e: Event) -> Status:
    """One address; what was found of it stays until the next search."""
    match e.signal:
        case Engine.INIT:
            return scout.trans(producer_thread_engaged)
        case Public.REFACTOR_SEARCH if e.payload["ip_address"] == scout.ip_address:
            scout.routing_key = e.payload["routing_key"]
            scout.exchange_name = e.payload["exchange_name"]
            return scout.trans(search)
    return scout.parent(scout.top)


@state
def producer_thread_engaged(scout: RabbitConsumerScoutChart, e: Event) -> Status:
    """There is a probe, and a deadline for its verdict."""
    match e.signal:
        case Engine.ENTRY:
            scout.engage()
            return HANDLED
        case Engine.EXIT:
            scout.disengage()
            return HANDLED
        case Private.try_to_connect_to_consumer:
            return scout.trans(producer_post_and_wait)
        case Private.consumer_test_complete:
            scout.result = e.payload
            return scout.trans(no_amqp_consumer_server_found if scout.result.code else amqp_consumer_server_found)
    return scout.parent(search)


@state
def producer_post_and_wait(scout: RabbitConsumerScoutChart, e: Event) -> Status:
    """The probe is out: to the broker, and behind it to whoever answers the challenge."""
    match e.signal:
        case Engine.ENTRY if scout.probe is not None:
            scout.probe.connect()
            return HANDLED
        case Private.try_to_connect_to_consumer if scout.probe is not None:
            scout.probe.challenge()
            return HANDLED
    return scout.parent(producer_thread_engaged)


@state
def amqp_consumer_server_found(scout: RabbitConsumerScoutChart, e: Event) -> Status:
    """A daemon of this system proved itself."""
    match e.signal:
        case Engine.ENTRY:
            scout.publish_check()
            return HANDLED
    return scout.parent(search)


@state
def no_amqp_consumer_server_found(scout: RabbitConsumerScoutChart, e: Event) -> Status:
    """Nobody did; the result's code says how far it went."""
    match e.signal:
        case Engine.ENTRY:
            scout.publish_check()
            return HANDLED
    return scout.parent(search)
