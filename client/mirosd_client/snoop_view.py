"""What the charts of all hosts do, as one tool sees it: live, and what their programs have on record.

    with SnoopView() as view:
        view.watch(Network.SNOOP_TRACE, Dial(charts=["archer*"]), for_s=60)
        recall = view.recall("history", Network.SNOOP_TRACE, Dial(), since_s=600)
        while not recall.is_over(time.monotonic()):
            match view.receive(0.1):
                case Lines(lines): ...
        view.forget(recall)

Everything comes out of `receive`, one item at a time, in the order of its arrival; order by
cause is made by who shows it. An item counts as done when the next one is asked for: then
its delivery is acknowledged. So a tool whose terminal stands still keeps one item, the
daemon what fits one subscription, and the broker drops what its queue cannot hold.

It needs no thread and imports no miros.
"""

import itertools
import secrets
import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from mirosd_client.chart_row import decode_charts
from mirosd_client.control import ANSWER_S, ControlConnection
from mirosd_client.dial import Dial
from mirosd_client.errors import RemoteProtocolError, SilentDaemonError
from mirosd_client.messages import (
    Done,
    Failed,
    RecallWhat,
    Row,
    Subscribe,
    Subscribed,
    Unsubscribe,
    recall_key,
    refusal,
)
from mirosd_client.printable import printable, printable_deep
from mirosd_client.recollection import Recollection
from mirosd_client.record import Record, salvage_records
from mirosd_client.snoop_item import (
    Charts,
    Ended,
    Heard,
    HostRecalled,
    HostWatched,
    Item,
    Lines,
    RecallAsked,
    WatchOver,
)
from mirosd_client.snoop_line import CHARTS_SIGNAL, END_SIGNAL, LINES_SIGNAL, End, decode_end, decode_lines
from mirosd_client.socket_path import StrPath
from mirosd_client.wire import Delivery, Network

RENEWED_S = 86_400.0
"""A watch without an end is asked for again each day, the longest that a daemon holds one."""
LIVE_KEYS = {Network.SNOOP_TRACE: "snoop.trace", Network.SNOOP_SPY: "snoop.spy"}


