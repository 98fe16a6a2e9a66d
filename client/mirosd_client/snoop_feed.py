"""What of a process's charts goes to those who watch: live lines, and answers to recalls.

    chart's thread   recorder: a small object, and whether anybody wants it live
    feed's thread    lines of what is wanted, gathered in records, published

The first line of a pause goes at once; what comes within the next 20 ms goes together. All
methods but `enable` and `note` are for the executor's thread. It needs neither a client nor miros'
threads: a daemon has one for its own charts.
"""

import functools
from collections.abc import Callable, Iterable

from mirosd_client.dial import Dial, matches
from mirosd_client.messages import Recall, Watched
from mirosd_client.recall_answers import NETWORKS, Executor, RecallAnswers
from mirosd_client.recorder import Deed, Recorder, kind_of, line_of, subject_of
from mirosd_client.roster import Member, Roster
from mirosd_client.runs import runs
from mirosd_client.shell.witness import Step
from mirosd_client.snoop_line import LINES_SIGNAL, Kind, belongs
from mirosd_client.spy_switch import SpySwitch
from mirosd_client.wire import Network

GATHER_S = 0.02
"""Of a busy chart's lines: each turn of another thread costs such a chart 0.2 ms. What 30,000 lines a second gather in
twice that time is more than a broker may be behind with (bridge/snoop.py), and an eighth of it was shed."""
TURN_LINES = 500
"""Made in one turn of the executor's thread, which has events to carry too: some 1.5 ms. So 25,000 a second go out,
more than anybody reads. A chart that makes more has its time for itself; what is beyond is counted, and told."""
LOST_S = 60.0
"""How long dials go on when the daemon that told of them is lost: a restart takes seconds, and the new one tells."""
RETRY_S = 0.5
"""Until a chart whose queue was full is asked again for its spy."""
MAX_VERDICTS = 4096
"""Of the sieve, remembered; forgotten all at once when there are more, as spy lines have subjects without end."""
ROUTING_KEYS = {Network.SNOOP_TRACE: "snoop.trace", Network.SNOOP_SPY: "snoop.spy"}

_Key = tuple[int, str, str | None, bool | Kind]

Publish = Callable[[Network, str, str, bytes], bool]
"""Called with network, routing key, signal name and payload; False: there was no room."""


