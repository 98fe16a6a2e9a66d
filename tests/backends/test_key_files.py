"""Keys and passwords from files: what is taken, what falls back, and what is said when it is wrong."""

import base64
import os
import subprocess
from pathlib import Path

import pytest
import structlog

from mirosd.backends.key_files import check_membership, read_key_files, read_password
from mirosd.core.key_ring import Ring
from mirosd.core.seal import system_key
from mirosd.core.settings import BrokerSettings, MeshSettings, NetworksSettings, SnoopNetworkSettings
from mirosd.errors import StartError

MESH, TRACE, SPY, SYSTEM, OTHER = (bytes([n]) * 32 for n in (250, 251, 252, 253, 254))
NO_ENVIRON: dict[str, str] = {}
NETWORKS = ("mesh", "snoop_trace", "snoop_spy", "system")


def write_key(path: Path, key: bytes) -> Path:
    """Lay a key down as an operator does."""
    path.write_bytes(base64.urlsafe_b64encode(key) + b"\n")
    path.chmod(0o640)
    return path


def ring_of(networks: NetworksSettings, environ: dict[str, str] = NO_ENVIRON) -> Ring:
    """Give the ring of a host that never had one: what its key files seed."""
    ring = Ring({}).seeded(read_key_files(networks, environ), 0.0)
    check_membership(ring, Path(networks.mesh.key_file))
    return ring


def keys_of(networks: NetworksSettings, environ: dict[str, str] = NO_ENVIRON) -> tuple[bytes, ...]:
    """Give the one key of each network, in the order of NETWORKS."""
    ring = ring_of(networks, environ)
    return tuple(key for network in NETWORKS for key in ring.keys_of(network))


@pytest.fixture
def networks(tmp_path: Path) -> NetworksSettings:
    """Settings of a host that has a mesh key and nothing more."""
    return NetworksSettings(mesh=MeshSettings(str(write_key(tmp_path / "mesh.key", MESH))))


def test_the_mesh_key_is_enough(networks: NetworksSettings) -> None:
    """Without keys of their own, the snoop networks have the mesh key, and the system key is derived from it (D46)."""
    assert (MESH, MESH, MESH, system_key(MESH)) == keys_of(networks)


def test_keys_beside_the_mesh_key_are_found(networks: NetworksSettings, tmp_path: Path) -> None:
    """Each network's own key is taken when it lies beside the mesh key."""
    for name, key in (("snoop_trace", TRACE), ("snoop_spy", SPY), ("system", SYSTEM)):
        write_key(tmp_path / f"{name}.key", key)

    assert (MESH, TRACE, SPY, SYSTEM) == keys_of(networks)


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
            ring_of(wrong)


def test_a_host_may_have_a_snoop_network_alone(tmp_path: Path) -> None:
    """With a system key and one network's, the mesh is not here, and nothing falls back on it: a warning (D46)."""
    write_key(tmp_path / "system.key", SYSTEM)
    write_key(tmp_path / "snoop_trace.key", TRACE)
    with structlog.testing.capture_logs() as logs:
        keys = keys_of(NetworksSettings(MeshSettings(str(tmp_path / "mesh.key"))))

    assert (TRACE, SYSTEM) == keys
    assert [("no_mesh_key", ["snoop_trace"])] == [(line["event"], line["networks"]) for line in logs]


@pytest.mark.parametrize("names", [(), ("snoop_trace",), ("system",), ("snoop_trace", "snoop_spy")])
def test_without_a_mesh_key_the_system_and_a_network_need_theirs(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Else the error names both ways: the mesh key, and the keys that stand for it."""
    for name in names:
        write_key(tmp_path / f"{name}.key", OTHER)
    with pytest.raises(
        StartError, match=r"there is no mesh key at .+; to make a key: .+system.key and snoop_trace.key"
    ):
        ring_of(NetworksSettings(MeshSettings(str(tmp_path / "mesh.key"))))


def test_the_cure_makes_a_key(tmp_path: Path) -> None:
    """The command in the error, run as it stands, makes a key that is accepted and that others cannot read."""
    networks = NetworksSettings(MeshSettings(str(tmp_path / "mesh.key")))
    with pytest.raises(StartError) as caught:
        ring_of(networks)
    subprocess.run(["sh", "-c", str(caught.value).split("to make a key: ")[1].split("; all hosts")[0]], check=True)

    with structlog.testing.capture_logs() as logs:
        assert len(ring_of(networks).keys_of("mesh")[0]) == 32
    assert logs == []


def test_a_credential_wins(networks: NetworksSettings, tmp_path: Path) -> None:
    """A systemd credential of a key's name is taken before its file; where there is none, the file holds."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_key(credentials / "mesh.key", OTHER)
    write_key(tmp_path / "snoop_spy.key", SPY)

    keys = keys_of(networks, {"CREDENTIALS_DIRECTORY": str(credentials)})

    assert (OTHER, OTHER, SPY) == keys[:3]


def test_credentials_that_cannot_be_reached_are_none(
    networks: NetworksSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the manager made their directory and could not hand it over, the files hold."""
    write_key(tmp_path / "mesh.key", MESH)
    (tmp_path / "credentials" / "mesh.key").mkdir(parents=True)  # root may enter any; reading this one is an error
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.X_OK)

    assert MESH == keys_of(networks, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})[0]


def test_both_alphabets_are_keys(networks: NetworksSettings) -> None:
    """A key made by a tool that writes standard base64 is the same key."""
    assert b"+" in base64.b64encode(MESH)
    Path(networks.mesh.key_file).write_bytes(base64.b64encode(MESH))

    assert keys_of(networks)[0] == MESH


@pytest.mark.parametrize("form", ["{0}", "{0}\n\n", "  {0}\r\n", "{1}\n{2}\n"])
def test_whitespace_does_not_matter(networks: NetworksSettings, form: str) -> None:
    """Editors and mail programs may add blanks and break lines."""
    text = base64.urlsafe_b64encode(MESH).decode()
    Path(networks.mesh.key_file).write_text(form.format(text, text[:20], text[20:]))

    assert keys_of(networks)[0] == MESH


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
    """Printing a ring prints no key."""
    assert repr(MESH)[2:-1] not in repr(ring_of(networks))


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
