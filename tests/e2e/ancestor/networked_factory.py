"""The ancestor's second example program: the same chart of callbacks. Only its import line is of today."""

import random
import time
import uuid

from miros import Event, return_status, signals

from mirosd_client import NetworkedFactory


def make_name(suffix):
    return f"{str(uuid.uuid4())[:5]}_{suffix}"


def outer_init(chart, e):
    chart.post_fifo(Event(signal=signals.to_inner), times=1, period=random.randint(2, 7), deferred=True)
    chart.transmit(Event(signal=signals.other_to_outer))
    return return_status.HANDLED


def outer_to_inner(chart, e):
    return chart.trans(inner)


def outer_other_to_inner(chart, e):
    return chart.trans(inner)


def inner_entry(chart, e):
    chart.post_fifo(Event(signal=signals.to_outer), times=1, period=random.randint(2, 7), deferred=True)
    chart.transmit(Event(signal=signals.other_to_inner))
    return return_status.HANDLED


def inner_exit(chart, e):
    chart.cancel_events(Event(signal=signals.to_outer))
    return return_status.HANDLED


def inner_ignore(chart, e):
    return return_status.HANDLED


def inner_to_outer(chart, e):
    return chart.trans(outer)


if __name__ == "__main__":
    random.seed()
    fo = NetworkedFactory(
        make_name("fo"),
        rabbit_user="ancestral-user",
        rabbit_password="ancestral-password",
        tx_routing_key="heya.man",
        rx_routing_key="#.man",
        mesh_encryption_key=b"u3bc-qAi9iiCv3fkBfRUAKrM1gH8w51-nVU8M8A73Jg=",
    )
    outer = (
        fo.create(state="outer")
        .catch(signal=signals.INIT_SIGNAL, handler=outer_init)
        .catch(signal=signals.to_inner, handler=outer_to_inner)
        .catch(signal=signals.other_to_inner, handler=outer_other_to_inner)
        .to_method()
    )
    inner = (
        fo.create(state="inner")
        .catch(signal=signals.ENTRY_SIGNAL, handler=inner_entry)
        .catch(signal=signals.EXIT_SIGNAL, handler=inner_exit)
        .catch(signal=signals.to_inner, handler=inner_ignore)
        .catch(signal=signals.other_to_inner, handler=inner_ignore)
        .catch(signal=signals.to_outer, handler=inner_to_outer)
        .catch(signal=signals.other_to_outer, handler=inner_to_outer)
        .to_method()
    )
    fo.nest(outer, parent=None).nest(inner, parent=outer)
    fo.enable_snoop_trace()
    fo.start_at(outer)
    time.sleep(60)
