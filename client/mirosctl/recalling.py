"""What all hosts answer to a recall, awaited as a whole."""

import math
import time
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import click

from mirosd_client.chart_row import ChartRow
from mirosd_client.dial import Dial
from mirosd_client.recollection import Recollection
from mirosd_client.snoop_item import Charts, Item, Lines
from mirosd_client.snoop_line import SnoopLine
from mirosd_client.snoop_view import SnoopView
from mirosd_client.wire import Network

TICK_S = 0.1
"""How long it may go unseen that a recall is over because somebody said nothing for too long."""


def charts_of(view: SnoopView, dial: Dial, for_s: float = math.inf) -> tuple[list[ChartRow], Recollection]:
    """Ask all hosts for the charts that a dial takes; give them sorted, and who has answered.

    Args:
        for_s: how long to wait at the most.

    Raises:
        what SnoopView raises.
    """
    rows: dict[tuple[str, int], ChartRow] = {}
    recollection = view.recall("charts", Network.SNOOP_TRACE, dial)
    for item in _answers(view, recollection, for_s):
        if isinstance(item, Charts):
            rows |= {(row.client, row.number): row for row in item.rows}
    return sorted(rows.values(), key=chart_order), recollection


def chart_order(row: ChartRow) -> tuple[str, str, str, str, int]:
    """Give what charts are sorted by."""
    return row.host, row.chart, row.program, row.client, row.number


def history_of(view: SnoopView, dial: Dial, since_s: float) -> tuple[list[SnoopLine], Recollection]:
    """Ask all hosts for the traces of the last `since_s` seconds that a dial takes, and who has answered.

    Raises:
        what SnoopView raises.
    """
    lines: list[SnoopLine] = []
    recollection = view.recall("history", Network.SNOOP_TRACE, dial, since_s)
    for item in _answers(view, recollection):
        if isinstance(item, Lines):
            lines += item.lines
    return lines, recollection


def _answers(view: SnoopView, recollection: Recollection, for_s: float = math.inf) -> Iterator[Item]:
    until_s = time.monotonic() + for_s
    while not recollection.is_over(now_s := time.monotonic()) and now_s < until_s:
        item = view.receive(TICK_S)
        if item is not None:
            yield item
    view.forget(recollection)


def silent(recollection: Recollection) -> list[dict[str, Any]]:
    """Give the hosts that refused, or did not answer, or only for some of their programs, sorted."""
    ended = Counter(end.host for end in recollection.ends.values())
    rows = []
    for host in sorted(recollection.hosts, key=lambda host: (host.host, host.node)):
        answered = min(host.sources, ended[host.host])
        ended[host.host] -= answered  # another host may have the same name
        if host.refused or answered < host.sources:
            reason = host.refused or "programs"
            rows.append({"host": host.host, "node": host.node, "reason": reason, "programs": host.sources - answered})
    return rows


def nobody_meant(hosts: Collection[str]) -> str:
    """Give what to say when no host matches one of these globs; "" where there are none."""
    return f"no host is meant by {', '.join(hosts)} (mirosctl peers lists them)" if hosts else ""


def tell_missing(recollection: Recollection) -> None:
    """Say on stderr who gave nothing, or not all of it."""
    for text in recollection.missing():
        click.echo(f"warning: {text}", err=True)
