"""Search the LAN, and prove whoever answers, at once.

    private_search ---------------------------------------------------------------------------+
    |  ENTRY / subscribe                                                                      |
    |  RECCE_LAN / post recce_lan          recce_lan -> lan_recce                             |
    |  lan_answered / scout the broker that it names, unless it is proved                     |
    |  lan_heard [not proved], HOSTS_SIGHTED / ask these hosts; scout what an alien named     |
    |  lan_changed / publish RECCE_LAN                                                        |
    |  AMQP_CONSUMER_CHECK [of a candidate] / note it; publish LAN_HOST_FOUND, or arm         |
    |          ask_again; if it was the last that a search waited for, publish                |
    |          LAN_RECCE_COMPLETE and post lan_recce_complete                                 |
    |  ask_again / ask that host, or scout it if its answer is still fresh; arm ask_again     |
    |  PEER_GONE, PEER_ADRIFT / forget those proofs, arm ask_again                            |
    |  NODES_FORGOTTEN / drop these nodes' addresses, ignore what they say                    |
    |  REFACTOR_SEARCH / hand it to the scout of that address                                 |
    |  +- lan_recce -----------------------------------------------------------------------+  |
    |  |  INIT -> fill_arp_table                                                           |  |
    |  |  RECCE_LAN / defer, if none is deferred      EXIT / recall it                     |  |
    |  |  +- fill_arp_table: ENTRY / search; arm arp_time_out       EXIT / disarm it       |  |
    |  |  |    arp_time_out -> identify_all_ip_addresses                                   |  |
    |  |  +- identify_all_ip_addresses: ENTRY / ask for a survey; arm ip_addresses_found   |  |
    |  |  |    EXIT / disarm it      ip_addresses_found / note it -> recce_rabbit_consumers|  |
    |  |  +- recce_rabbit_consumers: ENTRY / scout every neighbour, if so set; then as     |  |
    |  |  |    after the last verdict      lan_recce_complete -> private_search            |  |
    |  +-----------------------------------------------------------------------------------+  |
    +-----------------------------------------------------------------------------------------+

Scouts go out in every state: who is there is found in milliseconds, not at the search's end.
They go to the broker inside a sealed answer, never to where a datagram came from. A LAN that
changes during a search is searched at once by the LanSearch, and once more after it by us.

Takes:  RECCE_LAN, HOSTS_SIGHTED (HostsSightedPayload), AMQP_CONSUMER_CHECK
        (AMQPConsumerCheckPayload), PEER_GONE, PEER_ADRIFT (PeerGonePayload), NODES_FORGOTTEN
        (NodesForgottenPayload), REFACTOR_SEARCH (dict); lan_answered, lan_heard (LanAnswer),
        lan_changed (str), ip_addresses_found (LanSurvey) of the LanSearch
Gives:  LAN_HOST_ANSWERED (HostsSightedPayload), of a node that is to be proved;
        LAN_HOST_FOUND (LanHostFoundPayload), one for each proof anew and each source of it;
        LAN_RECCE_COMPLETE (RecceCompletePayload), one for each search; RECCE_LAN
Always: at most MAX_SCOUTS scouts out; one search at a time, and one more deferred; a candidate
        is proved, under way, waiting its turn, armed to be asked again, or wanted no more
"""

import random
from typing import Any, Literal

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.charts.pursuit import Pursuit
from mirosd.charts.scout_party import ScoutParty
from mirosd.core.addresses import AMQP_PORT
from mirosd.core.backoff import Dice
from mirosd.core.interfaces import LanSearch, Prober
from mirosd.core.lan_candidates import LanCandidates
from mirosd.core.shown import Board, Recce
from mirosd.payloads import LanSurvey, RecceCompletePayload
from mirosd.signals import Private, Public
from mirosd_client.shell import Chart, Event

SURVEY_DEADLINE_S = 5.0
"""A survey is some milliseconds' work; without an answer a search goes on with nothing, rather than never."""


