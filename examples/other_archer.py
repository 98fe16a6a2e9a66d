"""What one archer thinks that another is doing: a statechart without a thread, fed by the archer's own handlers.

    empathy          Other_Advance_War_Cry, Other_Skirmish_War_Cry, Other_Retreat_War_Cry -> not_waiting
    |                Other_Retreat_Ready_War_Cry, Other_Ready_War_Cry -> waiting
    |
    +- not_waiting   INIT of empathy
    |  |             Advance_War_Cry, Retreat_War_Cry -> dead (we ride on, and it never said that it was ready)
    |  |
    |  +- waiting    Advance_War_Cry, Retreat_War_Cry -> not_waiting
    |
    +- dead          until it is heard again

Signals called Other_* are what was heard of it, those without what we do ourselves.
"""

from miros import HsmWithQueues

from mirosd_client import return_status, signals


class OtherArcher(HsmWithQueues):
    """Another archer, as far as it was heard. All of it runs in the thread of the archer that keeps it."""

    def __init__(self):
        super().__init__(instrumented=False)
        self.start_at(empathy)

    @property
    def is_waiting(self):
        """It said that it is ready, and we have not ridden on since."""
        return self.state.fun is waiting

    @property
    def is_dead(self):
        """It was not ready when we rode on, and was not heard since."""
        return self.state.fun is dead


def empathy(other, e):
    """Whatever it does, it is heard."""
    if e.signal == signals.INIT_SIGNAL:
        return other.trans(not_waiting)
    if e.signal in (signals.Other_Advance_War_Cry, signals.Other_Skirmish_War_Cry, signals.Other_Retreat_War_Cry):
        return other.trans(not_waiting)
    if e.signal in (signals.Other_Retreat_Ready_War_Cry, signals.Other_Ready_War_Cry):
        return other.trans(waiting)
    return parent(other, other.top)


def not_waiting(other, e):
    """It is busy, for all that we know."""
    if e.signal in (signals.Advance_War_Cry, signals.Retreat_War_Cry):
        return other.trans(dead)
    return parent(other, empathy)


def waiting(other, e):
    """It waits for us."""
    if e.signal in (signals.Advance_War_Cry, signals.Retreat_War_Cry):
        return other.trans(not_waiting)
    return parent(other, not_waiting)


def dead(other, e):
    """Nobody waits for it."""
    return parent(other, empathy)


def parent(other, state):
    """What a state of plain miros returns for what it leaves to the state around it."""
    other.temp.fun = state
    return return_status.SUPER
