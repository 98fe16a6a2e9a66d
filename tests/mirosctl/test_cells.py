"""Text measured in a terminal's cells."""

import pytest

from mirosctl.cells import cut, cut_middle, text_cells


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("abc", 3), ("弓手", 4), ("e\u0301", 1), ("é…", 2), ("☀\ufe0f", 1), ("हिन्दु", 4)]
)
def test_a_text_has_cells(text: str, expected: int) -> None:
    """Some characters take two, some none."""
    assert expected == text_cells(text)


@pytest.mark.parametrize(
    ("text", "cells", "end_cut", "middle_cut"),
    [
        ("archer-12", 9, "archer-12", "archer-12"),
        ("archer-12", 8, "archer-…", "arc…r-12"),
        ("archer-12", 1, "…", "…"),
        ("archer-12", 0, "", ""),
        ("弓手弓手", 5, "弓手…", "弓…手"),
        ("弓手弓手", 6, "弓手…", "弓…手"),
    ],
)
def test_a_text_is_cut(text: str, cells: int, end_cut: str, middle_cut: str) -> None:
    """At its end or in its middle; never longer than asked for, whatever its characters' cells."""
    assert (end_cut, middle_cut) == (cut(text, cells), cut_middle(text, cells))
