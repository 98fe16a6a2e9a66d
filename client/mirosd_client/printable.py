"""Text from elsewhere, made safe to print: a terminal obeys control characters, people must not have to.

Names, payloads and errors come from other hosts. An escape sequence in one of them
could move the cursor, rename the window or hide a line; a right-to-left mark could
turn an address around. And a URL may hold a password, also where none is wanted.
"""

import re
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_ACCOUNT = re.compile(r"(:/+)\S*@")
"""Greedy, since a password may hold an `@` or a slash; a path that is made of a URL has one slash of the two."""


def printable(text: str) -> str:
    """Give the text in one line, each character that is not for printing replaced."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else REPLACEMENT for char in text)


def without_account(text: str) -> str:
    """Give the text with user and password taken out of each URL in it."""
    return _ACCOUNT.sub(r"\1***@", text) if "@" in text else text


def printable_deep(value: Any) -> Any:
    """Give the same JSON-like value with all its texts printable, keys included."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_deep(key): printable_deep(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable_deep(item) for item in value]
    return value
