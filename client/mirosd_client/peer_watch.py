"""The peers table followed as it changes: first who is there, then each change, until it is closed."""

from typing import Any

from mirosd_client.control import ControlConnection
from mirosd_client.socket_path import StrPath
from mirosd_client.watch import UNENDING_S, Watch


class PeerWatch(Watch[dict[str, Any]]):
    """An iterator over what happens to the peers, on a connection of its own; see Watch.

    Gives {"change": "appeared", "peer": {...}} for each peer that there is, then {"change": "complete"}, then
    {"change": "appeared" | "changed" | "gone", "peer": {...}} as it happens, with the fields of `mirosctl peers
    --json`.

    Raises:
        DaemonUnavailableError: the daemon is not there.
        NotPermittedError: the caller may not read; says what would permit it.
    """

    def __init__(self, socket: StrPath | None = None, *, program: str = "") -> None:
        connection = ControlConnection(socket, program=program)
        super().__init__(connection, connection.stream("peers_watch", timeout_s=UNENDING_S))
