"""A witness that keeps what it is told, and events as the mesh brings them."""

from mirosd_client.cause import Origin, mark
from mirosd_client.event_id import EventId
from tests.client.shell.charts import told

OTHER = b"\x07" * 16


class Seeing:
    """A witness; its clock counts the readings."""

    number = 1

    def __init__(self):
        self.steps = []
        self.readings = 0

    def now(self):
        """A reading above all before."""
        self.readings += 1
        return self.readings

    def stepped(self, step):
        """Keep it."""
        self.steps.append(step)

    @property
    def causes(self):
        """Of each step: the signal, and the numbers of the event and its cause."""
        return [(step.signal, *(at and at.sequence for at in (step.event, step.cause))) for step in self.steps]


def event_id(sequence):
    """An event of another program."""
    return EventId(OTHER, 1, sequence)


def arrived(name, sequence, payload=None, cause=None):
    """An Event as it is made of a record that arrives."""
    event = told(name, payload)
    mark(event, Origin(event_id(sequence), cause and event_id(cause)))
    return event
