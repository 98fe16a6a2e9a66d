"""The three networks of one chart: the mesh, and the two that show what charts do.

    mesh          events, always on
    snoop.trace   moves of charts, while enabled
    snoop.spy     all that miros' spy sees, while enabled

The networked charts have one of these as `.nets`; a program that builds its own object
makes one for it. The daemon holds the broker's account and the keys, so the words for
them are accepted and not used.
"""

import itertools
import time
from typing import Any, Literal, NamedTuple, overload

from mirosd_client.client import DEFAULT_ROUTING_KEY, Client
from mirosd_client.default_client import default_client
from mirosd_client.errors import DaemonUnavailableError, MirosApiException
from mirosd_client.mesh import Deserializer, Mesh, OnMesh, Serializer
from mirosd_client.on_full import OnFull
from mirosd_client.receipt import Receipt
from mirosd_client.recorder import Recorder
from mirosd_client.shell.step import TraceRecord
from mirosd_client.shell.witness import Step
from mirosd_client.snoop import OnSnoop, SnoopNet
from mirosd_client.snoop_line import SnoopLine, move_line, read_trace
from mirosd_client.socket_path import StrPath
from mirosd_client.unused import warn_of_unused
from mirosd_client.wire import Network

NEEDED = ("post_fifo", "post_lifo", "start_at", "register_live_spy_callback", "register_live_trace_callback")
"""What an object must be able to do to be on the networks."""
URL_S = 2.0
"""How long a chart waits for the daemon when it asks where it is."""
MAX_CHART_NUMBER = 65535


class Snoop(NamedTuple):
    """The two networks for people."""

    trace: SnoopNet
    spy: SnoopNet


