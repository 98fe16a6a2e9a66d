"""How lines get from all hosts to whoever looks: asked for, put in order, drawn, and what is missing told.

Lines go to stdout, whatever else there is to say to stderr. A terminal that stands still
stands still for the broker too: nothing is read before what was read is drawn (snoop_view.py).
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence

import click

from mirosctl import sequence
from mirosctl.causal_order import HOLD_S, CausalOrder, Once, in_order
from mirosctl.gaps import Gaps
from mirosctl.line_text import HostHues, line_fields, viewer_text
from mirosctl.mermaid import Mermaid
from mirosctl.options import Options
from mirosctl.output import json_line
from mirosctl.recalling import nobody_meant
from mirosctl.recording import read_recording
from mirosctl.snoop_options import Wanted
from mirosctl.streams import has_reader, watching
from mirosd_client.dial import matches
from mirosd_client.printable import printable
from mirosd_client.recollection import Recollection
from mirosd_client.snoop_item import HostWatched, Lines, WatchOver
from mirosd_client.snoop_line import SnoopLine, belongs
from mirosd_client.snoop_view import SnoopView
from mirosd_client.wire import Network

IDLE_S = 1.0
"""How often it is looked whether there is something to tell, while nothing comes."""
NAMED_S = 3.0
"""A peer says its name in each heartbeat, every second; two may be lost."""
PIPE_ROWS = 50
"""A diagram in a file has its names repeated as on a large screen."""

Draw = Callable[[Sequence[SnoopLine]], list[str]]


def snoop(options: Options, network: Network, wanted: Wanted) -> None:
    """Show what is wanted, until it is over or Ctrl-C."""
    wanted.check(as_json=options.as_json)
    shown = Shown(network, wanted, as_json=options.as_json)
    with watching():
        try:
            if wanted.path is not None:
                recording = read_recording(wanted.path)
                shown.warn(recording.warning)
                shown.draw(in_order(line for line in recording.lines if shown.takes(line)))
            else:
                _watch(options.socket, network, wanted, shown)
        except KeyboardInterrupt:
            if sys.stderr.isatty():  # which shows ^C, and the shell goes on behind it
                click.echo(err=True)
            raise


class Shown:
    """What is printed: lines that are wanted, and warnings."""

    def __init__(self, network: Network, wanted: Wanted, *, as_json: bool) -> None:
        self._network = network
        self._dial = wanted.dial
        self._hosts: set[str] = set()
        self._warned = Once()
        self._sequence: sequence.Sequence | None = None
        self._draw = self._drawing(wanted, as_json=as_json)

    def draw(self, lines: Sequence[SnoopLine]) -> None:
        """Print lines, in causal order."""
        if rows := self._draw(lines):
            click.echo("\n".join(rows))
        if self._sequence is not None and self._sequence.left_out:
            self.warn(
                f"not all charts fit into {shutil.get_terminal_size().columns} columns: name those that you want "
                f"(mirosctl trace CHART... --sequence), or widen the terminal; left out from "
                f"{next(iter(self._sequence.left_out))} on"
            )

    def warn(self, text: str) -> None:
        """Say something beside the lines, once; "" says nothing."""
        if text and self._warned.is_first(text):
            click.echo(f"warning: {printable(text)}", err=True)

    def warn_all(self, texts: Iterable[str]) -> None:
        """Say all of it, each time."""
        for text in texts:
            click.echo(f"warning: {printable(text)}", err=True)

    def takes(self, line: SnoopLine, *, is_asked: bool = False) -> bool:
        """Tell whether a line is wanted; a notice is none, it is told at once.

        Args:
            is_asked: its host was asked for it, and so is wanted.
        """
        is_here = is_asked or not self._dial.hosts or line.host in self._hosts or matches(line.host, self._dial.hosts)
        if not is_here or not belongs(line.kind, self._network, is_traced=False):
            return False
        if line.kind == "notice":
            if matches(line.chart, self._dial.charts):
                self.warn(f"{line.host} [{line.chart}] {line.text}")
            return False
        return self._dial.takes(line)

    def meet(self, host: HostWatched) -> bool:
        """Take note of a host, and say so if it does not do what is wanted; False when it is not meant at all."""
        if not self._dial.takes_host(host.host, host.node):
            return False
        self._hosts.add(host.host)
        if not host.accepts:
            self.warn(
                f"{host.host or host.node} lets nobody turn this on (snoop.remote: {host.remote}); "
                "what its programs show by themselves is seen"
            )
        return True

    def _drawing(self, wanted: Wanted, *, as_json: bool) -> Draw:
        is_terminal = sys.stdout.isatty()
        if wanted.sequence:
            size = shutil.get_terminal_size()
            self._sequence = sequence.Sequence(*((size.columns, size.lines - 1) if is_terminal else (None, PIPE_ROWS)))
            return self._sequence.draw
        if wanted.mermaid:
            return Mermaid().draw
        if as_json:
            schema = self._network.name.removeprefix("SNOOP_").lower()
            return lambda lines: [json_line(schema, line_fields(line)) for line in lines]
        is_coloured = is_terminal and not wanted.no_color and not os.environ.get("NO_COLOR")
        hues = HostHues()
        return lambda lines: [
            viewer_text(line, self._network, hues.hue(line.host) if is_coloured else "", has_events=wanted.events)
            for line in lines
        ]


def _watch(socket: str | None, network: Network, wanted: Wanted, shown: Shown) -> None:
    gaps, since_s = Gaps(), wanted.since_s or 0.0
    with SnoopView(socket) as view:
        if wanted.for_s != 0:
            view.watch(network, wanted.dial, wanted.for_s)
        recall = view.recall("history", network, wanted.dial, since_s) if since_s else None
        order = CausalOrder(is_gathering=recall is not None)
        begun_s, is_anybody_meant, ends_s = time.monotonic(), False, None if wanted.for_s != 0 else 0.0
        try:
            while recall is not None or ends_s is None or time.monotonic() < ends_s:
                item = view.receive(order.wait_s(time.monotonic(), IDLE_S))
                now_s = time.monotonic()
                if isinstance(item, Lines):
                    for line in item.lines:
                        gaps.take(line, network)
                    order.put((line for line in item.lines if shown.takes(line, is_asked=bool(item.recall))), now_s)
                elif isinstance(item, HostWatched):
                    is_anybody_meant = shown.meet(item) or is_anybody_meant
                elif isinstance(item, WatchOver):
                    ends_s = now_s + HOLD_S
                if recall is not None and recall.is_over(now_s):
                    _tell_missing(recall, order, since_s, shown)
                    is_anybody_meant = is_anybody_meant or bool(recall.hosts)
                    view.forget(recall)
                    recall = None
                    order.settle()
                if not is_anybody_meant and ends_s is None and now_s - begun_s > NAMED_S:
                    shown.warn(nobody_meant(wanted.hosts))
                shown.draw(order.due(now_s))
                shown.warn_all(gaps.tell(now_s))
                if item is None and not has_reader():
                    return
            if not is_anybody_meant:
                shown.warn(nobody_meant(wanted.hosts))
        finally:
            shown.draw(order.rest())
            shown.warn_all(gaps.tell(time.monotonic(), is_last=True))
            if view.unreadable:
                shown.warn(f"{view.unreadable} records could not be read: is a host of another version there?")


def _tell_missing(recall: Recollection, order: CausalOrder, since_s: float, shown: Shown) -> None:
    """Say what of the history there is not."""
    shown.warn_all(recall.missing())
    forgetful = sum(end.older for end in recall.ends.values())
    if forgetful:
        shown.warn(f"{forgetful} of {len(recall.ends)} programs no longer have all lines of the last {since_s:g} s")
    if order.dropped:
        shown.warn(f"{order.dropped} older lines are left out: ask for less by --since, --host or a chart's name")
