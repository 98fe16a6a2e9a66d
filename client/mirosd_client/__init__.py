"""Statecharts of many hosts that talk as if they lived in one program: the client of mirosd.

    from mirosd_client import NetworkedFactory, Event, signals

Public names are loaded when they are first used, so that a tool which needs only the
protocol (`mirosd_client.wire`, `mirosd_client.control`) does not load miros.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miros.event import Event as Event
    from miros.event import return_status as return_status
    from miros.event import signals as signals
    from miros.hsm import spy_on as spy_on

    from mirosd_client.client import Client as Client
    from mirosd_client.codec import register as register
    from mirosd_client.control import ControlConnection as ControlConnection
    from mirosd_client.event_id import Addressee as Addressee
    from mirosd_client.line_watch import LineWatch as LineWatch
    from mirosd_client.nets import MirosNets as MirosNets
    from mirosd_client.networked import NetworkedActiveObject as NetworkedActiveObject
    from mirosd_client.networked import NetworkedFactory as NetworkedFactory
    from mirosd_client.peer_watch import PeerWatch as PeerWatch
    from mirosd_client.receipt import Receipt as Receipt
    from mirosd_client.received import Received as Received
    from mirosd_client.snoop_line import SnoopLine as SnoopLine
    from mirosd_client.subscription import Subscription as Subscription

_HOME = {
    "Addressee": "mirosd_client.event_id",
    "Client": "mirosd_client.client",
    "ControlConnection": "mirosd_client.control",
    "Event": "mirosd_client.shell",
    "LineWatch": "mirosd_client.line_watch",
    "MirosNets": "mirosd_client.nets",
    "NetworkedActiveObject": "mirosd_client.networked",
    "NetworkedFactory": "mirosd_client.networked",
    "PeerWatch": "mirosd_client.peer_watch",
    "Receipt": "mirosd_client.receipt",
    "Received": "mirosd_client.received",
    "SnoopLine": "mirosd_client.snoop_line",
    "Subscription": "mirosd_client.subscription",
    "register": "mirosd_client.codec",
    "return_status": "mirosd_client.shell",
    "signals": "mirosd_client.shell",
    "spy_on": "mirosd_client.shell",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 -- the table is the list


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
