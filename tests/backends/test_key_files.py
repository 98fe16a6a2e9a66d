"""Keys and passwords from files: what is taken, what falls back, and what is said when it is wrong."""

import base64
import subprocess
from pathlib import Path

import pytest
import structlog

from mirosd.backends.key_files import read_key_files, read_password
from mirosd.core.settings import BrokerSettings, MeshSettings, NetworksSettings, SnoopNetworkSettings
from mirosd.errors import StartError

MESH, TRACE, SPY, SYSTEM, OTHER = (bytes([n]) * 32 for n in (250, 251, 252, 253, 254))
NO_ENVIRON: dict[str, str] = {}


def write_key(path: Path, key: bytes) -> Path:
    """Lay a key down as an operator does."""
    path.write_bytes(base64.urlsafe_b64encode(key) + b"\n")
    path.chmod(0o640)
    return path


@pytest.fixture
def networks(tmp_path: Path) -> NetworksSettings:
    """Settings of a host that has a mesh key and nothing more."""
    return NetworksSettings(mesh=MeshSettings(str(write_key(tmp_path / "mesh.key", MESH))))


def test_the_mesh_key_is_enough(networks: NetworksSettings) -> None:
    """Without keys of their own, the snoop networks have the mesh key, and the system key is to be derived (D46)."""
    keys = read_key_files(networks, NO_ENVIRON)

    assert (keys.mesh, keys.snoop_trace, keys.snoop_spy, keys.system) == (MESH, MESH, MESH, None)


def test_keys_beside_the_mesh_key_are_found(networks: NetworksSettings, tmp_path: Path) -> None:
    """Each network's own key is taken when it lies beside the mesh key."""
    for name, key in (("snoop_trace", TRACE), ("snoop_spy", SPY), ("system", SYSTEM)):
        write_key(tmp_path / f"{name}.key", key)
    keys = read_key_files(networks, NO_ENVIRON)

    assert (keys.mesh, keys.snoop_trace, keys.snoop_spy, keys.system) == (MESH, TRACE, SPY, SYSTEM)


def test_a_named_key_must_be_there(networks: NetworksSettings, tmp_path: Path) -> None:
    """A key file that the operator names does not fall back to another key."""
    missing = str(tmp_path / "gone.key")
    for wrong in (
        NetworksSettings(networks.mesh, SnoopNetworkSettings(missing)),
        NetworksSettings(networks.mesh, snoop_spy=SnoopNetworkSettings(missing)),
        NetworksSettings(networks.mesh, system_key_file=missing),
        NetworksSettings(MeshSettings(missing)),
    ):
        with pytest.raises(StartError, match=r"there is no \w+ key at .+gone.key; to make a key: "):
            read_key_files(wrong, NO_ENVIRON)


def test_a_host_may_have_a_snoop_network_alone(tmp_path: Path) -> None:
    """With a system key and one network's, the mesh is not here, and nothing falls back on it: a warning (D46)."""
    write_key(tmp_path / "system.key", SYSTEM)
    write_key(tmp_path / "snoop_trace.key", TRACE)
    with structlog.testing.capture_logs() as logs:
        keys = read_key_files(NetworksSettings(MeshSettings(str(tmp_path / "mesh.key"))), NO_ENVIRON)

    assert ({"snoop_trace": TRACE}, SYSTEM) == (keys.networks, keys.system)
    assert [("no_mesh_key", ["snoop_trace"])] == [(line["event"], line["networks"]) for line in logs]


