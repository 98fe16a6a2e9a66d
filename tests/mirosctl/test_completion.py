"""mirosctl completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirosctl.main import main

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
    script = f"""
        eval "$(mirosctl completion bash)"
        read -ra COMP_WORDS <<< "{line}"; [[ "{line}" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        $(complete -p mirosctl | sed 's/.*-F \\([^ ]*\\).*/\\1/') mirosctl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert set(done.stdout.split()) == expected, done.stderr
