"""A program as a source of lines: its feed publishes into the window, as far as lines may fill it."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mirosd_client import codec
from mirosd_client.recorder import Recorder
from mirosd_client.roster import Roster
from mirosd_client.shell.reactor import Reactor
from mirosd_client.snoop_feed import SnoopFeed
from mirosd_client.wire import Network

if TYPE_CHECKING:  # it has the feed
    from mirosd_client.session import Session


def client_feed(session: "Session", reactor: Reactor, recorder_lines: int) -> SnoopFeed:
    """Make the feed of a session, with its recorder and roster."""
    window = session.window

    def publish(network: Network, routing_key: str, signal: str, payload: bytes) -> bool:
        if session.is_closed:
            return False
        line = session.line(network, routing_key, 0, codec.CONTENT_TYPE, signal)
        with window.lock:
            is_accepted = window.accept(line, payload, reactor.now())
            window.snoop_refused -= not is_accepted  # the feed counts the lines that are in it
        if is_accepted:
            session.connection.outlet.kick()
        return is_accepted

    program = Path(*sys.argv[:1]).name
    roster = Roster(session.client.hex(), program, os.getpid())
    return SnoopFeed(Recorder(session.clock.now, recorder_lines), roster, publish, reactor)
