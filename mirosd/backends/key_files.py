"""The secrets that an operator laid down as files: the networks' keys and the brokers' passwords.

A key is 32 bytes in urlsafe base64, as the ancestor's. A systemd credential (a file of
the key's name in $CREDENTIALS_DIRECTORY) wins over the configured file. Keys only seed the ring
(ring_file.py). Errors and warnings tell the file, the reason and the cure; never anything of the content.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import structlog

from mirosd.core.key_ring import Ring, parse_key
from mirosd.core.settings import BrokerSettings, NetworksSettings, PeersSettings
from mirosd.errors import StartError

log = structlog.get_logger()

_MAX_FILE_BYTES = 4096  # a key has 44 characters; whatever is longer is another file


def read_key_files(networks: NetworksSettings, environ: Mapping[str, str] = os.environ) -> dict[str, bytes]:
    """Give the keys as laid down, each of 32 bytes, by network; they seed the ring (core/key_ring.py).

    Raises:
        StartError: one that is named is missing; or one is unreadable, or no key.
    """
    mesh_file = Path(networks.mesh.key_file)
    places = {
        "snoop_trace": networks.snoop_trace.key_file,
        "snoop_spy": networks.snoop_spy.key_file,
        "system": networks.system_key_file,
    }
    mesh = _read_key("mesh", mesh_file, environ)
    keys = {} if mesh is None else {"mesh": mesh}
    for name, configured in places.items():
        path = Path(configured) if configured else mesh_file.with_name(f"{name}.key")
        key = _read_key(name, path, environ)
        if key is not None:
            keys[name] = key
        elif configured:
            raise StartError(f"there is no {name} key at {configured}; {_how_to_make(Path(configured))}")
    return keys


def check_membership(ring: Ring, mesh_file: Path) -> None:
    """Raise StartError when these keys make this host a member of nothing; warn when it will have no events."""
    if "mesh" in ring.networks:
        return
    networks = [name for name in ring.networks if name != "system"]
    if "system" not in ring.networks or not networks:
        raise StartError(
            f"there is no mesh key at {mesh_file}; {_how_to_make(mesh_file)} (one that only sees traces "
            "needs system.key and snoop_trace.key instead)"
        )
    log.warning("no_mesh_key", file=str(mesh_file), networks=networks, cure=_how_to_join(mesh_file))


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
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    # systemd 252 leaves an empty one that only root may enter where it cannot mount it, as in some containers
    credential = Path(directory, f"{name}.key") if os.access(directory, os.X_OK) else path
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
        return parse_key(text)
    except ValueError as exc:
        raise StartError(f"{path} {exc}; {_how_to_make(path)}") from exc


def _how_to_join(path: Path) -> str:
    return f"none, if this host is to have no events; else copy the mesh's key to {path} and restart mirosd"


def _how_to_make(path: Path) -> str:
    return f"to make a key: (umask 027; openssl rand -base64 32 | tr +/ -_ > {path}); all hosts of a mesh share it"
