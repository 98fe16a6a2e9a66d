"""What the command says of what it cannot use."""

import os
from pathlib import Path

import pytest

from mirosd.main import main

URL = "amqp://bob:hunter2@h:5672/"


@pytest.mark.parametrize(
    "words", [["--config", URL], ["--config", "amqp://bob:hun/ter2@h"], [URL], ["--log-format", URL]]
)
def test_no_error_repeats_a_password(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A broker's URL where none is wanted is told without its account, and is exit status 2."""
    try:
        status = main(words)
    except SystemExit as exit:
        status = exit.code  # type: ignore[assignment]

    told = capsys.readouterr().err
    assert 2 == status
    assert ":/" in told and "***@h" in told
    assert not {"bob", "hunter2", "ter2"} & set(told.replace("/", ":").replace("@", ":").split(":"))


def test_a_file_that_cannot_be_read_is_told_without_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system says of a file names it too."""
    monkeypatch.chdir(tmp_path)
    os.makedirs("amqp:/bob:hunter2@h:5672")  # noqa: PTH103 -- a path as main makes it of the URL

    assert 2 == main(["--config", URL])
    assert "amqp:/***@h:5672:\n  the file cannot be read: Is a directory\n" == capsys.readouterr().err
