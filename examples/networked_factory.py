"""The chart of networked_active_object.py, built of callbacks.

outer    INIT / after 2 to 7 s: to_inner; transmit other_to_outer
|        to_inner, other_to_inner -> inner
|
+- inner ENTRY / forget to_inner; after 2 to 7 s: to_outer; transmit other_to_inner
         EXIT / forget to_outer
         to_inner, other_to_inner: nothing
         to_outer, other_to_outer -> outer
"""

import random

from running import new_name, options, run

from mirosd_client import Event, NetworkedFactory, return_status, signals


class Talker(NetworkedFactory):
    """A networked chart whose states are made of its own methods, named state_SIGNAL."""

    def __init__(self, name, speed):
        super().__init__(name, tx_routing_key="heya.man", rx_routing_key="#.man")
        self.speed = speed
        self.transmitted = self.received = self.received_from_other = 0

        self.outer = (
            self.create(state="outer")
            .catch(signal=signals.INIT_SIGNAL, handler=self.outer_INIT)
            .catch(signal=signals.to_inner, handler=self.outer_to_inner)
            .catch(signal=signals.other_to_inner, handler=self.outer_to_inner)
            .to_method()
        )
        self.inner = (
            self.create(state="inner")
            .catch(signal=signals.ENTRY_SIGNAL, handler=self.inner_ENTRY)
            .catch(signal=signals.EXIT_SIGNAL, handler=self.inner_EXIT)
            .catch(signal=signals.to_inner, handler=self.inner_to_inner)
            .catch(signal=signals.other_to_inner, handler=self.inner_to_inner)
            .catch(signal=signals.to_outer, handler=self.inner_to_outer)
            .catch(signal=signals.other_to_outer, handler=self.inner_to_outer)
            .to_method()
        )
        self.nest(self.outer, parent=None)
        self.nest(self.inner, parent=self.outer)

    def outer_INIT(self, e):
        """Go in after a while; tell the others that we are out."""
        self.soon(signals.to_inner)
        self.tell_others(signals.other_to_outer)
        return return_status.HANDLED

    def outer_to_inner(self, e):
        """Go in."""
        return self.trans(self.inner)

    def inner_ENTRY(self, e):
        """In already: forget that timer. Go out after a while; tell the others that we are in."""
        self.forget(signals.to_inner)
        self.soon(signals.to_outer)
        self.tell_others(signals.other_to_inner)
        return return_status.HANDLED

    def inner_EXIT(self, e):
        """Out already: forget the timer."""
        self.forget(signals.to_outer)
        return return_status.HANDLED

    def inner_to_inner(self, e):
        """In already: nothing, or all charts would answer each other for ever."""
        return return_status.HANDLED

    def inner_to_outer(self, e):
        """Go out."""
        return self.trans(self.outer)

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


if __name__ == "__main__":
    args = options(__doc__)
    talker = Talker(new_name("fo"), speed=10 if args.fast else 1)
    run(talker, talker.outer, args.seconds, args.json)
