"""mirosctl completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirosctl.main import main
from tests.mirosctl.fake_daemon import FakeDaemon

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete "), ("zsh", "#compdef mirosctl"), ("fish", "complete --no-files")]
)
def test_each_shell_gets_its_script(shell: str, sign: str) -> None:
    """Without a daemon, as text and as JSON."""
    plain = CliRunner(env={"MIROSD_SOCKET": "/nowhere"}).invoke(main, ["completion", shell])
    as_json = json.loads(CliRunner().invoke(main, ["--json", "completion", shell]).stdout)

    assert (plain.exit_code, plain.stderr) == (0, "")
    assert sign in plain.stdout
    assert as_json == {
        "schema": "mirosctl.completion/1",
        "shell": shell,
        "script": plain.stdout.removesuffix("\n"),
    }


def test_an_unknown_shell_is_wrong_usage() -> None:
    """Only shells that there are scripts for."""
    assert CliRunner().invoke(main, ["completion", "csh"]).exit_code == 2


@pytest.mark.parametrize(
    ("line", "expected"), [("mirosctl st", {"status"}), ("mirosctl hosts ", {"add", "list", "reload", "remove"})]
)
def test_bash_completes(line: str, expected: set[str]) -> None:
    """In a real bash, what the script registered gives the commands that begin with what was typed."""
    assert completed(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mirosctl peers forget ", {"h2", "host-3"}),
        ("mirosctl peers forget h2", {"h2"}),
        ("mirosctl peers allow ab", {"ab" * 16}),
        ("mirosctl hosts remove ", {"10.0.0.7:5673"}),
    ],
)
def test_peers_and_hosts_are_completed(daemon: FakeDaemon, line: str, expected: set[str]) -> None:
    """From what the daemon knows; a name that a shell would do something about is left out."""
    names = ["h2", "host-3", "$(reboot)", "a;b", "a b", "`x`", "h\x1b2", ""]
    nodes = ["ab" * 16, *(f"{number:032x}" for number in range(1, len(names)))]
    daemon.answers["peers"] = ([{"node": node, "name": name} for node, name in zip(nodes, names, strict=True)], {})
    listed = [{"host": "10.0.0.7:5673", "source": "local"}, {"host": "10.0.0.8", "source": "file"}]
    daemon.answers["hosts_list"] = (listed, {})

    assert completed(line, MIROSD_SOCKET=daemon.path) == expected


def test_without_a_daemon_nothing_is_completed() -> None:
    """And nothing is said: the shell is in the middle of a line."""
    assert completed("mirosctl peers forget h", MIROSD_SOCKET="/nowhere") == set()


def completed(line: str, **environment: str) -> set[str]:
    """Give what a bash offers behind a line; nothing may be said beside it."""
    script = f"""
        eval "$(mirosctl completion bash)"
        read -ra COMP_WORDS <<< "{line}"; [[ "{line}" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        $(complete -p mirosctl | sed 's/.*-F \\([^ ]*\\).*/\\1/') mirosctl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
    return {word for word in done.stdout.splitlines() if word}
