"""One chart's part in the mesh: what it transmits, and what reaches it.

A chart that is slow delays only itself: events are posted while its queue has room, and
the rest waits, in the client, then in the local broker.
"""

import logging
from collections.abc import Callable
from typing import Any

from miros.event import signals

from mirosd_client import codec
from mirosd_client.cause import HANDLING, Origin, mark
from mirosd_client.client import Client
from mirosd_client.errors import RemoteProtocolError
from mirosd_client.event_id import NOTHING_SAID, Addressee, EventId, decode_extension
from mirosd_client.fault import as_fault
from mirosd_client.on_full import OnFull, checked_policy
from mirosd_client.receipt import Receipt
from mirosd_client.received import source_text
from mirosd_client.record import Record
from mirosd_client.routing_key import checked_key
from mirosd_client.shell.reactor import default_reactor
from mirosd_client.shell.signal_table import INTERNAL_SIGNALS, event_of
from mirosd_client.shell.step import checked
from mirosd_client.signal_name import is_sane
from mirosd_client.subscription import Subscription

FULL_AT = 400
"""Events waiting in a chart before its client posts no more: miros keeps 500, and the chart's own need room."""
RESUME_AT = 200
"""Events left when it posts again: not one by one, which would cost a wake-up each."""
LOOK_S = 0.05
"""Until a full chart of plain miros, which tells nobody of its steps, is looked at again: some 200 of its steps."""
MAX_NEW_NAMES = 256
"""Signals that arriving events may add to a process: each stays for its life and slows the making of every Event."""

log = logging.getLogger("mirosd_client.mesh")

Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]
OnMesh = Callable[[Any, Any, Any, tuple[str, Any]], object]
"""Called with (None, None, Record, (source, Event))."""


class Mesh:
    """A chart on the mesh.

    Args:
        miros_object: the chart; its `queue`, if it has one, says whether there is room.
        number: of the chart in this process.
        on_message_callback: called with each event that arrives, in the client's thread.

    The other arguments, and which of them stay readable, are those of MirosNets.
    """

    def __init__(
        self,
        client: Client,
        miros_object: Any,
        number: int,
        on_message_callback: OnMesh,
        *,
        tx_routing_key: str,
        rx_routing_key: str,
        serializer: Serializer | None = None,
        deserializer: Deserializer | None = None,
        on_full: OnFull = "refuse",
    ) -> None:
        self.tx_routing_key = checked_key(tx_routing_key, "tx_routing_key")
        self.rx_routing_key = checked_key(rx_routing_key, "rx_routing_key")
        self.on_message_callback = on_message_callback
        self.serializer = serializer or codec.encode
        self.deserializer = deserializer or codec.decode
        self.subscription: Subscription | None = None
        self._client = client
        self._chart = miros_object
        self._number = number
        self._on_full = checked_policy(on_full)
        self._is_watched = False
        self._content_type = codec.CONTENT_TYPE if serializer is None else _function_name(serializer)
        self._deserializers: dict[str, Deserializer] = {codec.CONTENT_TYPE: codec.decode}
        if deserializer is not None:
            self._deserializers[_function_name(deserializer)] = deserializer
            if serializer is not None:  # who uses the same pair writes that name
                self._deserializers[self._content_type] = deserializer

    @property
    def started(self) -> bool:
        """True while it receives."""
        return self.subscription is not None

    def start(self) -> None:
        """Begin to receive, if it does not yet."""
        if self.subscription is None:
            steps = getattr(self._chart, "after_step", None)  # of the shell's charts
            if steps is not None and self._resume_when_there_is_room not in steps:
                steps.append(self._resume_when_there_is_room)
            self.subscription = self._client.open_subscription(
                self.rx_routing_key, self._take, self._has_room, chart=(str(self._chart.name), self._number)
            )

    def stop(self) -> None:
        """Receive no more; what waits is dropped."""
        subscription, self.subscription = self.subscription, None
        if subscription is not None:
            subscription.close()

    def transmit(self, event: Any, *, receipt: bool = False) -> bool | Receipt | None:
        """Send an event; as MirosNets.transmit."""
        checked(event)
        return self._client.send(
            event.signal_name,
            self.serializer(event.payload),
            self._content_type,
            routing_key=self.tx_routing_key,
            chart_number=self._number,
            on_full=self._on_full,
            receipt=receipt,
        )

    def _take(self, record: Record) -> None:
        extension = record.extension
        cause, addressee = decode_extension(extension) if extension else NOTHING_SAID
        if addressee is not None and addressee != Addressee(self._client.id, self._number):
            self._client.count("not_addressed")
            return
        refusal = _why_refused(record.signal)
        deserializer = self._deserializers.get(record.content_type)
        if refusal or deserializer is None:
            self._client.count(refusal or "no_deserializer")
            return
        try:
            payload = deserializer(record.payload)
        except RemoteProtocolError:
            self._client.count("undecodable")
            return
        except (Exception, SystemExit) as error:  # the program's own deserializer may raise anything
            self._client.count("undecodable")
            name, signal = self._chart.name, record.signal
            log.exception("%s: the deserializer failed on a payload of %a", name, signal, exc_info=as_fault(error))
            return
        try:
            event = event_of(record.signal, payload)
            event_id = EventId(record.client, record.chart, record.sequence)
            mark(event, Origin(event_id, cause))
            HANDLING.event = event_id
            self.on_message_callback(None, None, record, (source_text(record), event))
        except (Exception, SystemExit) as error:  # the program's own callback may raise anything
            self._client.count("callback_failed")
            log.exception("%s: the callback for %a failed", self._chart.name, record.signal, exc_info=as_fault(error))
        finally:
            HANDLING.event = None  # nothing is taken while another event is

    def _has_room(self) -> bool:
        if len(getattr(self._chart, "queue", ())) < FULL_AT:
            return True
        if not self._is_watched and not hasattr(self._chart, "after_step"):
            self._is_watched = True
            default_reactor().after(LOOK_S, self._look_again)
        return False

    def _look_again(self) -> None:
        self._is_watched = False
        if self.subscription is not None:
            self.subscription.resume()

    def _resume_when_there_is_room(self) -> None:
        subscription = self.subscription
        if subscription is not None and subscription.intake.is_waiting and len(self._chart.queue) <= RESUME_AT:
            subscription.resume()


def _why_refused(name: str) -> str:
    """Give why no Event may be made of a signal's name that arrived; "" when it may."""
    if name in INTERNAL_SIGNALS:
        return "internal_signal"
    if name in signals:
        return ""
    if not is_sane(name):
        return "bad_signal_name"
    if len(_new_names) >= MAX_NEW_NAMES:
        return "too_many_signal_names"
    _new_names.add(name)
    return ""


def _function_name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


_new_names: set[str] = set()
