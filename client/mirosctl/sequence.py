"""A sequence diagram in a terminal: a column for each chart, time downwards, growing live.

               h1/archer-1       h2/archer-2
       +0.000       *[waiting]        |
       +0.012       |---Advance_War_Cry-->|
       +0.012       |             [advancing]

The same lines give the same drawing.
"""

import math
from collections.abc import Sequence as Ordered

from mirosctl.cells import char_cells, cut, cut_middle, text_cells
from mirosctl.conversation import Arrow, Conversation, Move, Step, lifelines_of
from mirosd_client.snoop_line import SnoopLine

GUTTER = 11
"""Cells for the time at the left: a day in ms, and a blank."""
LEAST_COLUMN = 10
"""Cells: an arrow between neighbours then shows six letters of its signal's name."""
WIDEST_COLUMN = 26
"""Cells: most names of signals are whole."""


class Sequence:
    """A diagram that is being drawn. For one thread.

    Args:
        width: cells of a line; None: as wide as it gets.
        height: lines after which the names are repeated.

    Attributes:
        left_out: lifelines that there is no room for, in the order of their appearance.
    """

    def __init__(self, width: int | None, height: int) -> None:
        self.left_out: dict[str, None] = {}
        self._width = width
        self._height = height
        self._conversation = Conversation()
        self._at: dict[str, int] = {}  # columns by lifeline
        self._column = WIDEST_COLUMN
        self._rows = height  # since the names stood there

    def draw(self, lines: Ordered[SnoopLine]) -> list[str]:
        """Give the rows that these lines add; all of a recording at once has each name where it belongs.

        Args:
            lines: in causal order, each once.
        """
        steps = self._conversation.steps(lines)
        drawn = self._make_room(steps)
        for step in steps:
            if (row := self._row(step)) is not None:
                if self._rows >= self._height:
                    drawn += self._names()
                drawn.append(row)
                self._rows += 1
        return drawn

    def _make_room(self, steps: Ordered[Step]) -> list[str]:
        """Give each new lifeline a column, as long as there are any; then the names stand above what follows."""
        most = math.inf if self._width is None else max(1, (self._width - GUTTER) // LEAST_COLUMN)
        before = len(self._at)
        for step in steps:
            for lifeline in lifelines_of(step):
                if lifeline not in self._at and lifeline not in self.left_out:
                    if len(self._at) < most:
                        self._at[lifeline] = len(self._at)
                    else:
                        self.left_out[lifeline] = None
        if len(self._at) == before:
            return []
        if self._width is not None:
            self._column = max(LEAST_COLUMN, min(WIDEST_COLUMN, (self._width - GUTTER) // len(self._at)))
        return ["", *self._names()] if before else self._names()

    def _names(self) -> list[str]:
        self._rows = 0
        row = _Row(GUTTER + self._column * len(self._at))
        for lifeline, at in self._at.items():
            row.put_around(self._middle(at), cut_middle(lifeline, self._column - 1))
        return [str(row)]

    def _row(self, step: Step) -> str | None:
        """Give a step's row; None for one of a lifeline that is left out."""
        row = _Row(GUTTER + self._column * len(self._at))
        row.put(0, f"{step.time_s:+{GUTTER - 1}.3f}"[: GUTTER - 1])
        for column in self._at.values():
            row.put(self._middle(column), "|")
        room = self._column + self._column // 2 - 1  # up to the next lifeline, where this one is the first or last
        if isinstance(step, Arrow):
            receiver, sender = self._at.get(step.receiver), self._at.get(step.sender)
            if receiver is None:
                return None
            if sender is None or sender == receiver:
                row.put_around(self._middle(receiver), cut(f"->{step.signal}", room))
            else:
                row.put_arrow(self._middle(sender), self._middle(receiver), step.signal)
            return str(row)
        at = self._at.get(step.lifeline)
        if at is None:
            return None
        if isinstance(step, Move):
            mark = "*[" if step.is_start else "["
            row.put_around(self._middle(at), f"{mark}{cut(step.state, room - len(mark) - 1)}]")
        else:
            row.put_around(self._middle(at), cut(f"# {step.text}", room))
        return str(row)

    def _middle(self, at: int) -> int:
        return GUTTER + self._column * at + self._column // 2


class _Row:
    """Cells of one row, painted over."""

    def __init__(self, cells: int) -> None:
        self._cells = [" "] * cells

    def put(self, at: int, text: str) -> None:
        for char in text:
            cells = char_cells(char)
            if not cells:  # stands on the one before
                self._cells[at - 1] += char
                continue
            self._cells[at : at + cells] = [char, *[""] * (cells - 1)]
            at += cells

    def put_around(self, middle: int, text: str) -> None:
        """Put a text around a cell, within the columns."""
        cells = text_cells(text)
        self.put(max(GUTTER, min(middle - cells // 2, len(self._cells) - cells)), text)

    def put_arrow(self, begin: int, end: int, text: str) -> None:
        left, right = min(begin, end) + 1, max(begin, end)
        room = right - left
        self.put(left, "-" * room)
        self.put(right - 1 if begin < end else left, ">" if begin < end else "<")
        text = cut(text, room - 3)
        self.put(left + (room - text_cells(text)) // 2, text)

    def __str__(self) -> str:
        return "".join(self._cells).rstrip()
