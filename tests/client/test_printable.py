"""What another host says, made safe for a terminal."""

import pytest

from mirosd_client.printable import printable, printable_deep, without_account


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("archer 1: Gr\u00fc\u00dfe, \u5f13", "archer 1: Gr\u00fc\u00dfe, \u5f13"),
        ("a\x1b[2Jb", "a\ufffd[2Jb"),
        ("a\r\n\tb\x7f\x9b", "a\ufffd\ufffd\ufffdb\ufffd\ufffd"),
        ("\u202e10.0.0.1\u2066", "\ufffd10.0.0.1\ufffd"),
        ("\ud800\u2028", "\ufffd\ufffd"),
        ("", ""),
    ],
)
def test_only_printable_characters_are_left(text: str, shown: str) -> None:
    """Control characters, line breaks, direction marks and lone surrogates are replaced one by one."""
    assert printable(text) == shown


def test_a_whole_answer_is_made_printable() -> None:
    """Texts are replaced wherever they stand; everything else stays what it is."""
    assert printable_deep({"a\x1b": ["\x07", ("\x07", 1)], "b": None, "c": 1.5}) == {
        "a\ufffd": ["\ufffd", ["\ufffd", 1]],
        "b": None,
        "c": 1.5,
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tried amqp://bob:hunter2@h:5672/x (refused)", "tried amqp://***@h:5672/x (refused)"),
        ("amqps://bob:a@b/c?d#e@h amqp://eve:x@i", "amqps://***@h amqp://***@i"),
        ("amqp:/bob:hunter2@h", "amqp:/***@h"),
        ("amqp://h:5672/x, mail bob@h", "amqp://h:5672/x, mail bob@h"),
    ],
)
def test_urls_lose_their_accounts(text: str, shown: str) -> None:
    """Whatever stands in a password but a space, and in a path that is made of a URL; nothing else is taken out."""
    assert shown == without_account(text)
