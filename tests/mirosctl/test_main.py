"""What all commands have in common: options anywhere, exit codes, and a quick start."""

import json
import os
import pkgutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from mirosctl import commands
from mirosctl.main import VERBS as NAMES
from mirosctl.main import main
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

READY = {
    "state": "ready",
    "reasons": [],
    "node": "ab" * 16,
    "name": "h1",
    "system": "s",
    "version": "1",
    "uptime_s": 5.0,
}
VERBS = [
    ["status"],
    ["peers"],
    ["peers", "--watch"],
    ["peers", "forget", "h2"],
    ["peers", "allow", "h2"],
    ["recce"],
    ["scout", "10.0.0.7"],
    ["cache", "show"],
    ["cache", "flush"],
    ["clients"],
    ["metrics"],
    ["send", "PING"],
    ["hosts", "list"],
    ["hosts", "add", "h"],
    ["hosts", "remove", "h"],
    ["hosts", "reload"],
    ["trace"],
    ["spy"],
    ["wait"],
]


URL = "amqp://bob:hunter2@h:5672/"

WRONG = [["scout"], ["recce", "now"], ["recce", "--timeout", "-1"], ["cache"], ["peers", "forget"], ["peers", "h2"]]


@pytest.mark.parametrize("words", [["--json", "status"], ["status", "--json"], ["--json", "status", "--json"]])
def test_json_works_before_and_after_the_command(daemon: FakeDaemon, run: Run, words: list[str]) -> None:
    """Wherever --json stands, one JSON object with its schema is all that is printed."""
    daemon.answers["status"] = ([], READY)
    result = run(*words)

    assert result.exit_code == 0
    assert json.loads(result.stdout)["schema"] == "mirosctl.status/1"


@pytest.mark.parametrize("before", [True, False])
def test_socket_works_before_and_after_the_command(daemon: FakeDaemon, before: bool) -> None:
    """--socket chooses the daemon wherever it stands, over $MIROSD_SOCKET."""
    daemon.answers["status"] = ([], READY)
    option = ["--socket", daemon.path]
    words = [*option, "status"] if before else ["status", *option]

    assert CliRunner(env={"MIROSD_SOCKET": "/nowhere"}).invoke(main, words).exit_code == 0


def test_options_of_one_run_do_not_reach_the_next(daemon: FakeDaemon, run: Run) -> None:
    """What was asked for once is not asked for again."""
    daemon.answers["hosts_list"] = ([], {})

    assert run("--json", "hosts", "list").stdout.startswith("{")
    assert run("hosts", "list").stdout.startswith("HOST")


@pytest.mark.parametrize("words", [[], ["completion"], *VERBS])
def test_every_command_has_help_and_the_common_options(words: list[str]) -> None:
    """--help tells what a command does, and that it takes --json and --socket; it asks no daemon."""
    result = CliRunner(env={"MIROSD_SOCKET": "/nowhere"}).invoke(main, [*words, "--help"])

    assert result.exit_code == 0
    assert "--json" in result.output
    assert "--socket PATH" in result.output


@pytest.mark.parametrize(
    "words", [["peers"], ["peers", "forget"], ["recce"], ["scout"], ["cache"], ["hosts"], ["trace"], ["spy"]]
)
def test_help_has_examples(words: list[str]) -> None:
    """Each on a line of its own, as it is typed."""
    result = CliRunner().invoke(main, [*words, "--help"])
    examples = [line for line in result.output.splitlines() if line.startswith(f"  mirosctl {words[0]}")]

    assert len(examples) >= 2


@pytest.mark.parametrize(
    "words", [["nonsense"], ["status", "--nonsense"], ["wait", "--peers", "-1"], ["hosts", "add"], *WRONG]
)
def test_wrong_usage_is_2(run: Run, words: list[str]) -> None:
    """What cannot be meant is status 2."""
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("words", [words for words in VERBS if words != ["wait"]])
def test_no_daemon_is_3(tmp_path: Path, words: list[str]) -> None:
    """Where no daemon answers, status 3, how to start one, and who tells what keeps it from running."""
    result = CliRunner().invoke(main, [*words, "--socket", str(tmp_path / "none")])

    assert result.exit_code == 3
    assert str(tmp_path / "none") in result.stderr
    assert "systemctl start mirosd" in result.stderr
    assert "mirosctl doctor" in result.stderr


def test_not_permitted_is_4(daemon: FakeDaemon, run: Run) -> None:
    """What the caller may not do is status 4, with what would permit it."""
    for verb, *words in (
        ("hosts_reload", "hosts", "reload"),
        ("recce", "recce"),
        ("scout", "scout", "h2"),
        ("cache_flush", "cache", "flush"),
        ("peers_forget", "peers", "forget", "h2"),
        ("peers_allow", "peers", "allow", "h2"),
    ):
        daemon.answers[verb] = ("not_permitted", f"`{verb}` needs the group mirosd-admin")
        result = run(*words)

        assert (result.exit_code, result.stdout) == (4, "")
        assert f"`{verb}` needs the group mirosd-admin" in result.stderr


