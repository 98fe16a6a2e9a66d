"""Worker: events from statechart to statechart.

    python -m bench.charts receive|send|alone bare|spied

`receive` and `send` are NetworkedActiveObjects on two hosts. `alone` is miros without mirosd: one thread posts to one
ActiveObject of the same program, which is as fast as any chart can take events; it holds back before miros' queue
of 500 is full, since miros drops silently what finds no room. `spied` is as miros is by default: instrumented, states
decorated with @spy_on; `bare` is neither.
"""

import sys
from typing import Any

from miros import ActiveObject, Event, return_status, signals, spy_on

from bench.traffic import Tally, send
from bench.worker import obey, obey_as_receiver, obey_as_sender
from mirosd_client import NetworkedActiveObject

RECEIVERS_KEY, SENDERS_KEY = "bench.charts.receiver", "bench.charts.sender"
READY_S = 30.0
MOST_WAITING = 400  # of miros' 500; mirosd_client posts up to the same

TALLY = Tally()


def taking(chart: Any, e: Event) -> Any:
    """The one state: tallies what arrives."""
    if e.signal == signals.Bench_Item:
        TALLY.take(e.payload)
        return return_status.HANDLED
    chart.temp.fun = chart.top
    return return_status.SUPER


spied_taking = spy_on(taking)


def item(event: dict[str, Any]) -> Event:
    """Give the miros Event of a payload."""
    return Event(signal=signals.Bench_Item, payload=event)


def run_networked(role: str, is_spied: bool, state: Any) -> None:
    """Receive or send through mirosd."""
    tx, rx = (SENDERS_KEY, RECEIVERS_KEY) if role == "receive" else (RECEIVERS_KEY, SENDERS_KEY)
    with NetworkedActiveObject(role, tx_routing_key=tx, rx_routing_key=rx, instrumented=is_spied) as chart:
        chart.start_at(state)
        assert chart.wait_subscribed(READY_S)
        if role == "receive":
            obey_as_receiver(TALLY)
        else:
            obey_as_sender(lambda event: chart.transmit(item(event)))


def run_alone(is_spied: bool, state: Any) -> None:
    """Send and receive within this program, by miros alone."""
    chart = ActiveObject("alone")
    chart.instrumented = is_spied
    chart.start_at(state)

    def post(event: dict[str, Any]) -> bool:
        if len(chart.queue) >= MOST_WAITING:
            return False
        chart.post_fifo(item(event))
        return True

    obey(lambda command: TALLY.result(send(post, command["per_s"], command["seconds"])))
    chart.stop()


def main() -> None:
    """Take the role."""
    role, style = sys.argv[1:]
    is_spied = style == "spied"
    state = spied_taking if is_spied else taking
    if role == "alone":
        run_alone(is_spied, state)
    else:
        run_networked(role, is_spied, state)


if __name__ == "__main__":
    main()
