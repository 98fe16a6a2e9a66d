"""The ancestor's first example program: a chart of flat functions. Only its import line is of today."""

import random
import time
import uuid

from miros import Event, return_status, signals, spy_on

from mirosd_client import NetworkedActiveObject


def make_name(suffix):
    return f"{str(uuid.uuid4())[:5]}_{suffix}"


@spy_on
def outer(chart, e):
    status = return_status.UNHANDLED
    if e.signal == signals.INIT_SIGNAL:
        chart.post_fifo(Event(signal=signals.to_inner), times=1, period=random.randint(2, 7), deferred=True)
        chart.transmit(Event(signal=signals.other_to_outer, payload=chart.name))
        status = return_status.HANDLED
    elif e.signal == signals.to_inner or e.signal == signals.other_to_inner:
        status = chart.trans(inner)
    else:
        chart.temp.fun = chart.top
        status = return_status.SUPER
    return status


@spy_on
def inner(chart, e):
    status = return_status.UNHANDLED
    if e.signal == signals.ENTRY_SIGNAL:
        chart.post_fifo(Event(signal=signals.to_outer), times=1, period=random.randint(2, 7), deferred=True)
        chart.transmit(Event(signal=signals.other_to_inner, payload=chart.name))
        chart.snoop_scribble(chart.this_url())
        status = return_status.HANDLED
    elif e.signal == signals.EXIT_SIGNAL:
        chart.cancel_events(Event(signal=signals.to_outer))
        status = return_status.HANDLED
    elif e.signal == signals.to_inner or e.signal == signals.other_to_inner:
        status = return_status.HANDLED
    elif e.signal == signals.to_outer or e.signal == signals.other_to_outer:
        status = chart.trans(outer)
    else:
        chart.temp.fun = outer
        status = return_status.SUPER
    return status


if __name__ == "__main__":
    random.seed()
    ao = NetworkedActiveObject(
        make_name("ao"),
        rabbit_user="ancestral-user",
        rabbit_password="ancestral-password",
        tx_routing_key="heya.man",
        rx_routing_key="#.man",
        mesh_encryption_key=b"u3bc-qAi9iiCv3fkBfRUAKrM1gH8w51-nVU8M8A73Jg=",
    )
    ao.enable_snoop_trace()
    ao.start_at(outer)
    time.sleep(200)
