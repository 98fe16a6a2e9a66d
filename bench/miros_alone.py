"""Worker: events within one program by miros alone, without mirosd; and the state that networked charts have too.

    python -m bench.miros_alone bare|spied

One thread posts to one ActiveObject of the same program, which is as fast as any chart of miros can take events; it
holds back before miros' queue of 500 is full, since miros drops silently what finds no room. `spied` is as miros is by
default: instrumented, states decorated with @spy_on; `bare` is neither. Nothing of mirosd_client is imported here: it
makes miros' own look-ups quicker (shell/signal_table.py).
"""

import sys
from typing import Any

from miros import ActiveObject, Event, return_status, signals, spy_on

from bench.traffic import Tally, send
from bench.worker import obey

MOST_WAITING = 400  # of miros' 500; mirosd_client posts up to the same

TALLY = Tally()


def taking(chart: Any, e: Event) -> Any:
    """The one state: tallies what arrives."""
    if e.signal == signals.Bench_Item:
        TALLY.take(e.payload)
        return return_status.HANDLED
    chart.temp.fun = chart.top
    return return_status.SUPER


STATES = {"bare": taking, "spied": spy_on(taking)}


def item(event: dict[str, Any]) -> Event:
    """Give the miros Event of a payload."""
    return Event(signal=signals.Bench_Item, payload=event)


def main() -> None:
    """Send and receive."""
    [style] = sys.argv[1:]
    chart = ActiveObject("alone")
    chart.instrumented = style == "spied"
    chart.start_at(STATES[style])

    def post(event: dict[str, Any]) -> bool:
        if len(chart.queue) >= MOST_WAITING:
            return False
        chart.post_fifo(item(event))
        return True

    obey(lambda command: TALLY.result(send(post, command["per_s"], command["seconds"])))
    chart.stop()


if __name__ == "__main__":
    main()
