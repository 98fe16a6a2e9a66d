"""One manual page, built paragraph by paragraph, in the macros of man(7)."""

import re
from collections.abc import Sequence


class Page:
    """A page that grows; `text` gives all of it.

    All texts are plain: `words in backquotes` become bold, all else stands as it is written.
    """

    def __init__(self, name: str, section: int, summary: str) -> None:
        self._name, self._section = name, section
        self._lines: list[str] = []
        self.heading("NAME")
        self._lines.append(rf"{_escaped(name)} \- {_escaped(summary)}")

    @property
    def file_name(self) -> str:
        """The page's file, as man(1) looks for it."""
        return f"{self._name}.{self._section}"

    def heading(self, title: str) -> None:
        """Begin a section."""
        self._lines.append(f'.SH "{_escaped(title)}"')

    def subheading(self, title: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f'.SS "{_escaped(title)}"')

    def paragraph(self, text: str) -> None:
        """Add a paragraph; its lines are filled anew."""
        self._lines += [".PP", _running(text)]

    def item(self, term: str, texts: Sequence[str]) -> None:
        """Add a term, and the paragraphs that explain it beneath."""
        self._lines += [".TP", rf"\fB{_escaped(term)}\fR"]
        for number, text in enumerate(texts):
            self._lines += [".IP"] * (number > 0) + [_running(text)]

    def literal(self, text: str) -> None:
        """Add lines that stand as they are: commands, a file."""
        self._lines += [".PP", ".RS 4", ".nf", *map(_line, text.splitlines()), ".fi", ".RE"]

    def see_also(self, *pages: tuple[str, int]) -> None:
        """End the page with where to read on."""
        self.heading("SEE ALSO")
        self._lines.append(",\n".join(rf"\fB{_escaped(name)}\fR({section})" for name, section in pages))

    def text(self, date: str, source: str) -> str:
        """Give the page; `date` and `source` stand in its footer."""
        title = " ".join(f'"{_escaped(word)}"' for word in (self._name.upper(), str(self._section), date, source))
        return "\n".join([f".TH {title}", *self._lines]) + "\n"


def _running(text: str) -> str:
    words = " ".join(text.split())
    return _line(re.sub(r"`([^`]+)`", "\N{START OF TEXT}\\1\N{END OF TEXT}", words)).translate(_FONTS)


_FONTS = str.maketrans({"\N{START OF TEXT}": r"\fB", "\N{END OF TEXT}": r"\fR"})


def _line(text: str) -> str:
    """Give a line that is no macro, whatever it begins with."""
    escaped = _escaped(text)
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _escaped(text: str) -> str:
    r"""Give a text that prints as it is written: a backslash and a hyphen mean something to roff, and so do quotes."""
    return text.translate(_ESCAPES)


_ESCAPES = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", '"': r"\(dq", "^": r"\(ha", "~": r"\(ti"}
)
