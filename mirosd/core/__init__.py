"""Pure logic: no clock, dice, disk, socket or thread of its own; those are arguments."""