@pytest.mark.parametrize("names", [(), ("snoop_trace",), ("system",), ("snoop_trace", "snoop_spy")])
def test_without_a_mesh_key_the_system_and_a_network_need_theirs(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Else the error names both ways: the mesh key, and the keys that stand for it."""
    for name in names:
        write_key(tmp_path / f"{name}.key", OTHER)
    with pytest.raises(
        StartError, match=r"there is no mesh key at .+; to make a key: .+system.key and snoop_trace.key"
    ):
        read_key_files(NetworksSettings(MeshSettings(str(tmp_path / "mesh.key"))), NO_ENVIRON)


def test_the_cure_makes_a_key(tmp_path: Path) -> None:
    """The command in the error, run as it stands, makes a key that is accepted and that others cannot read."""
    networks = NetworksSettings(MeshSettings(str(tmp_path / "mesh.key")))
    with pytest.raises(StartError) as caught:
        read_key_files(networks, NO_ENVIRON)
    subprocess.run(["sh", "-c", str(caught.value).split("to make a key: ")[1].split("; all hosts")[0]], check=True)

    with structlog.testing.capture_logs() as logs:
        assert len(read_key_files(networks, NO_ENVIRON).networks["mesh"]) == 32
    assert logs == []


def test_a_credential_wins(networks: NetworksSettings, tmp_path: Path) -> None:
    """A systemd credential of a key's name is taken before its file; where there is none, the file holds."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_key(credentials / "mesh.key", OTHER)
    write_key(tmp_path / "snoop_spy.key", SPY)
    keys = read_key_files(networks, {"CREDENTIALS_DIRECTORY": str(credentials)})

    assert (keys.mesh, keys.snoop_trace, keys.snoop_spy) == (OTHER, OTHER, SPY)


def test_both_alphabets_are_keys(networks: NetworksSettings) -> None:
    """A key made by a tool that writes standard base64 is the same key."""
    assert b"+" in base64.b64encode(MESH)
    Path(networks.mesh.key_file).write_bytes(base64.b64encode(MESH))

    assert read_key_files(networks, NO_ENVIRON).mesh == MESH


@pytest.mark.parametrize("form", ["{0}", "{0}\n\n", "  {0}\r\n", "{1}\n{2}\n"])
def test_whitespace_does_not_matter(networks: NetworksSettings, form: str) -> None:
    """Editors and mail programs may add blanks and break lines."""
    text = base64.urlsafe_b64encode(MESH).decode()
    Path(networks.mesh.key_file).write_text(form.format(text, text[:20], text[20:]))

    assert read_key_files(networks, NO_ENVIRON).mesh == MESH


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds 0 bytes and a key has 32"),
        (base64.urlsafe_b64encode(b"hunter2" * 5), "holds 35 bytes and a key has 32"),
        (b"hunter2!" * 5 + b"====", "is not base64"),
        ("hünter2".encode(), "is not base64"),
        (b"\xff\x00hunter2", "is not text"),
        (b"hunter2\n" * 100_000, "holds 2688 bytes"),
    ],
)
def test_what_is_no_key_is_told_and_not_shown(networks: NetworksSettings, content: bytes, reason: str) -> None:
    """The error names file, reason and cure, and shows nothing of what the file holds."""
    path = Path(networks.mesh.key_file)
    path.write_bytes(content)
    with pytest.raises(StartError) as caught:
        read_key_files(networks, NO_ENVIRON)

    assert str(caught.value).startswith(f"{path} {reason}")
    assert "; to make a key: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_key_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Anything but a missing file is an error with its reason and the rights it needs."""
    (tmp_path / "mesh.key").mkdir()
    with pytest.raises(StartError, match=r"cannot be read \(Is a directory\); chown root:mirosd"):
        read_key_files(NetworksSettings(MeshSettings(str(tmp_path / "mesh.key"))), NO_ENVIRON)


def test_a_key_that_others_can_read_is_a_warning(networks: NetworksSettings) -> None:
    """A key that every local user can read works, and one warning says how to close it."""
    Path(networks.mesh.key_file).chmod(0o644)
    with structlog.testing.capture_logs() as logs:
        read_key_files(networks, NO_ENVIRON)

    assert [(line["event"], line["cure"]) for line in logs] == [
        ("secret_readable_by_others", f"chmod o= {networks.mesh.key_file}")
    ]


def test_keys_do_not_show(networks: NetworksSettings) -> None:
    """Printing keys prints none."""
    assert repr(read_key_files(networks, NO_ENVIRON)) == "KeyFiles()"


def test_a_password_comes_from_its_place(tmp_path: Path) -> None:
    """A password is what the configuration holds, or the first line of its file as it stands, or nothing."""
    file = tmp_path / "password"
    file.write_text(" a b#/: \r\nsecond\n")
    file.chmod(0o600)

    assert read_password(BrokerSettings()) is None
    assert read_password(BrokerSettings(password="x")) == "x"
    assert read_password(BrokerSettings(password_file=str(file))) == " a b#/: "


def test_a_password_file_without_one_is_told(tmp_path: Path) -> None:
    """A missing and an empty password file are errors that name the file."""
    file = tmp_path / "password"
    with pytest.raises(StartError, match=f"there is no password file {file}"):
        read_password(BrokerSettings(password_file=str(file)))
    file.write_text("\n")
    file.chmod(0o600)
    with pytest.raises(StartError, match=f"{file} has nothing on its first line"):
        read_password(BrokerSettings(password_file=str(file)))