class SnoopView:
    """A connection of a tool that looks. For one thread.

    Args:
        socket, timeout_s, program: as ControlConnection's; its errors too.

    Attributes:
        unreadable: records on the snoop networks that were none of this protocol.
    """

    def __init__(
        self, socket: StrPath | None = None, *, timeout_s: float = ANSWER_S, program: str = "mirosctl"
    ) -> None:
        self.unreadable = 0
        self._timeout_s = timeout_s
        self._connection = ControlConnection(socket, timeout_s=timeout_s, program=program)
        self.welcome = self._connection.welcome
        self._numbers = itertools.count(1)
        self._subscriptions: dict[int, tuple[Network, str]] = {}  # what it hears, and for which recall
        self._bound: set[int] = set()
        self._watches: dict[int, tuple[Network, dict[str, Any], bool]] = {}
        self._recalls: dict[str, Recollection] = {}
        self._asks: dict[int, Recollection] = {}
        self._items: deque[tuple[Item, tuple[int, int] | None]] = deque()  # with the ack that is due behind it
        self._due: tuple[int, int] | None = None

    def subscribe(self, network: Network, binding_key: str, recall: str = "") -> None:
        """Hear what matches on a network; it is bound when this returns.

        Raises:
            NotPermittedError: snoop networks need the right to operate.
            DaemonRefusedError: too many queues, a binding key that is too long.
            SilentDaemonError: the broker does not confirm it.
        """
        number = next(self._numbers)
        self._subscriptions[number] = network, recall
        self._connection.say(Subscribe(number, network.name.lower(), binding_key))
        deadline_s = time.monotonic() + self._timeout_s
        while number not in self._bound:
            self._receive(deadline_s)

    def watch(self, network: Network, dial: Dial, for_s: float | None) -> None:
        """Hear lines live, and hold a dial on all hosts, so that programs send what it takes.

        Gives a HostWatched for each host, and WatchOver when the time is up; what programs have enabled themselves
        comes too, whatever the dial, and goes on.

        Args:
            for_s: 0 < s <= 86400; None: until this view is closed.

        Raises:
            as `subscribe`. That the daemon refuses the watch (`too_many_watches`) is raised by `receive`.
        """
        self.subscribe(network, LIVE_KEYS[network])
        args = {"network": network.name.lower(), **_all_of(dial), "for_s": for_s or RENEWED_S}
        self._watch(network, args, is_endless=for_s is None)

    def recall(self, what: RecallWhat, network: Network, dial: Dial, since_s: float = 0.0) -> Recollection:
        """Ask all programs of all hosts for what they have; `receive` gives it, a Lines or Charts at a time.

        Args:
            what: "history": the lines of the last `since_s` seconds that the dial takes; "charts": their charts.
            network: also decides which kinds of lines; charts come on SNOOP_TRACE.

        Raises:
            as `subscribe`. That the daemon refuses the recall (`too_many_recalls`) is raised by `receive`.
        """
        recall_id = secrets.token_hex(16)
        self.subscribe(network, recall_key(recall_id), recall_id)
        recollection = self._recalls[recall_id] = Recollection(recall_id, time.monotonic())
        args = {"id": recall_id, "what": what, "network": network.name.lower(), **_all_of(dial)}
        self._asks[self._connection.begin("recall", {**args, "since_s": since_s})] = recollection
        return recollection

    def forget(self, recollection: Recollection) -> None:
        """Let go of a recall, and of the queue for its answers: what of it is still to come is dropped."""
        del self._recalls[recollection.id]
        for number, (_, recall) in list(self._subscriptions.items()):
            if recall == recollection.id:
                del self._subscriptions[number]
                self._connection.say(Unsubscribe(number))

    def receive(self, timeout_s: float) -> Item | None:
        """Give the next item; None when none came in time. The one before is acknowledged.

        Raises:
            DaemonUnavailableError: the daemon has gone away.
            DaemonRefusedError: it refuses something that was asked for; says what to do.
        """
        self._acknowledge()
        deadline_s = time.monotonic() + timeout_s
        while not self._items:
            try:
                self._receive(deadline_s)
            except SilentDaemonError:
                return None
        item, self._due = self._items.popleft()
        recollection = self._recalls.get(getattr(item, "recall", ""))
        if recollection is not None:
            recollection.take(item, time.monotonic())
        return item

    def interrupt(self) -> None:
        """Let go of who waits in `receive`, by DaemonUnavailableError; any thread may call it."""
        self._connection.interrupt()

    def close(self) -> None:
        """End the connection, and with it all that was watched."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _watch(self, network: Network, args: dict[str, Any], *, is_endless: bool) -> None:
        self._watches[self._connection.begin("watch", args)] = network, args, is_endless

    def _acknowledge(self) -> None:
        due, self._due = self._due, None
        if due is not None and due[0] in self._subscriptions:
            self._connection.acknowledge(*due)

    def _receive(self, deadline_s: float) -> None:
        """Take in what comes next; SilentDaemonError when nothing did."""
        message = self._connection.receive(deadline_s - time.monotonic())
        if message is None:
            raise SilentDaemonError("mirosd is there but does not answer (is its broker up? mirosctl status)")
        match message:
            case Delivery():
                self._deliver(message)
            case Subscribed(number):
                self._bound.add(number)
            case Row(number, row):
                self._row(number, printable_deep(row))
            case Done(number, result):
                self._done(number, result)
            case Failed(number, code, text) if number in self._subscriptions or self._is_asked(number):
                raise refusal(code, text)

    def _is_asked(self, number: int) -> bool:
        return number in self._watches or number in self._asks

    def _row(self, number: int, row: dict[str, Any]) -> None:
        if number in self._watches:
            network = self._watches[number][0]
            self._put(HostWatched(row["host"], row["node"], row["remote"], row["accepts"], network))
        elif number in self._asks:
            recall = self._asks[number].id
            self._put(HostRecalled(row["host"], row["node"], row["sources"], row["refused"], recall))

    def _done(self, number: int, result: dict[str, Any]) -> None:
        if number in self._watches:
            network, args, is_endless = self._watches.pop(number)
            if is_endless:
                self._watch(network, args, is_endless=True)
            else:
                self._put(WatchOver(network))
        elif number in self._asks:
            self._put(RecallAsked(result["sources"], self._asks.pop(number).id))

    def _put(self, item: Item) -> None:
        self._items.append((item, None))

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.subscription not in self._subscriptions:  # it crossed the Unsubscribe
            return
        network, recall = self._subscriptions[delivery.subscription]
        records, errors = salvage_records(delivery.records)
        self.unreadable += len(errors)
        items = [item for record in records if (item := self._read(record, network, recall)) is not None]
        done = delivery.subscription, delivery.tag
        if not items:
            self._connection.acknowledge(*done)
        for item in items[:-1]:
            self._put(item)
        for item in items[-1:]:
            self._items.append((item, done))

    def _read(self, record: Record, network: Network, recall: str) -> Item | None:
        """Give what a record says; None for one that is none of this protocol, or of a later version of it."""
        if network is Network.MESH:
            return Heard(record)
        try:
            if record.signal == LINES_SIGNAL:
                return Lines(decode_lines(record.payload), network, recall)
            if record.signal == CHARTS_SIGNAL and recall:
                return Charts(decode_charts(record.payload), recall)
            if record.signal == END_SIGNAL and recall:
                end = decode_end(record.payload)
                return Ended(End(printable(end.client), printable(end.host), end.count, end.older), recall)
        except RemoteProtocolError:
            pass  # counted as all that cannot be read
        self.unreadable += 1
        return None


def _all_of(dial: Dial) -> dict[str, Any]:
    """Give a dial with what is at its default too: the verbs' arguments are not left out."""
    return {"hosts": dial.hosts, "charts": dial.charts, "signals": dial.signals, "events": dial.events}
