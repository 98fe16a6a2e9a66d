"""Charts that are built state by state."""

import pytest

from mirosd_client.shell import ChartFactory, return_status, signals
from mirosd_client.shell.testing import check_structure, threadless


class Door(ChartFactory):
    """Open and closed, in a house; handlers are bound methods."""

    def __init__(self):
        super().__init__("door")
        self.house = self.create(state="house").catch(signal=signals.ENTRY_SIGNAL, handler=self.house_ENTRY).to_method()
        self.closed = self.create(state="closed").catch(signal=signals.PUSH, handler=self.closed_PUSH).to_method()
        self.open = self.create(state="open").catch(signal=signals.PUSH, handler=self.open_PUSH).to_method()
        self.nest("house", parent=None).nest(self.closed, parent="house").nest("open", parent=self.house)
        self.entered = 0

    def house_ENTRY(self, e):
        self.entered += 1
        return return_status.HANDLED

    def closed_PUSH(self, e):
        return self.trans(self.open)

    def open_PUSH(self, e):
        return self.trans(self.closed)


@pytest.mark.parametrize("start", ["closed", None])
def test_states_by_name_and_by_method(start):
    """Both ways of naming a state lead to the same moves."""
    door = Door()
    play = threadless(door)
    play.start_at(start or door.closed)
    play.tell("PUSH")
    play.tell("PUSH")

    assert play.moves == [(None, "top", "closed"), ("PUSH", "closed", "open"), ("PUSH", "open", "closed")]
    assert door.entered == 1
    check_structure(door, [door.house, door.closed, door.open])


def test_two_states_of_one_name_are_refused():
    """miros looks states up by name: the second would replace the first."""
    door = Door()
    with pytest.raises(ValueError, match="open"):
        door.create(state="open")


def test_a_state_never_nested_is_named_before_the_start():
    """miros would raise KeyError in the chart's thread, at the first event that needs its parent."""
    door = Door()
    door.create(state="ajar")
    with pytest.raises(ValueError, match="ajar was never nested"):
        door.start_at("closed")
