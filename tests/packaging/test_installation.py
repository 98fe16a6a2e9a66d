"""What becomes of a machine on which the packages are installed, upgraded, removed and purged."""

import base64
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from mirosd import __version__
from tests.lab.waiting import until
from tests.packaging.conftest import NEXT_VERSION
from tests.packaging.throwaway_root import ThrowawayRoot

pytestmark = pytest.mark.lab

KEPT_BY_DEBIAN = re.compile(
    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?|/etc/\.pwd\.lock"  # users stay: files elsewhere may be theirs
    r"|/var/lib/dpkg/.*|/var/log/(dpkg|alternatives)\.log|/var/cache/(man|ldconfig|debconf)/.*|/etc/ld\.so\.cache"
    r"|/var/lib/systemd/.*"
)
SINGLE_HOST = "broker: {url: 'memory://'}\ndiscovery: {lan: {enabled: false}}\n"


def _configure(machine: ThrowawayRoot) -> dict[str, bytes]:
    """Write what an operator and the daemon would; gives it by path."""
    written = {
        "etc/mirosd/config.yaml": SINGLE_HOST.encode(),
        "etc/mirosd/keys/mesh.key": base64.urlsafe_b64encode(os.urandom(32)) + b"\n",
        "var/lib/mirosd/node.json": b"{}",
    }
    for path, content in written.items():
        (machine.path / path).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        (machine.path / path).write_bytes(content)
    return written


def _written(machine: ThrowawayRoot, paths: dict[str, bytes]) -> dict[str, bytes]:
    return {path: (machine.path / path).read_bytes() for path in paths if (machine.path / path).exists()}


def _ids(machine: ThrowawayRoot) -> tuple[int, int]:
    """Give the user and the group mirosd of a machine."""
    user = re.search(r"(?m)^mirosd:x:(\d+):(\d+):", (machine.path / "etc/passwd").read_text())
    assert user is not None
    return int(user[1]), int(user[2])


