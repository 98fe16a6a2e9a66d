"""Two states that follow each other across the network, written as functions.

    outer    INIT / after 2 to 7 s: to_inner; transmit other_to_outer
    |        to_inner, other_to_inner -> inner
    |
    +- inner ENTRY / forget to_inner; after 2 to 7 s: to_outer; transmit other_to_inner
             EXIT / forget to_outer
             to_inner, other_to_inner: nothing (or they would answer each other for ever)
             to_outer, other_to_outer -> outer

Start it on two hosts, or twice on one, beside networked_factory.py if you like: when one
of them changes its state, so do the others. What comes from outside is called other_*.
"""

import random

from running import new_name, options, run

from mirosd_client import Event, NetworkedActiveObject, return_status, signals, spy_on


class Talker(NetworkedActiveObject):
    """A networked chart that counts what it hears, and knows how fast its time goes."""

    def __init__(self, name, speed):
        super().__init__(name, tx_routing_key="heya.man", rx_routing_key="#.man")
        self.speed = speed
        self.transmitted = self.received = self.received_from_other = 0

    def on_network_message(self, ch, method, properties, message):
        """Count an event from the network, then post it as usual."""
        _source, event = message
        self.received += 1
        self.received_from_other += event.payload != self.name
        super().on_network_message(ch, method, properties, message)

    def tell_others(self, signal):
        """Transmit an event that says who sent it."""
        self.transmitted += self.transmit(Event(signal=signal, payload=self.name))

    def soon(self, signal):
        """Post an event to this very chart, once, after a while."""
        self.post_fifo(Event(signal=signal), period=random.uniform(2, 7) / self.speed, times=1)

    def forget(self, signal):
        """Take back what `soon` would post; else each round would add a timer to those that still run."""
        self.cancel_events(Event(signal=signal))


@spy_on
def outer(chart, e):
    """Waiting to go in."""
    if e.signal == signals.INIT_SIGNAL:
        chart.soon(signals.to_inner)
        chart.tell_others(signals.other_to_outer)
        return return_status.HANDLED
    if e.signal in (signals.to_inner, signals.other_to_inner):
        return chart.trans(inner)
    return chart.parent(chart.top)


@spy_on
def inner(chart, e):
    """Waiting to go out."""
    if e.signal == signals.ENTRY_SIGNAL:
        chart.forget(signals.to_inner)
        chart.soon(signals.to_outer)
        chart.tell_others(signals.other_to_inner)
        return return_status.HANDLED
    if e.signal == signals.EXIT_SIGNAL:
        chart.forget(signals.to_outer)
        return return_status.HANDLED
    if e.signal in (signals.to_inner, signals.other_to_inner):
        return return_status.HANDLED
    if e.signal in (signals.to_outer, signals.other_to_outer):
        return chart.trans(outer)
    return chart.parent(outer)


if __name__ == "__main__":
    args = options(__doc__)
    run(Talker(new_name("ao"), speed=10 if args.fast else 1), outer, args.seconds, args.json)
