"""What charts of all hosts do, followed by a program: their lines as they come, until it is closed."""

from collections.abc import Iterator

from mirosd_client.dial import Dial, matches
from mirosd_client.snoop_item import Lines, WatchOver
from mirosd_client.snoop_line import SnoopLine, belongs
from mirosd_client.snoop_view import SnoopView
from mirosd_client.socket_path import StrPath
from mirosd_client.watch import UNENDING_S, Watch
from mirosd_client.wire import Network


class LineWatch(Watch[SnoopLine]):
    """An iterator over lines, on a connection of its own; see Watch.

    Lines come as they arrive; those of one chart are in order, and sorted by `hlc` all are in the order of cause. Who
    reads more slowly than charts move misses lines: a gap in the numbers `line` of one `client` says how many.

    Args:
        dial: what is turned on, on all hosts, for as long as this goes on. Hosts are taken by their names alone.
        for_s: 0 < s <= 86400; None: until it is closed.

    Raises:
        DaemonUnavailableError: the daemon is not there.
        NotPermittedError: the caller may not operate; says what would permit it.
        DaemonRefusedError: too many watches are on from this host, or it does not have the network's key.
    """

    def __init__(
        self,
        network: Network,
        dial: Dial,
        *,
        for_s: float | None = None,
        socket: StrPath | None = None,
        program: str = "",
    ) -> None:
        view = SnoopView(socket, program=program)
        try:
            view.watch(network, dial, for_s)
        except BaseException:
            view.close()
            raise
        super().__init__(view, _lines(view, network, dial))


def _lines(view: SnoopView, network: Network, dial: Dial) -> Iterator[SnoopLine]:
    while True:
        item = view.receive(UNENDING_S)
        if isinstance(item, WatchOver):
            return
        if isinstance(item, Lines):
            for line in item.lines:
                is_meant = matches(line.host, dial.hosts) and belongs(line.kind, network, is_traced=False)
                if is_meant and (line.kind == "notice" or dial.takes(line)):
                    yield line
