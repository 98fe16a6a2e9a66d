"""Text from elsewhere, made safe to print: a terminal obeys control characters, people must not have to.

Names, payloads and errors come from other hosts. An escape sequence in one of them
could move the cursor, rename the window or hide a line; a right-to-left mark could
turn an address around.
"""

from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Give the text in one line, each character that is not for printing replaced."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else REPLACEMENT for char in text)


def printable_deep(value: Any) -> Any:
    """Give the same JSON-like value with all its texts printable, keys included."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_deep(key): printable_deep(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable_deep(item) for item in value]
    return value