class LanRecceChart(Chart):
    """The search of the LAN.

    Args:
        routing_key, exchange_name: what a scout proves a host for.
        scout: `all` sends a scout to every neighbour that is alive, as the seeds do; `proved` to who answered.
        cache_minutes: how long a host that is not reached is asked again, at the least 5 minutes.
        peer_port: of a broker that is written without one.
    """

    def __init__(
        self,
        routing_key: str,
        exchange_name: str,
        *,
        lan: LanSearch,
        prober: Prober,
        board: Board,
        arp_timeout_s: float = 1.5,
        scout: Literal["proved", "all"] = "proved",
        cache_minutes: float = 30.0,
        peer_port: int = AMQP_PORT,
        dice: Dice = random.random,
        live_trace: bool = False,
        live_spy: bool = False,
    ) -> None:
        super().__init__("lan_recce_chart", instrumented=live_spy)
        self.live_trace, self.live_spy = live_trace, live_spy
        self.lan = lan
        self.arp_timeout_s = arp_timeout_s
        self.candidates = LanCandidates(default_port=peer_port, wanted_s=cache_minutes * 60)
        self.party = ScoutParty(self, routing_key, exchange_name, prober)
        self.pursuit = Pursuit(self, self.candidates, self.party, lan, dice)
        self.is_recce_deferred = False
        self._scouts_all = scout == "all"
        self._board = board
        self._timer: str | None = None  # of the search's state
        self._awaited: set[str] | None = None  # whose verdict the search waits for
        self._shown = Recce(0, "", (), is_complete=False)
        self.after_step.append(self._show_changes)

    def start(self) -> None:
        """Start the chart and its thread."""
        self.start_at(private_search)

    def listen(self) -> None:
        """Hear the LAN, once those run who need to hear of it. Thread: any."""
        self.lan.listen(self.take_answer)

    def take_answer(self, signal: int, payload: Any) -> None:
        """Take what the LAN says. Thread: any."""
        self.post_fifo(Event(signal=signal, payload=payload))

    def search(self) -> None:
        """Search from the beginning; those who were named or are known first."""
        self.candidates.begin_search(self.reactor.now(), self.party.addresses)
        self.lan.search(list(dict.fromkeys((*self.pursuit.named, *self.candidates.hosts))))

    def arm(self, signal: int, payload: Any, after_s: float) -> None:
        """Arm the timer of the search's state."""
        self._timer = self.post_fifo(Event(signal=signal, payload=payload), period=after_s, times=1)

    def disarm(self) -> None:
        """Disarm it."""
        self.cancel_event(self._timer)

    def await_verdicts(self) -> None:
        """Have the search end with the last verdict on those who are searched now."""
        named, self.pursuit.named = self.pursuit.named, []
        for address in self.candidates.neighbours(named) if self._scouts_all else ():
            self.pursuit.pursue(address)
        self._awaited = self.candidates.unjudged(self.party.addresses)
        self.conclude()

    def conclude(self) -> None:
        """End the search if nobody's verdict is missing any more."""
        if self._awaited is not None and not self._awaited & self.candidates.unjudged(self.party.addresses):
            self._awaited = None
            payload = RecceCompletePayload(self.candidates.proved(), self.candidates.my_address)
            self.publish(Event(signal=Public.LAN_RECCE_COMPLETE, payload=payload))
            self.post_fifo(Event(signal=Private.lan_recce_complete))

    def _show_changes(self) -> None:
        if len(self.queue):
            return  # more is coming at once
        state_name, search = self.state.fun.__name__, self.candidates.search
        is_complete = search > 0 and state_name == private_search.__name__
        recce = Recce(search, state_name, self.candidates.rows(), is_complete)
        if recce != self._shown:
            self._shown = recce
            self._board.show_recce(recce)
        if refused := self.candidates.take_refused():
            self._board.count("lan_candidates_refused", refused)


