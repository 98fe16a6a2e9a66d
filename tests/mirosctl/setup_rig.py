"""A host to set up in a folder of its own, and a `rabbitmqctl` that keeps what it is asked."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mirosctl import bundle, setup_options
from mirosctl.main import main

RABBITMQCTL = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__)
answers = json.loads(here.with_suffix(".answers").read_text())
words = [word for word in sys.argv[1:] if word != "--quiet"]
with here.with_suffix(".asked").open("a") as asked:
    print(json.dumps([words, sys.stdin.read(), pathlib.Path("/proc/self/environ").read_text()]), file=asked)
code, text = answers.get(words[0], [0, ""])
print(text, file=sys.stderr if code else sys.stdout)
sys.exit(code)
"""
STATUS = {"listeners": [{"interface": "[::]", "port": 5672, "protocol": "amqp"}]}
ANSWERS = {"status": [0, json.dumps(STATUS)], "list_users": [0, "[]"], "list_vhosts": [0, '[{"name": "/"}]']}


class Place:
    """Where a host is set up.

    Attributes:
        owned: who was given each file.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.owned: dict[str, tuple[int, int]] = {}
        self.write("/etc/group", "root:x:0:\nmirosd:x:990:\nmirosd-admin:x:991:\n")
        self.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nmirosd:x:989:990::/var/lib/mirosd:/bin/false\n")
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(os, "chown", lambda path, user, group: self.owned.update({str(path): (user, group)}))
        monkeypatch.setitem(bundle.SCRYPT, "n", 16)

    def write(self, path: str, text: str) -> None:
        """Write a file of the host."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def text(self, path: str) -> str:
        """Give a file of the host."""
        return (self.root / path.lstrip("/")).read_text()

    def tree(self) -> dict[str, str]:
        """Give all files beneath /etc/mirosd, by their path."""
        base = self.root / "etc/mirosd"
        return {f"/{path.relative_to(self.root)}": path.read_text() for path in base.rglob("*") if path.is_file()}

    def run(self, *words: str, typed: str = "") -> Result:
        """Run mirosctl on the host; an exception that is no exit is the test's."""
        return CliRunner(catch_exceptions=False).invoke(main, [*words, "--root", str(self.root)], input=typed)


class FakeRabbit:
    """A RabbitMQ that says what a test lays down, as its `rabbitmqctl` tells it."""

    def __init__(self, directory: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        self._program = directory / "rabbitmqctl"
        self._program.write_text(RABBITMQCTL.format(python=sys.executable))
        self._program.chmod(0o755)
        self.answer()
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
        monkeypatch.setattr(setup_options, "SYSTEM_ROOT", place.root)  # else --root spares it

    def answer(self, **answers: Any) -> None:
        """Lay down (status, text) by command."""
        self._program.with_suffix(".answers").write_text(json.dumps(ANSWERS | answers))

    @property
    def asked(self) -> list[tuple[list[str], str, str]]:
        """The words, the standard input and the environment of each call so far."""
        path = self._program.with_suffix(".asked")
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
