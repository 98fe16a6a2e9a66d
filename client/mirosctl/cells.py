"""Text on a terminal, measured in its cells: some characters take two, some none."""

from unicodedata import category, east_asian_width

ELLIPSIS = "…"


def char_cells(char: str) -> int:
    """Give the cells of one printable character."""
    if category(char) in {"Mn", "Me"}:  # marks that stand on the one before
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def text_cells(text: str) -> int:
    """Give the cells of a printable text."""
    return len(text) if text.isascii() else sum(map(char_cells, text))


def cut(text: str, cells: int) -> str:
    """Give the text in at most so many cells, its end cut off."""
    if text_cells(text) <= cells:
        return text
    return _beginning(text, cells - 1) + ELLIPSIS if cells > 0 else ""


def cut_middle(text: str, cells: int) -> str:
    """Give the text in at most so many cells, cut in its middle: names that differ in their last digit stay apart."""
    if text_cells(text) <= cells:
        return text
    if cells <= 0:
        return ""
    end = _beginning(text[::-1], cells // 2)[::-1]
    return _beginning(text, cells - 1 - text_cells(end)) + ELLIPSIS + end


def _beginning(text: str, cells: int) -> str:
    for at, char in enumerate(text):
        cells -= char_cells(char)
        if cells < 0:
            return text[:at]
    return text
