"""The secrets that an operator laid down as files: the networks' keys and the brokers' passwords.

A key is 32 bytes in urlsafe base64, as the ancestor's. A systemd credential (a file of
the key's name in $CREDENTIALS_DIRECTORY) wins over the configured file. Errors and warnings tell
the file, the reason and the cure; never anything of the content.
"""

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from mirosd.core.settings import BrokerSettings, NetworksSettings, PeersSettings
from mirosd.errors import StartError

log = structlog.get_logger()

KEY_BYTES = 32
_TO_STANDARD = str.maketrans("-_", "+/")  # so a key in the standard alphabet is taken as well; none is ambiguous
_MAX_FILE_BYTES = 4096  # a key has 44 characters; whatever is longer is another file


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The keys as laid down, each of 32 bytes; at least one network has one.

    A network whose key is None does not exist on this host. `system` None: it is to be derived from `mesh`.
    """

    mesh: bytes | None = field(repr=False)
    snoop_trace: bytes | None = field(repr=False)
    snoop_spy: bytes | None = field(repr=False)
    system: bytes | None = field(repr=False)

    @property
    def networks(self) -> dict[str, bytes]:
        """The keys of the networks that this host is a member of, by name."""
        keys = {"mesh": self.mesh, "snoop_trace": self.snoop_trace, "snoop_spy": self.snoop_spy}
        return {name: key for name, key in keys.items() if key is not None}


def read_key_files(networks: NetworksSettings, environ: Mapping[str, str] = os.environ) -> KeyFiles:
    """Give the keys; StartError when one that is needed or named is missing, unreadable or no key."""
    mesh_file = Path(networks.mesh.key_file)
    mesh = _read_key("mesh", mesh_file, environ)

    def beside(name: str, configured: str | None) -> bytes | None:
        key = _read_key(name, Path(configured) if configured else mesh_file.with_name(f"{name}.key"), environ)
        if key is None and configured:
            raise StartError(f"there is no {name} key at {configured}; {_how_to_make(Path(configured))}")
        return key

    keys = KeyFiles(
        mesh=mesh,
        snoop_trace=beside("snoop_trace", networks.snoop_trace.key_file) or mesh,
        snoop_spy=beside("snoop_spy", networks.snoop_spy.key_file) or mesh,
        system=beside("system", networks.system_key_file),
    )
    if mesh is None:
        if keys.system is None or not keys.networks:
            raise StartError(
                f"there is no mesh key at {mesh_file}; {_how_to_make(mesh_file)} (one that only sees traces "
                "needs system.key and snoop_trace.key instead)"
            )
        log.warning("no_mesh_key", file=str(mesh_file), networks=list(keys.networks), cure=_how_to_join(mesh_file))
    return keys


def read_password(account: BrokerSettings | PeersSettings) -> str | None:
    """Give an account's password, from the configuration or the first line of its file; None when it has none."""
    if account.password_file is None:
        return account.password
    text = _read_secret(Path(account.password_file))
    if text is None:
        raise StartError(f"there is no password file {account.password_file}; write the password into it")
    password = text.partition("\n")[0].rstrip("\r")
    if not password:
        raise StartError(f"{account.password_file} has nothing on its first line; write the password there")
    return password


def _read_key(name: str, path: Path, environ: Mapping[str, str]) -> bytes | None:
    """Give a key from its credential or its file, None when there is neither."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(directory, f"{name}.key") if directory else path
    for place in (credential, path):
        text = _read_secret(place)
        if text is not None:
            return _decode(text, place)
    return None


def _read_secret(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IRWXO:
                log.warning("secret_readable_by_others", file=str(path), cure=f"chmod o= {path}")
            return file.read(_MAX_FILE_BYTES).decode()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StartError(
            f"{path} cannot be read ({exc.strerror}); chown root:mirosd {path} && chmod 0640 {path}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise StartError(f"{path} is not text; {_how_to_make(path)}") from exc


def _decode(text: str, path: Path) -> bytes:
    try:
        key = base64.b64decode("".join(text.split()).translate(_TO_STANDARD), validate=True)
    except (binascii.Error, ValueError) as exc:  # ValueError: characters beyond ASCII
        raise StartError(f"{path} is not base64; {_how_to_make(path)}") from exc
    if len(key) != KEY_BYTES:
        raise StartError(f"{path} holds {len(key)} bytes and a key has {KEY_BYTES}; {_how_to_make(path)}")
    return key


def _how_to_join(path: Path) -> str:
    return f"none, if this host is to have no events; else copy the mesh's key to {path} and restart mirosd"


def _how_to_make(path: Path) -> str:
    return f"to make a key: (umask 027; openssl rand -base64 32 | tr +/ -_ > {path}); all hosts of a mesh share it"