def test_an_installed_host_waits_to_be_set_up(
    installed: ThrowawayRoot, installation: tuple[ThrowawayRoot, str]
) -> None:
    """Users, groups, folders and an enabled unit are there; nothing is configured, and the packages say what to do."""
    groups = (installed.path / "etc/group").read_text()
    folder = installed.path / "etc/mirosd"

    assert "mirosctl init" in installation[1]
    for program in ("mirosd", "mirosctl"):
        assert f"{program} {__version__}" == installed.run(program, "--version").strip()
    assert re.search(r"(?m)^mirosd:x:", groups) and re.search(r"(?m)^mirosd-admin:x:", groups)
    for path in (folder, folder / "keys"):
        status = path.stat()
        assert (0o500, _ids(installed)[0], 0) == (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    assert [folder / "keys"] == list(folder.iterdir())
    assert (installed.path / "etc/systemd/system/multi-user.target.wants/mirosd.service").is_symlink()
    unit = (installed.path / "lib/systemd/system/mirosd.service").read_text()
    assert "ConditionPathExists=/etc/mirosd/config.yaml" in unit


def test_all_modules_are_compiled(installed: ThrowawayRoot) -> None:
    """By root, once: the daemon may not write there, and mirosctl should start fast."""
    tree = installed.path / "usr/lib/mirosd"
    sources = list(tree.rglob("*.py"))
    compiled = {path for path in tree.rglob("*.pyc") if path.stat().st_uid == 0}

    assert len(sources) > 500
    assert [] == [each for each in sources if not any((each.parent / "__pycache__").glob(f"{each.stem}.cpython-*.pyc"))]
    assert len(compiled) == len(sources)


def test_the_programs_need_nothing_else(installed: ThrowawayRoot) -> None:
    """Not the sources, and nothing that stands in PYTHONPATH, the home or the folder they are started from."""
    (installed.path / "tmp/json.py").write_text("raise SystemExit('a module of the folder')")

    imported = installed.run(
        "/usr/lib/mirosd/bin/python",
        "-c",
        "import mirosd.daemon, mirosd_client, mirosctl, systemd.daemon, prometheus_client, sys; print(sys.path[1:])",
    )
    checked = installed.run(
        *("env", "-C", "/tmp", "PYTHONPATH=/tmp", "mirosd", "--check"),
        *("--config", "/usr/share/doc/mirosd/examples/config.yaml"),
    )
    helped = installed.run("env", "-C", "/tmp", "PYTHONPATH=/tmp", "mirosctl", "status", "--help")

    assert all("/usr/lib/mirosd/" in each or "/usr/lib/python3" in each for each in imported.split(", "))
    assert "dist-packages" not in imported
    assert checked == "configuration OK\n"
    assert "mirosctl status" in helped


def test_keys_are_the_daemons_alone(installed: ThrowawayRoot) -> None:
    """Who may use the socket is of the daemon's group, and reads neither keys nor passwords."""
    _configure(installed)
    key = installed.path / "etc/mirosd/keys/mesh.key"
    os.chown(key, 0, _ids(installed)[1])
    key.chmod(0o640)

    assert key.read_text() == installed.run("cat", "/etc/mirosd/keys/mesh.key", user="mirosd:mirosd")
    for path in ("/etc/mirosd/keys/mesh.key", "/etc/mirosd/config.yaml"):
        with pytest.raises(AssertionError, match="Permission denied"):
            installed.run("cat", path, user="nobody:mirosd")


def test_the_daemon_runs_from_there(installed: ThrowawayRoot) -> None:
    """As its own user, ready, and answering mirosctl; it ends in order, and has written nothing into the tree."""
    _configure(installed)
    user, group = _ids(installed)
    for folder in ("var/lib/mirosd", "run/mirosd"):
        path = installed.path / folder
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o755)
        os.chown(path, user, group)
    os.chown(installed.path / "etc/mirosd/keys/mesh.key", 0, group)
    daemon = installed.start("mirosd", user="mirosd:mirosd")
    try:
        said = until(lambda: installed.run("mirosctl", "wait", "--timeout", "1") or "ready", what="the daemon is ready")
        assert said == "ready"
        assert "state" in installed.run("mirosctl", "status")
    finally:
        daemon.terminate()
        output, _ = daemon.communicate(timeout=30)
    assert daemon.returncode == 0, output


def test_an_upgrade_keeps_what_was_written(installed: ThrowawayRoot, next_packages: list[Path]) -> None:
    """Configuration, keys and state; the new version is there, and nothing of a module that it has no more."""
    written = _configure(installed)

    said = installed.install(*next_packages)

    assert written == _written(installed, written)
    assert "mirosctl init" not in said
    assert NEXT_VERSION == installed.run("dpkg-query", "--show", "--showformat=${Version}", "mirosd")
    assert [] == list((installed.path / "usr/lib/mirosd").rglob("wsl.*"))
    assert list((installed.path / "usr/lib/mirosd").rglob("main.cpython-*.pyc"))


def test_removal_keeps_what_was_written(installed: ThrowawayRoot) -> None:
    """Programs, units and their compiled modules go; configuration, keys and state stay for the next installation."""
    written = _configure(installed)

    installed.run("dpkg", "--remove", "mirosd", "mirosd-client")

    assert written == _written(installed, written)
    assert not (installed.path / "usr/lib/mirosd").exists()
    assert not (installed.path / "usr/bin/mirosd").exists()
    assert not (installed.path / "lib/systemd/system/mirosd.service").exists()


def test_purging_leaves_no_file(installed: ThrowawayRoot) -> None:
    """But users and groups, as Debian has it, and dpkg's own records."""
    _configure(installed)
    assert any(path.startswith("/usr/lib/mirosd/") for path in installed.changed())

    installed.run("dpkg", "--purge", "mirosd", "mirosd-client")

    assert [] == [path for path in installed.changed() if not KEPT_BY_DEBIAN.fullmatch(path)]
    assert [] == [
        path for path in ("etc/mirosd", "var/lib/mirosd", "usr/lib/mirosd") if (installed.path / path).exists()
    ]
