"""mirosctl keys."""

import base64
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

LACKING = [{"node": "c" * 32, "name": "h3", "why": "keys.accept_remote is false there"}]
ROWS: list[dict[str, Any]] = [
    {
        "network": "mesh",
        "follows": "",
        "keys": [
            {"id": "00000001", "state": "in_use", "since_s": 172_800.0, "lacking": []},
            {"id": "00000002", "state": "accepted", "since_s": 5.0, "lacking": LACKING},
        ],
    },
    {"network": "system", "follows": "mesh", "keys": []},
    *(
        {"node": name * 32, "name": name, "takes": True, "keys": {"mesh": ids}, "seen_s": 0.5, "is_alive": True}
        for name, ids in (("a", ["00000001", "00000002"]), ("c", ["00000001"]))
    ),
]


def test_keys_are_listed_by_id(daemon: FakeDaemon, run: Run) -> None:
    """With who has them, and why one who has not does not."""
    daemon.answers["keys_list"] = (ROWS, {})
    lines = [" ".join(line.split()) for line in run("keys", "list").stdout.splitlines()]

    assert [
        "NETWORK KEY STATE SINCE HOSTS",
        "mesh 00000001 in use 2.0 d 2 of 2",
        "mesh 00000002 accepted 5.0 s 1 of 2 (h3: keys.accept_remote is false there)",
        "system as mesh",
    ] == lines
    assert {"schema": "mirosctl.keys/1", "networks": ROWS[:2], "hosts": ROWS[2:]} == json.loads(
        run("keys", "list", "--json").stdout
    )


def test_a_key_is_made_without_a_daemon(run: Run, tmp_path: Path) -> None:
    """Another one each time; in a file that others cannot read, and that is never written over."""
    printed = {run("keys", "generate").stdout for _ in range(2)}
    file = tmp_path / "new.key"

    assert [32, 32] == [len(base64.urlsafe_b64decode(key)) for key in printed]
    assert f"made {file}\n" == run("keys", "generate", str(file)).stdout
    assert (32, 0o640) == (len(base64.urlsafe_b64decode(file.read_text())), stat.S_IMODE(file.stat().st_mode))
    again = run("keys", "generate", str(file))
    assert (1, True) == (again.exit_code, "is there already" in again.stderr)


def test_a_key_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    """On a full disk (here: none may be longer than nothing) an empty file is not left to be taken for a key."""
    path = tmp_path / "mesh.key"
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\nfrom mirosctl.main import main; main()"
    argv = [sys.executable, "-c", code, "keys", "generate", str(path)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (1, f"Error: {path} cannot be written (File too large)\n") == (ended.returncode, ended.stderr)
    assert not path.exists()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"state": "in_use", "lacking": [], "cut_off": []}, ["key 00000002 of mesh is in use"]),
        (
            {"state": "accepted", "lacking": LACKING, "cut_off": []},
            ["key 00000002 of mesh is in use once these hosts have it:", "  h3: keys.accept_remote is false there"],
        ),
        (
            {"state": "in_use", "lacking": [], "cut_off": ["h3"]},
            ["key 00000002 of mesh is in use", "cut off until they are given the key: h3"],
        ),
    ],
)
def test_a_rotation_says_how_far_it_is(daemon: FakeDaemon, run: Run, result: dict[str, Any], said: list[str]) -> None:
    """Whom it waits for, or whom it cut off; and once it is done, that it shut nobody out."""
    daemon.answers["keys_rotate"] = ([], {"network": "mesh", "id": "00000002"} | result)
    lines = run("keys", "rotate", "mesh").stdout.splitlines()

    hint = (
        ["this shut nobody out who had the old key; mirosctl keys replace does"] if result["state"] == "in_use" else []
    )
    assert [*said, *hint] == lines
    assert [("keys_rotate", {"network": "mesh", "force": False})] == daemon.asked
    assert result["state"] == json.loads(run("keys", "rotate", "mesh", "--force", "--json").stdout)["state"]
    assert ("keys_rotate", {"network": "mesh", "force": True}) == daemon.asked[-1]


def test_a_replacement_hands_the_file_over(daemon: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """The daemon may not read it where people keep it; nothing of it is printed."""
    file = tmp_path / "new.key"
    file.write_text("secret\n")
    daemon.answers["keys_replace"] = (
        [],
        {"network": "mesh", "id": "00000002", "retired": ["00000001"], "restart_needed": True},
    )
    told = run("keys", "replace", "mesh", "--file", str(file))

    assert [("keys_replace", {"network": "mesh", "key": "secret\n"})] == daemon.asked
    assert [
        "key 00000002 of mesh is in use; retired: 00000001",
        "this host had no such network: restart mirosd (systemctl restart mirosd)",
    ] == told.stdout.splitlines()
    assert "secret" not in run("keys", "replace", "mesh", "--file", str(file), "--json").stdout


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), (b"\xff", "is not text")])
def test_a_file_that_holds_no_key_is_told(
    daemon: FakeDaemon, run: Run, tmp_path: Path, content: bytes | None, said: str
) -> None:
    """Before the daemon is asked."""
    file = tmp_path / "new.key"
    if content is not None:
        file.write_bytes(content)
    told = run("keys", "replace", "mesh", "--file", str(file))

    assert (1, True, []) == (told.exit_code, said in told.stderr, daemon.asked)
