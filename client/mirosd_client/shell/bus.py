"""Publish and subscribe between the charts of one process, plain miros ones included.

Events travel through miros' own ActiveFabric, so a plain ActiveObject hears what a chart
of the shell publishes, and the other way round. Three things are added from outside:
an order among events of equal priority (miros' heap knows none), subscriptions that
can be taken back, and a start of the fabric that two threads cannot do twice.
"""

import itertools
import threading
from typing import Any

from miros.activeobject import ActiveFabric, InstrumentionWriter
from miros.event import Event

from mirosd_client.shell.inbox import Inbox

DEFAULT_PRIORITY = 1000
"""miros' own default; 1 is the most urgent."""


class _Rank(int):
    """A priority with its place in line. A plain chart's number of the same value goes first."""

    place: int

    def __new__(cls, priority: int, place: int) -> "_Rank":
        rank = super().__new__(cls, priority)
        rank.place = place
        return rank

    def __lt__(self, other: int) -> bool:
        return (int(self), self.place) < (int(other), getattr(other, "place", 0))

    def __gt__(self, other: int) -> bool:
        return (int(self), self.place) > (int(other), getattr(other, "place", 0))


class Tap:
    """What the fabric knows of a subscribed chart: miros appends to it as to a chart's queue, in its own thread."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.queue_type_of: dict[str, str] = {}  # by name of signal

    def append(self, event: Any) -> None:
        """Passes on what is subscribed at this moment: an event on its way stops when its subscription does."""
        queue_type = self.queue_type_of.get(event.signal_name)
        if queue_type == "lifo":
            self._inbox.appendleft(event)
        elif queue_type == "fifo":
            self._inbox.append(event)


class Bus:
    """The ways of events between charts; any thread may call."""

    def subscribe(self, tap: Tap, name: str, queue_type: str) -> None:
        """From now on the tap gets what is published under the name, at the end ("fifo") or the front ("lifo")."""
        raise NotImplementedError

    def unsubscribe(self, tap: Tap, name: str) -> None:
        """The tap gets it no more."""
        raise NotImplementedError

    def publish(self, event: Any, priority: int) -> None:
        """Hands the event to every tap that subscribed to its name."""
        raise NotImplementedError

    def start(self) -> None:
        """Called before each chart starts."""
        raise NotImplementedError


class FabricBus(Bus):
    """The bus of a running program: miros' fabric and its two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places = itertools.count(1)

    def subscribe(self, tap: Tap, name: str, queue_type: str) -> None:
        """As for every bus."""
        with self._lock:
            tap.queue_type_of[name] = queue_type
            # Always the fabric's fifo side, whose one thread keeps the order; the tap knows which end is wanted.
            ActiveFabric().subscribe(tap, Event(signal=name), "fifo")

    def unsubscribe(self, tap: Tap, name: str) -> None:
        """As for every bus."""
        with self._lock:
            registry = ActiveFabric().fifo_subscriptions
            tap.queue_type_of.pop(name, None)
            # A new list: the fabric's thread may be walking the old one.
            registry[name] = [queue for queue in registry.get(name, ()) if queue is not tap]

    def publish(self, event: Any, priority: int) -> None:
        """As for every bus; before the first chart has started, events wait in the fabric."""
        ActiveFabric().publish(event, _Rank(priority, next(self._places)))

    def start(self) -> None:
        """Starts what miros would start itself, but once: its own check is not safe between threads."""
        with self._lock:
            fabric, writer = ActiveFabric(), InstrumentionWriter()
            if not fabric.is_alive():
                fabric.start()
            if not writer.is_alive():
                writer.start()


FABRIC = FabricBus()
"""The bus of this process; the fabric behind it is a singleton of miros."""