class SnoopFeed:
    """The source of lines that this process is.

    Args:
        publish: sends a record; it never blocks.
        executor: the thread that does everything here.

    Attributes:
        host: this host's name, in each line; lines wait until it is set.
    """

    def __init__(self, recorder: Recorder, roster: Roster, publish: Publish, executor: Executor) -> None:
        self.host = ""
        self.recorder, self.roster = recorder, roster
        self._publish, self._executor = publish, executor
        self._dials: dict[Network, tuple[Dial, ...]] | None = None  # None: nobody has said yet what is watched
        self._verdicts: dict[_Key, tuple[Network, ...]] = {}
        self._refused = 0
        self._lines = dict.fromkeys(ROUTING_KEYS, 0)  # made, of each network
        self._is_pausing = False
        self._is_closed = False
        self._lost = 0
        self._answers = RecallAnswers(recorder, roster, self._put, executor)
        recorder.names[0] = roster.program
        recorder.follow(lambda: executor.call(self._drain))
        roster.on_join = self._joined
        roster.on_leave = self._left
        for member in roster.members():
            self._joined(member)

    @property
    def refused(self) -> int:
        """Lines and rows that were wanted and found no room. Any thread."""
        return self._refused + self.recorder.overrun.total()

    # What is wanted.

    def enable(self, number: int, network: Network, on: bool) -> None:
        """A program shows a chart on a network to whoever watches, or does so no more. Any thread."""
        if (member := self.roster.member(number)) is not None:
            member.enabled[network] = on
            self._sift()

    def watched(self, watched: Watched) -> None:
        """The daemon says what is watched."""
        self._lost += 1
        self._watch({NETWORKS[name]: tuple(dials) for name, dials in watched.networks.items()})

    def lost(self) -> None:
        """The daemon is gone. Lines wait for the next one; if none comes, dials end."""
        self._lost += 1
        self.host = ""
        if any((self._dials or {}).values()):
            self._executor.after(LOST_S, functools.partial(self._give_up, self._lost))

    def recall(self, recall: Recall) -> None:
        """A viewer asks for what is on record; the answer is sent by and by."""
        self._answers.answer(recall, self.host)

    def note(self, member: Member, text: str, network: Network) -> None:
        """Tell who watches why a chart does not do what they asked for."""
        self.recorder.notice(member.number, member.name, text, network)

    def _give_up(self, loss: int) -> None:
        if loss == self._lost:
            self._watch(None)

    def _watch(self, dials: dict[Network, tuple[Dial, ...]] | None) -> None:
        before = () if self._dials is None else self._dials.get(Network.SNOOP_SPY, ())
        self._dials = dials
        self._sift()
        for member in self.roster.members():
            self._turn_spy(member, before)
        self._drain()

    def _sift(self) -> None:
        """What is wanted has changed."""
        self._verdicts = {}
        members = self.roster.members()
        is_wanted = bool(self._dials) if self._dials is not None else any(any(m.enabled.values()) for m in members)
        self.recorder.sieve = self._wants if is_wanted else None

    def _wants(self, deed: Deed) -> tuple[Network, ...]:
        """The recorder's sieve. Thread: the chart's."""
        key: _Key = (deed.number, deed.chart, deed.signal, deed.moved) if type(deed) is Step else _key(deed)
        verdicts = self._verdicts
        networks = verdicts.get(key)
        if networks is None:
            if len(verdicts) >= MAX_VERDICTS:
                verdicts.clear()
            networks = verdicts[key] = tuple(network for network in ROUTING_KEYS if self._is_wanted(network, deed))
        return networks

    def _is_wanted(self, network: Network, deed: Deed) -> bool:
        number, kind, chart, subject = deed.number, kind_of(deed), deed.chart, subject_of(deed)
        member, dials = self.roster.member(number), self._dials
        if not belongs(kind, network, is_traced=self.roster.is_traced(number)) or not (
            dials is None or network in dials
        ):
            return False
        if member is not None and kind not in {"event", "send"} and member.enabled[network]:
            return True
        return any(dial.asks_for(kind, chart, subject) for dial in (dials or {}).get(network, ()))

    # The spy of charts.

    def _joined(self, member: Member) -> None:
        """A chart is on the roster. Any thread."""
        self.recorder.names[member.number] = member.name
        record = functools.partial(self._spied, member)
        if member.spy is None:
            member.chart.spy_switch = SpySwitch(member.chart, record)
        else:
            member.spy.record = record
        if self._dials:
            self._executor.call(functools.partial(self._turn_spy, member, ()))

    def _spied(self, member: Member, text: str) -> None:
        self.recorder.said(member.number, member.name, "spy", text)

    def _left(self, number: int) -> None:
        self.recorder.names.pop(number, None)

    def _turn_spy(self, member: Member, before: Iterable[Dial]) -> None:
        """Have a chart's spy as the dials want it; `before` are those that it has had an answer for."""
        switch = member.spy
        if switch is None:
            return
        dials = [d for d in (self._dials or {}).get(Network.SNOOP_SPY, ()) if matches(member.name, d.charts)]
        if not dials:
            member.undecorated = ""
            switch.undial()
        elif any(dial not in before for dial in dials) and not switch.dial(functools.partial(self._deny_spy, member)):
            self._executor.after(RETRY_S, functools.partial(self._turn_spy, member, ()))

    def _deny_spy(self, member: Member, state: str) -> None:
        """A chart's spy is off, whoever wants it. Thread: the chart's, or the executor's."""
        member.undecorated = state
        reason = (
            f"{state} is not decorated" if state else "a chart of plain miros; only its program can turn its spy on"
        )
        self.note(member, f"spy_unavailable: {reason}", Network.SNOOP_SPY)

    # Live.

    def close(self) -> None:
        """The way out is closed: whatever somebody may have wanted is refused, and counted."""
        self._is_closed = True
        self._drain()

    def flush(self) -> None:
        """Send what waits, pause or not, if it is known who watches."""
        while self._is_ready and self.recorder.is_waiting:
            self._send_live()

    @property
    def _is_ready(self) -> bool:
        return self._is_closed or (bool(self.host) and self._dials is not None)

    def _drain(self) -> None:
        if self._is_pausing or not self._is_ready:
            return
        if self.recorder.rest():
            return
        self._send_live()
        self._is_pausing = True
        self._executor.after(GATHER_S, self._resume)

    def _resume(self) -> None:
        self._is_pausing = False
        self._drain()

    def _send_live(self) -> None:
        taken = self.recorder.take_live(TURN_LINES)
        watched = ROUTING_KEYS if self._is_closed else self._dials or {}
        for network, routing_key in ROUTING_KEYS.items():
            deeds = [deed for deed, networks in taken if network in networks]
            if network in watched and deeds:
                self._lines[network] += len(deeds)
                first = self.recorder.overrun[network] + self._lines[network] - len(deeds) + 1
                lines = (line_of(deed, self.roster.client, self.host, n) for n, deed in enumerate(deeds, first))
                for payload, count in runs(lines):
                    self._put(network, routing_key, LINES_SIGNAL, payload, count)

    def _put(self, network: Network, routing_key: str, signal: str, payload: bytes, count: int) -> None:
        if not self._publish(network, routing_key, signal, payload):
            self._refused += count


def _key(deed: Deed) -> _Key:
    return deed.number, deed.chart, subject_of(deed), kind_of(deed)
