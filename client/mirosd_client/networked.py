"""Statecharts that hear each other across hosts as if they lived in one program.

`transmit` hands an event to the daemon's socket and returns; what other charts transmit
arrives in the chart's own queue, posted by the client's thread (mesh.py). What charts do
can be watched from every host (snoop.py). Both are `.nets`; here is what is added to a chart.
"""

from types import TracebackType
from typing import Any, Literal, Self, overload

from mirosd_client.client import Client
from mirosd_client.errors import LocalProtocolError
from mirosd_client.lan import LocalAreaNetwork
from mirosd_client.mesh import Deserializer, Serializer
from mirosd_client.nets import MirosNets
from mirosd_client.on_full import OnFull
from mirosd_client.open_clients import CLOSE_S
from mirosd_client.receipt import Receipt
from mirosd_client.shell.chart import STOP_TIMEOUT_S, Chart
from mirosd_client.shell.factory import ChartFactory
from mirosd_client.snoop import Seen
from mirosd_client.socket_path import StrPath
from mirosd_client.unused import warn_of_unused


class Networked:
    """What NetworkedActiveObject and NetworkedFactory add to a chart.

    Args:
        name: of the chart.
        rabbit_user, rabbit_password, mesh_encryption_key, snoop_spy_encryption_key,
            snoop_trace_encryption_key: accepted from older programs; the daemon has its own.
        instrumented: miros' spy and trace.

    The other arguments are those of MirosNets.

    Attributes:
        nets: the chart's networks.
        lan: this host's address, and those of the live peers.
        client: the connection to the daemon.
    """

    INSTRUMENTED_BY_DEFAULT = True
    """As in miros; states written as functions are then decorated with `@spy_on`."""

    name: str

    def __init__(  # noqa: PLR0917 -- the ancestor's signature
        self,
        name: str,
        rabbit_user: str | None = None,
        rabbit_password: str | None = None,
        mesh_encryption_key: str | bytes | None = None,
        tx_routing_key: str | None = None,
        rx_routing_key: str | None = None,
        snoop_spy_encryption_key: str | bytes | None = None,
        snoop_trace_encryption_key: str | bytes | None = None,
        *,
        serializer: Serializer | None = None,
        deserializer: Deserializer | None = None,
        socket: StrPath | None = None,
        on_full: OnFull = "refuse",
        client: Client | None = None,
        instrumented: bool | None = None,
    ) -> None:
        super().__init__(name, instrumented=instrumented)  # type: ignore[call-arg]
        warn_of_unused(
            rabbit_user=rabbit_user,
            rabbit_password=rabbit_password,
            mesh_encryption_key=mesh_encryption_key,
            snoop_spy_encryption_key=snoop_spy_encryption_key,
            snoop_trace_encryption_key=snoop_trace_encryption_key,
        )
        self.nets = MirosNets(
            self,
            tx_routing_key=tx_routing_key,
            rx_routing_key=rx_routing_key,
            on_mesh_rx=self.on_network_message,
            on_spy_rx=self.on_network_spy_message,
            on_trace_rx=self.on_network_trace_message,
            serializer=serializer,
            deserializer=deserializer,
            socket=socket,
            on_full=on_full,
            client=client,
        )
        self.client = self.nets.client
        self.lan = LocalAreaNetwork(self.nets.other_addresses)

    def start_at(self, initial_state: Any) -> None:
        """Start the chart and begin to receive; returns at once, whether the daemon is there or not."""
        self.nets.join()
        super().start_at(initial_state)  # type: ignore[misc]
        self.nets.start_threads()

    @overload
    def transmit(self, event: Any, *, receipt: Literal[False] = ...) -> bool: ...

    @overload
    def transmit(self, event: Any, *, receipt: Literal[True]) -> Receipt | None: ...

    def transmit(self, event: Any, *, receipt: bool = False) -> bool | Receipt | None:
        """Send an event to every chart whose rx_routing_key matches, but this one. Any thread; never blocks.

        Returns:
            True when it is accepted: it reaches, once and in order, every chart that is
            subscribed by then. False when too much waits for the daemon, by `on_full`.
            With receipt=True instead what tells how it went, and None.

        Raises:
            UnregisteredTypeError, PayloadTooLarge: the payload cannot cross.
            WindowFullError: only with on_full="raise".
            TooManyReceiptsError: 10,000 receipts wait already.
        """
        return self.nets.mesh.transmit(event, receipt=receipt)

    def on_network_message(self, ch: Any, method: Any, properties: Any, message: tuple[str, Any]) -> None:
        """Take what arrived: post it. A subclass may do otherwise; it must be brief. Thread: the client's.

        Args:
            ch, method: None; they stand here for programs that override this with pika's words.
            properties: the Record: its clock reading, age, sequence number.
            message: where it comes from ("client id:chart number"), and the Event.
        """
        _source, event = message
        self.post_fifo(event)  # type: ignore[attr-defined]

    def enable_snoop_trace(self) -> None:
        """Show what this chart does, and all others that enable it, on every host; before or after the start."""
        self.nets.snoop.trace.on_message_callback = self.on_network_trace_message
        self.nets.enable_snoop_trace()

    def enable_snoop_trace_no_color(self) -> None:
        """The same, without colour."""
        self.nets.snoop.trace.on_message_callback = self.on_network_trace_message_no_color
        self.nets.enable_snoop_trace()

    def disable_snoop_trace(self) -> None:
        """End it."""
        self.nets.disable_snoop_trace()

    def enable_snoop_spy(self) -> None:
        """Show all that miros' spy sees, of this chart and all others that enable it, on every host."""
        self.nets.snoop.spy.on_message_callback = self.on_network_spy_message
        self.nets.enable_snoop_spy()

    def enable_snoop_spy_no_color(self) -> None:
        """The same, without colour."""
        self.nets.snoop.spy.on_message_callback = self.on_network_spy_message_no_color
        self.nets.enable_snoop_spy()

    def disable_snoop_spy(self) -> None:
        """End it."""
        self.nets.disable_snoop_spy()

    def snoop_scribble(self, message: str, enable_color: bool = True) -> None:
        """Remark something where traces are shown, else where the spy is, else in the chart's own spy alone."""
        if not self.nets.scribble(str(message), is_grey=enable_color):
            self.scribble(message)  # type: ignore[attr-defined]

    def on_network_trace_message(self, ch: Any, method: Any, properties: Seen, body: str) -> None:
        """Take a line of the trace: print it. A subclass may do otherwise. Thread: the terminal's.

        Args:
            ch, method: None.
            properties: the line as data, and the Record that brought it (None: the chart's own line).
            body: the line as text, without colour.
        """
        self.nets.snoop.trace.print_coloured(ch, method, properties, body)

    def on_network_trace_message_no_color(self, ch: Any, method: Any, properties: Seen, body: str) -> None:
        """As on_network_trace_message, without colour."""
        self.nets.snoop.trace.print_plain(ch, method, properties, body)

    def on_network_spy_message(self, ch: Any, method: Any, properties: Seen, body: str) -> None:
        """As on_network_trace_message, for a line of the spy."""
        self.nets.snoop.spy.print_coloured(ch, method, properties, body)

    def on_network_spy_message_no_color(self, ch: Any, method: Any, properties: Seen, body: str) -> None:
        """As on_network_spy_message, without colour."""
        self.nets.snoop.spy.print_plain(ch, method, properties, body)

    def wait_subscribed(self, timeout_s: float | None = None) -> bool:
        """Wait until the local broker has confirmed the subscription: what is sent from then on arrives.

        Raises:
            DaemonRefusedError: the daemon will not have it; says why.
            LocalProtocolError: it was not started, or a callback waits, on the thread that would hear of it.
        """
        if self.nets.mesh.subscription is None:
            raise LocalProtocolError("start_at() subscribes: call it first")
        return self.nets.mesh.subscription.wait_bound(timeout_s)

    def peers(self) -> list[dict[str, Any]]:
        """Give the peers table: one dict per peer, with the fields of `mirosctl peers --json`."""
        return self.client.peers()

    def this_url(self) -> str:
        """Give the URL of this host's broker, without an account; "" while the daemon is not there."""
        return self.nets.this_url()

    def other_urls(self) -> list[str]:
        """Give the URLs of the live peers' brokers, without accounts; none while the daemon is not there."""
        return [f"amqp://{address}/" for address in self.nets.other_addresses()]

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the chart and its subscriptions; gives whether its thread has ended."""
        self.nets.stop_threads()
        return bool(super().stop(timeout_s))  # type: ignore[misc]

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Stop, and wait (at most `timeout_s`) until what was transmitted is safe. The shared client stays."""
        self.stop()
        self.client.wait_safe(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class NetworkedActiveObject(Networked, Chart):
    """miros' ActiveObject, on the network: its states are functions or methods."""


class NetworkedFactory(Networked, ChartFactory):
    """miros' Factory, on the network: its states are created and nested."""