def test_another_refusal_is_1_and_cannot_move_the_cursor(daemon: FakeDaemon, run: Run) -> None:
    """Any other error is status 1; its text is printed in one line, without control characters."""
    daemon.answers["hosts_add"] = ("address", "bad\x1b[2J\nname")
    result = run("hosts", "add", "x")

    assert result.exit_code == 1
    assert result.stderr == "Error: bad\ufffd[2J\ufffdname\n"
    assert result.stdout == ""


def test_what_is_no_daemon_is_1(tmp_path: Path) -> None:
    """Junk at the socket is an error, not a traceback."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        process = subprocess.Popen(
            [sys.executable, "-c", "from mirosctl.main import main; main()", "--socket", str(tmp_path / "s"), "peers"],
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = listening.accept()
        with connection, process:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert process.stderr is not None
            error = process.stderr.read()

    assert process.returncode == 1
    assert error.startswith("Error: ")
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "words",
    [
        [URL],
        ["status", URL],
        ["--socket", URL, "status"],
        ["--socket", URL, "doctor"],
        ["--socket", URL, "doctor", "--json"],
        ["--socket", URL.replace("//", "/"), "status"],
        ["join", URL],
        ["init", "--root", URL],
        ["keys", "generate", URL],
        ["record", URL],
        ["replay", URL],
        ["metrics", "--output", URL],
        ["recce", "--timeout", URL],
    ],
)
def test_no_error_repeats_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """A broker's URL where none is wanted is told without its account, whatever it was taken for."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner(env={"MIROSD_SOCKET": str(tmp_path / "none")}).invoke(main, words)

    assert result.exit_code != 0
    assert "hunter2" not in result.output


def process(daemon: FakeDaemon, *words: str, **how: Any) -> "subprocess.CompletedProcess[str]":
    """Run mirosctl as a shell does; its errors are what is read."""
    code = "from mirosctl.main import main; main()"
    argv = [sys.executable, "-c", code, "--socket", daemon.path, *words]
    return subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=False, **how)


@pytest.mark.parametrize("words", [["status"], ["hosts", "list"], ["--help"]], ids=" ".join)
def test_a_full_disk_is_told(daemon: FakeDaemon, words: list[str]) -> None:
    """What could not be printed is status 1 and one sentence, whatever printed it."""
    daemon.answers |= {"status": ([], READY), "hosts_list": ([], {})}
    with Path("/dev/full").open("w") as full:
        ended = process(daemon, *words, stdout=full)

    assert (1, "Error: the output cannot be written: No space left on device\n") == (ended.returncode, ended.stderr)


@pytest.mark.parametrize("words", [["status"], ["hosts", "list"], ["record", "-", "--for", "0s", "--since", "1s"]])
def test_an_output_that_was_closed_is_none(daemon: FakeDaemon, words: list[str]) -> None:
    """As of a job that is started so: nothing is printed, and the status is as ever."""
    daemon.answers |= {"status": ([], READY), "hosts_list": ([], {}), "recall": ([], {"sources": 0})}
    ended = process(daemon, *words, preexec_fn=lambda: os.close(1))

    assert (0, False) == (ended.returncode, "Traceback" in ended.stderr)


def test_a_letter_that_the_terminal_lacks_is_no_failure(daemon: FakeDaemon) -> None:
    """In a language without it, a name from another host is printed by its number."""
    daemon.answers["status"] = ([], READY | {"name": "h\u6771"})
    ended = process(daemon, "status", stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "latin-1:strict"})

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "host     h\\u6771 (node" in ended.stdout


@pytest.mark.parametrize(
    "words", [["hosts", "add"], ["hosts", "remove"], ["peers", "forget"], ["peers", "allow"], ["scout"]], ids=" ".join
)
def test_a_word_that_is_no_text_is_wrong_usage(daemon: FakeDaemon, run: Run, words: list[str]) -> None:
    """Bytes that are no UTF-8 are status 2, and the daemon is asked nothing."""
    result = run(*words, "h\udcff")

    assert (2, []) == (result.exit_code, daemon.asked)
    assert "Error: 'h\\udcff' is no text" in result.stderr


def imported_by(*words: str) -> set[str]:
    """Give the top-level packages that a run of mirosctl imports."""
    code = "from mirosctl.main import main; main()"
    run = subprocess.run([sys.executable, "-X", "importtime", "-c", code, *words], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in run.stderr.splitlines()}


def test_a_command_imports_little(daemon: FakeDaemon) -> None:
    """No command imports miros, pika or cryptography, and only a table imports rich."""
    daemon.answers["peers"] = ([], {})

    heavy = {"miros", "pika", "cryptography", "rich", "prometheus_client"}
    assert not heavy & imported_by("--socket", daemon.path, "--json", "peers")
    assert {"miros", "pika", "cryptography", "rich"} & imported_by("--socket", daemon.path, "peers") == {"rich"}


def test_every_verb_is_listed_and_loads() -> None:
    """Each module of commands is a verb, and `mirosctl` has a command of its name."""
    context = click.Context(main)
    loaded = {name: main.get_command(context, name) for name in main.list_commands(context)}

    assert sorted(module.name for module in pkgutil.iter_modules(commands.__path__)) == sorted(NAMES)
    assert {name: command.name for name, command in loaded.items() if command} == {name: name for name in NAMES}
    assert main.get_command(context, "no_such_verb") is None
