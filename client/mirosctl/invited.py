"""What an invitation by this host has in it: read from its configuration and the files that it names.

A key that was changed since (`mirosctl keys rotate`, `replace`) is in the daemon's ring, and its file an old one.
"""

import base64
import hashlib
import json
from collections.abc import Sequence

from mirosctl.bundle import Invitation, Keys
from mirosctl.host_config import NETWORKS, HostConfig, check_host
from mirosctl.host_files import HostFiles, HostSetupError

KEY_ID_DIGITS = 8


def invitation_of(config: HostConfig, files: HostFiles, networks: Sequence[str], hosts: Sequence[str]) -> Invitation:
    """Give the invitation to this host's mesh.

    Args:
        networks: whose keys are in it; empty: all that this host has.
        hosts: addresses to list, beside those that this host lists or advertises.

    Raises:
        HostSetupError: this host is no member of what is asked for, or was not set up.
    """
    held = _keys(config, files)
    if not held:
        raise HostSetupError("this host has no keys to give; set it up first (mirosctl init)")
    wanted = {*(networks or held), "system"}  # without it a member would not even be found
    given = {name: key for name, key in held.items() if name in wanted}
    missing = [name for name in networks if name not in given]
    if not {"mesh", "system"} & set(given):
        missing.append("system")
    if missing:
        raise HostSetupError(
            f"this host has no key of its own for {', '.join(missing)}, which follows the mesh's: "
            "invite with the mesh, or make such a key for all hosts first (mirosctl keys generate)"
        )
    password = (files.read(config.peers.password_file) or "").partition("\n")[0].strip()
    if not password:
        raise HostSetupError(f"{config.peers.password_file} holds no password; set this host up first (mirosctl init)")
    listed = [*hosts, *config.advertise, *_listed(config.hosts_file, files)]
    listed += _listed(f"{config.state_dir}/hosts.json", files)
    if wrong := [host for host in listed if check_host(host)]:
        raise HostSetupError(f"a hosts file here lists {wrong[0]!a}, which is no host; correct it first")
    return Invitation(
        system=config.system,
        vhost=config.peers_vhost,
        peers_user=config.peers.user,
        peers_password=password,
        keys=Keys(**given),
        hosts=tuple(dict.fromkeys(listed)),
    )


def _keys(config: HostConfig, files: HostFiles) -> dict[str, str]:
    """Give the key in use of each network that has one of its own."""
    keys = {name: text.strip() for name in NETWORKS if (text := files.read(config.key_files[name])) is not None}
    path = f"{config.state_dir}/keys/ring.json"
    ring = files.read(path)
    if ring is None:
        return keys
    try:
        for name, network in json.loads(ring)["networks"].items():
            keys[name] = next(row["key"] for row in network["keys"] if _key_id(row["key"]) == network["in_use"])
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        raise HostSetupError(
            f"{path} is not a ring of keys as mirosd writes it; start mirosd, its log says more"
        ) from None
    return keys


def _listed(path: str, files: HostFiles) -> list[str]:
    """Give the hosts of a hosts file; none of one that is wrong, as the daemon tells what is wrong with it."""
    try:
        return [str(host) for host in json.loads(files.read(path) or "{}").get("hosts", [])]
    except (ValueError, TypeError, AttributeError):
        return []


def _key_id(key: str) -> str:
    """Give the id by which the ring names a key."""
    return hashlib.sha256(b"mirosd key id" + base64.urlsafe_b64decode(key)).hexdigest()[:KEY_ID_DIGITS]