class MirosNets:
    """The networks of one chart. Any thread may call it.

    Args:
        miros_object: an ActiveObject, a Factory, or what can do the same; instrumented, if it is to be watched.
        rabbit_user, rabbit_password, mesh_encryption_key, snoop_spy_encryption_key,
            snoop_trace_encryption_key, addresses: accepted from older programs; not used.
        tx_routing_key: of everything that is transmitted; default "empty".
        rx_routing_key: binding key of what is received (`*` a word, `#` any number); default tx_routing_key.
        on_mesh_rx: called with (None, None, Record, (source, Event)) in the client's thread; None posts the event.
        on_trace_rx, on_spy_rx: called with (None, None, Seen, text) for each line; None prints it.
        serializer, deserializer: replace JSON: payload to bytes, and back. What is sent is marked with
            the serializer's name; a receiver takes what is marked with the name of either of its own.
        socket: the daemon's; None searches as socket_path.py says.
        on_full: what `transmit` does when too much waits for the daemon (see Client).
        client: use this one, not the one that all charts of the process share.

    Raises:
        MirosApiException: the object cannot do what a chart can.
    """

    def __init__(  # noqa: PLR0917 -- the ancestor's signature
        self,
        miros_object: Any,
        rabbit_user: str | None = None,
        rabbit_password: str | None = None,
        mesh_encryption_key: str | bytes | None = None,
        tx_routing_key: str | None = None,
        rx_routing_key: str | None = None,
        on_mesh_rx: OnMesh | None = None,
        on_spy_rx: OnSnoop | None = None,
        on_trace_rx: OnSnoop | None = None,
        snoop_spy_encryption_key: str | bytes | None = None,
        snoop_trace_encryption_key: str | bytes | None = None,
        addresses: Any = None,
        *,
        serializer: Serializer | None = None,
        deserializer: Deserializer | None = None,
        socket: StrPath | None = None,
        on_full: OnFull = "refuse",
        client: Client | None = None,
    ) -> None:
        missing = [name for name in NEEDED if not callable(getattr(miros_object, name, None))]
        if missing:
            raise MirosApiException(f"{type(miros_object).__name__} is no statechart: it has no {', '.join(missing)}")
        warn_of_unused(
            rabbit_user=rabbit_user,
            rabbit_password=rabbit_password,
            mesh_encryption_key=mesh_encryption_key,
            snoop_spy_encryption_key=snoop_spy_encryption_key,
            snoop_trace_encryption_key=snoop_trace_encryption_key,
            addresses=addresses,
        )
        self.client = client or default_client(socket)
        self._object = miros_object
        self._before: tuple[bool, Any] = False, print
        tx_routing_key = tx_routing_key or DEFAULT_ROUTING_KEY
        self.number = number = next(_numbers)
        self.mesh = Mesh(
            self.client,
            miros_object,
            number,
            on_mesh_rx or self._post,
            tx_routing_key=tx_routing_key,
            rx_routing_key=rx_routing_key or tx_routing_key,
            serializer=serializer,
            deserializer=deserializer,
            on_full=on_full,
        )
        chart = (self.name, number)
        self.snoop = Snoop(
            trace=SnoopNet(Network.SNOOP_TRACE, self.client, chart, on_trace_rx),
            spy=SnoopNet(Network.SNOOP_SPY, self.client, chart, on_spy_rx),
        )
        self.join()

    @property
    def name(self) -> str:
        """The chart's name."""
        return str(self._object.name)

    def join(self) -> None:
        """Be on the list of charts, and recorded; in a forked child anew, which has its own of both."""
        feed, chart = self.client.feed, self._object
        feed.roster.add(chart, self.number, receives=self.mesh.rx_routing_key, transmits=self.mesh.tx_routing_key)
        if hasattr(chart, "witness"):  # of the shell
            chart.witness = feed.recorder.witness(self.number)
        for network in self.snoop:
            network.tell_feed()

    def start_threads(self) -> None:
        """Begin to receive, from the mesh and what else is enabled. (There are no threads: the client's does it.)"""
        self.join()
        for network in (self.mesh, *self.snoop):
            network.start()

    def stop_threads(self) -> None:
        """Receive no more; `start_threads` begins again."""
        for network in (self.mesh, *self.snoop):
            network.stop()

    @overload
    def transmit(self, event: Any, *, receipt: Literal[False] = ...) -> bool: ...

    @overload
    def transmit(self, event: Any, *, receipt: Literal[True]) -> Receipt | None: ...

    def transmit(self, event: Any, *, receipt: bool = False) -> bool | Receipt | None:
        """Send an event to every chart whose rx_routing_key matches, but this one. Never blocks.

        Returns:
            True when it is accepted: it reaches, once and in order, every chart that is
            subscribed by then. False when too much waits for the daemon, by `on_full`.
            With receipt=True instead what tells how it went, and None.

        Raises:
            UnregisteredTypeError, PayloadTooLarge: the payload cannot cross.
            WindowFullError: only with on_full="raise".
            TooManyReceiptsError: 10,000 receipts wait already.
        """
        return self.mesh.transmit(event, receipt=receipt)

    def enable_snoop_trace(self) -> None:
        """Show moves of this chart and of all others that do the same, here and there; before or after the start."""
        chart = self._object
        if not self.snoop.trace.enabled:
            self._before = getattr(chart, "live_trace", False), getattr(chart, "live_trace_callback", print)
            if hasattr(chart, "on_trace"):  # a chart of the shell: records, whatever is decorated
                chart.on_trace.append(self._moved)
                chart.live_trace_callback = _nowhere  # it is shown already
            else:
                chart.live_trace = True
                chart.register_live_trace_callback(self._traced)
        self.snoop.trace.enable()

    def disable_snoop_trace(self) -> None:
        """End that; the chart's own live trace is what it was before."""
        chart = self._object
        if self.snoop.trace.enabled:
            self.snoop.trace.disable()
            if hasattr(chart, "on_trace"):
                chart.on_trace.remove(self._moved)
            chart.live_trace, chart.live_trace_callback = self._before

    def enable_snoop_spy(self) -> None:
        """Show all that miros' spy sees in this chart and in all others that do the same, here and there."""
        self._object.spy_switch.enable(self._spied)
        self.snoop.spy.enable()

    def disable_snoop_spy(self) -> None:
        """End that; the chart's own live spy is what it was before."""
        self.snoop.spy.disable()
        self._object.spy_switch.disable()

    def broadcast_trace(self, message: str) -> None:
        """Send a line of miros' live trace to all who watch; any other text goes as a remark."""
        self._traced(message, Network.SNOOP_TRACE)

    def broadcast_spy(self, message: str) -> None:
        """Send a line of miros' live spy to all who watch."""
        self._spied(message, Network.SNOOP_SPY)

    def scribble(self, message: str, *, is_grey: bool = True) -> bool:
        """Remark something for all who watch traces, else for all who watch the spy; False when neither is enabled."""
        self._recorder.said(self.number, self.name, "scribble", message, is_grey=is_grey)
        for network in self.snoop:
            if network.enabled:
                network.show(SnoopLine("scribble", self.name, time.time(), text=message, grey=is_grey))
                return True
        return bool(self._object.spy_switch.is_on)  # a viewer's, who has the remark by now

    def this_url(self) -> str:
        """Give the URL of this host's broker, without an account; "" while the daemon is not there."""
        try:
            return f"amqp://{self.client.status(URL_S)['broker']['address']}/"
        except DaemonUnavailableError:
            return ""

    def other_addresses(self) -> list[str]:
        """Give the addresses of the live peers' brokers, sorted; none while the daemon is not there."""
        try:
            return sorted(peer["address"] for peer in self.client.peers(URL_S) if peer["state"] == "alive")
        except DaemonUnavailableError:
            return []

    def _post(self, ch: Any, method: Any, properties: Any, message: tuple[str, Any]) -> None:
        _source, event = message
        self._object.post_fifo(event)

    @property
    def _recorder(self) -> Recorder:
        return self.client.feed.recorder

    def _moved(self, move: TraceRecord) -> None:
        self.snoop.trace.show(move_line(move))

    def _traced(self, text: str, network: Network | None = None) -> None:
        """Take a line of miros' live trace, of a chart that has no witness."""
        line = read_trace(text, self.name, time.time())
        self.snoop.trace.show(line)
        if line.kind == "trace":
            states = line.from_state, line.to_state
            step = Step(self.number, self.name, line.signal, *states, True, line.time, self._recorder.now(), None, None)
            self._recorder.note(step, network)
        else:
            self._recorder.said(self.number, self.name, "scribble", line.text, is_grey=line.grey, network=network)

    def _spied(self, text: str, network: Network | None = None) -> None:
        self.snoop.spy.show(SnoopLine("spy", self.name, time.time(), text=text))
        self._recorder.said(self.number, self.name, "spy", text, network=network)


def _nowhere(_line: str) -> None:
    pass


_numbers = itertools.cycle(range(1, MAX_CHART_NUMBER + 1))
