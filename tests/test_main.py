"""The `mirosd` command before there is a daemon: where it finds its configuration, and what it says of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirosd import main as command
from mirosd.errors import ConfigError
from mirosd.main import DEFAULT_CONFIG, load, parser

URL = "amqp://bob:hunter2@h:5672/"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_says_nothing_is_none(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """An empty $MIROSD_CONFIG names the configuration that an absent one does, and not the working directory."""
    monkeypatch.delenv("MIROSD_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("MIROSD_CONFIG", value)

    assert Path(DEFAULT_CONFIG) == parser().parse_args([]).config


def test_a_configuration_is_utf_8_in_any_language(tmp_path: Path) -> None:
    """A name is the same whatever the language of who starts the daemon."""
    path = tmp_path / "config.yaml"
    path.write_bytes("name: k\u00fcche\n".encode())
    code = f"from pathlib import Path; from mirosd.main import load; print(ascii(load(Path({str(path)!r})).name))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = subprocess.run([sys.executable, "-c", code], env=os.environ | plain, capture_output=True, text=True)

    assert ("'k\\xfcche'\n", "") == (ended.stdout, ended.stderr)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no such file; mirosctl init writes one"),
        (lambda path: path.mkdir(), "the file cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"a: \xff"), "the file is not UTF-8 text (byte 3); save it as such"),
    ],
    ids=["absent", "directory", "no text"],
)
def test_a_configuration_that_cannot_be_read_is_told(tmp_path: Path, make: object, said: str) -> None:
    """As any fault in it would be."""
    path = tmp_path / "config.yaml"
    make(path)  # type: ignore[operator]
    with pytest.raises(ConfigError) as caught:
        load(path)

    assert caught.value.faults[0].startswith(said)


def test_who_may_not_read_it_is_told_who_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds, or names, what is not for everybody."""

    def deny(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", "config.yaml")

    monkeypatch.setattr(Path, "read_text", deny)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "config.yaml")

    assert ["this user may not read the file; run it as root: sudo mirosd --check"] == caught.value.faults
    assert command.EXIT_CONFIG == command.main(["--config", str(tmp_path / "config.yaml"), "--check"])


@pytest.mark.parametrize(
    "words", [["--config", URL], ["--config", "amqp://bob:hun/ter2@h"], [URL], ["--log-format", URL]]
)
def test_no_error_repeats_a_password(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A broker's URL where none is wanted is told without its account, and is exit status 2."""
    try:
        status = command.main(words)
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

    assert 2 == command.main(["--config", URL])
    assert "amqp:/***@h:5672:\n  the file cannot be read: Is a directory\n" == capsys.readouterr().err


@pytest.mark.parametrize("closed", [["1"], ["2"], ["0", "1", "2"]], ids=" ".join)
def test_outputs_that_were_closed_are_nobody_else_s(tmp_path: Path, closed: list[str]) -> None:
    """Each has a number again before anything is opened, so that no socket is taken for it."""
    path = tmp_path / "config.yaml"
    path.touch()
    code = (
        "import os, sys; from mirosd.main import main; status = main(['--config', sys.argv[1], '--check']); "
        "os._exit(status or [os.stat(number) for number in range(3)].count(None))"
    )
    argv = [sys.executable, "-c", code, str(path)]
    ended = subprocess.run(argv, check=False, preexec_fn=lambda: [os.close(int(number)) for number in closed])

    assert 0 == ended.returncode
