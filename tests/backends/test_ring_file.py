"""The ring on the disk: what a start reads, what seeds do to it, and how it is stored."""

import asyncio
import base64
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from mirosd.backends.files import DiskFileStore
from mirosd.backends.ring_file import RingFile, read_ring, ring_path
from mirosd.core.interfaces import FileFailure
from mirosd.core.key_ring import KeysError, Ring
from mirosd.core.seal import key_id
from mirosd.core.settings import MeshSettings, NetworksSettings
from mirosd.errors import StartError

OLD, NEW, THIRD = (bytes([n]) * 32 for n in (1, 2, 3))


class Host:
    """A state directory and a mesh key file."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.state.mkdir()
        self.key_file = directory / "mesh.key"
        self.seed(OLD)

    def seed(self, key: bytes) -> None:
        """Lay a mesh key down as an operator does."""
        self.key_file.write_bytes(base64.urlsafe_b64encode(key))
        self.key_file.chmod(0o640)

    def read(self) -> Ring:
        """Read the ring as a start does."""
        return read_ring(str(self.state), NetworksSettings(MeshSettings(str(self.key_file))), 5.0, {})

    def write(self, ring: Ring) -> None:
        """Store a ring as a running daemon does."""
        files = DiskFileStore()
        try:
            asyncio.run(RingFile(str(self.state), files).write(ring))
        finally:
            files.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Give a host."""
    return Host(tmp_path)


def mode(path: Path) -> int:
    """Give a file's mode."""
    return stat.S_IMODE(path.stat().st_mode)


def test_without_a_ring_the_key_files_are_all(host: Host) -> None:
    """And nothing is written of them."""
    assert (OLD,) == host.read().keys_of("mesh")
    assert [] == list(host.state.iterdir())


def test_what_was_stored_is_read_again(host: Host) -> None:
    """The key file holds the old key by then; it may be gone, too."""
    host.write(host.read().replaced("mesh", NEW, 6.0))

    assert (NEW,) == host.read().keys_of("mesh")
    host.key_file.unlink()
    assert (NEW,) == host.read().keys_of("mesh")


def test_nobody_else_reads_it(host: Host) -> None:
    """Neither the ring nor its directory, after the first write and the next; written by a start or later."""
    host.write(host.read())
    assert (0o700, 0o600) == (mode(ring_path(str(host.state)).parent), mode(ring_path(str(host.state))))
    host.seed(THIRD)
    host.read()
    assert 0o600 == mode(ring_path(str(host.state)))


def test_a_new_key_file_replaces_the_keys_for_good(host: Host) -> None:
    """With a warning that tells ids; the old ones are not back when the file is gone."""
    host.write(host.read().replaced("mesh", NEW, 6.0))
    host.seed(THIRD)
    with structlog.testing.capture_logs() as logs:
        assert (THIRD,) == host.read().keys_of("mesh")
    host.key_file.unlink()

    assert (THIRD,) == host.read().keys_of("mesh")
    assert [("keys_replaced_by_files", {"mesh": key_id(THIRD).hex()})] == [
        (line["event"], line["keys"]) for line in logs
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 9, "networks": {}}'])
def test_a_ring_that_cannot_be_read_stops_the_start(host: Host, text: str) -> None:
    """Its keys are not replaced by older ones in silence."""
    host.write(host.read())
    ring_path(str(host.state)).write_text(text)
    with pytest.raises(StartError, match="put it back from a backup, or remove it"):
        host.read()


def test_a_ring_that_cannot_be_written_is_told(host: Host) -> None:
    """Where its place is taken; and by a disk that is full."""
    ring = host.read()
    (host.state / "keys").write_text("")
    with pytest.raises(KeysError, match="keys stay as they are"):
        host.write(ring)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """As the files' thread answers it."""

    class Full:
        def read(self, path: str, post: Callable[[int, Any], None]) -> None:
            """Never asked."""

        def write(self, path: str, text: str, post: Callable[[int, Any], None]) -> None:
            """Fail."""
            post(0, FileFailure(path, "system", "no space left"))

    async def write(state: str) -> None:
        await RingFile(state, Full()).write(Ring({}))

    with pytest.raises(KeysError, match="no space left") as caught:
        asyncio.run(write(str(tmp_path)))
    assert "keys_not_stored" == caught.value.code
