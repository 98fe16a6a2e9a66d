"""The units as files: closed as far as the work allows, good syntax, and without what would harm."""

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.lab.mirosd import ROOT

UNITS = sorted((ROOT / "systemd").iterdir())
SERVICES = [path for path in UNITS if path.suffix == ".service"]
THRESHOLD = "15"
"""In tenths: 1.5 of 10, as systemd rates exposure."""

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze (apt install systemd)"
)


def settings(name: str) -> dict[str, list[str]]:
    """Give every setting of a unit, each with its values in order."""
    found = defaultdict(list)
    for line in (ROOT / "systemd" / name).read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found[key].append(value)
    return found


@needs_analyze
@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_service_is_little_exposed(unit: Path) -> None:
    """systemd rates what the sandbox leaves open at 1.5 of 10 at most."""
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLD}", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert rated.returncode == 0, rated.stdout


@needs_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_understands_each_line(unit: Path, tmp_path: Path) -> None:
    """No setting is unknown to systemd, misspelled or in the wrong section."""
    for path in UNITS:
        text = path.read_text().replace("/usr/bin/mirosd", "/bin/true").replace("/usr/bin/mirosctl", "/bin/true")
        lines = [line for line in text.splitlines() if not line.startswith("Documentation=")]  # pages of a package
        (tmp_path / path.name).write_text("\n".join(lines) + "\n")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == "".join(line for line in verified.stderr.splitlines() if "mirosd" in line)


def test_the_daemon_sees_who_is_at_its_socket() -> None:
    """Users are not hidden by a user namespace, and no socket unit undoes `systemctl stop`."""
    service = settings("mirosd.service")

    assert ["no"] == service["PrivateUsers"]
    assert [] == [path.name for path in UNITS if path.suffix == ".socket"]


def test_the_broker_is_wanted_and_not_required() -> None:
    """The daemon starts beside RabbitMQ, after it, and without it."""
    service = settings("mirosd.service")

    assert "rabbitmq-server.service" in service["Wants"][0].split()
    assert "rabbitmq-server.service" in service["After"][0].split()
    assert not {"Requires", "BindsTo", "Requisite"} & set(service)


def test_every_key_may_be_a_credential() -> None:
    """Each key file that the daemon looks for may come as a credential, which need not be there."""
    given = settings("mirosd.service")["LoadCredential"]

    assert [f"{key}.key:mirosd.{key}.key" for key in ("mesh", "snoop_trace", "snoop_spy", "system")] == given