SUBSCRIPTIONS = (
    Public.RECCE_LAN,
    Public.AMQP_CONSUMER_CHECK,
    Public.HOSTS_SIGHTED,
    Public.PEER_GONE,
    Public.PEER_ADRIFT,
    Public.NODES_FORGOTTEN,
    Public.REFACTOR_SEARCH,
)


@state
def private_search(recce: LanRecceChart, e: Event) -> Status:
    """No search is on; or what holds whether one is or not."""
    pursuit = recce.pursuit
    match e.signal:
        case Engine.ENTRY:
            for signal in SUBSCRIPTIONS:
                recce.subscribe(signal)
            return HANDLED
        case Public.RECCE_LAN:
            recce.post_fifo(Event(signal=Private.recce_lan))
            return HANDLED
        case Private.recce_lan:
            return recce.trans(lan_recce)
        case Private.lan_changed:
            recce.publish(Event(signal=Public.RECCE_LAN))
            return HANDLED
        case Private.lan_answered:
            pursuit.answer(e.payload)
            return HANDLED
        case Private.lan_heard:
            pursuit.hear(e.payload)
            return HANDLED
        case Public.HOSTS_SIGHTED:
            pursuit.sight(e.payload)
            return HANDLED
        case Public.AMQP_CONSUMER_CHECK if pursuit.concerns(e.payload):
            pursuit.check(e.payload)
            recce.conclude()
            return HANDLED
        case Private.ask_again:
            pursuit.try_again(e.payload)
            return HANDLED
        case Public.PEER_GONE | Public.PEER_ADRIFT:
            pursuit.lose(e.payload)
            return HANDLED
        case Public.NODES_FORGOTTEN:
            pursuit.forget(e.payload.nodes)
            recce.conclude()
            return HANDLED
        case Public.REFACTOR_SEARCH:
            recce.party.refactor_search(e)
            return HANDLED
    return recce.parent(recce.top)


@state
def lan_recce(recce: LanRecceChart, e: Event) -> Status:
    """A search is on."""
    match e.signal:
        case Engine.INIT:
            return recce.trans(fill_arp_table)
        case Public.RECCE_LAN:
            if not recce.is_recce_deferred:  # however many ask: one more search will see what all of them mean
                recce.is_recce_deferred = True
                recce.defer(e)
            return HANDLED
        case Engine.EXIT:
            recce.is_recce_deferred = False
            recce.recall()
            return HANDLED
    return recce.parent(private_search)


@state
def fill_arp_table(recce: LanRecceChart, e: Event) -> Status:
    """Everybody is asked, and has time to answer."""
    match e.signal:
        case Engine.ENTRY:
            recce.search()
            recce.arm(Private.arp_time_out, None, recce.arp_timeout_s)
            return HANDLED
        case Private.arp_time_out:
            return recce.trans(identify_all_ip_addresses)
        case Engine.EXIT:
            recce.disarm()
            return HANDLED
    return recce.parent(lan_recce)


@state
def identify_all_ip_addresses(recce: LanRecceChart, e: Event) -> Status:
    """What is known of the LAN's addresses is being gathered."""
    match e.signal:
        case Engine.ENTRY:
            recce.arm(Private.ip_addresses_found, LanSurvey("", ()), SURVEY_DEADLINE_S)
            recce.lan.survey()
            return HANDLED
        case Private.ip_addresses_found:
            recce.candidates.take_survey(e.payload)
            return recce.trans(recce_rabbit_consumers)
        case Engine.EXIT:
            recce.disarm()
            return HANDLED
    return recce.parent(lan_recce)


@state
def recce_rabbit_consumers(recce: LanRecceChart, e: Event) -> Status:
    """The last verdicts are awaited."""
    match e.signal:
        case Engine.ENTRY:
            recce.await_verdicts()
            return HANDLED
        case Private.lan_recce_complete:
            return recce.trans(private_search)
    return recce.parent(lan_recce)
