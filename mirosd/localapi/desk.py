"""What every session of the local API needs, gathered once by whoever composes the daemon."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

from mirosd.core.interfaces import ClientSink, Credentials
from mirosd.core.shown import Board
from mirosd.localapi.census import Census
from mirosd.localapi.rights import Policy
from mirosd.localapi.verb import DaemonView
from mirosd.names import NETWORKS


@dataclass(frozen=True, slots=True)
class Identity:
    """What a Welcome says of this daemon. `networks`: the names of those whose keys this host has."""

    node: str
    name: str
    system: str
    version: str
    networks: tuple[str, ...] = tuple(NETWORKS)


@dataclass(slots=True, kw_only=True)
class Desk:
    """What all sessions share. `credentials_of` asks the kernel who is at the other end; `policy` alone changes."""

    sink: ClientSink
    view: DaemonView
    board: Board
    identity: Identity
    policy: Policy
    census: Census
    credentials_of: Callable[[socket.socket], Credentials]
    hello_timeout_s: float = 2.0
