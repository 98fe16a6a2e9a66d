"""A host is made a member of a mesh: what `mirosctl init` and `join` have in common.

First it is looked whether what is there already fits, then files are laid down, then the accounts are made. Each part
may have been done before: a run that was cut short is finished by the next.
"""

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from mirosctl import host_config
from mirosctl.host_config import CONFIG_FILE, NETWORKS, HostConfig
from mirosctl.host_files import HostFiles, HostSetupError, Note
from mirosctl.rabbit_accounts import Rabbit, RabbitError, lines_by_hand, wanted

KEY_BYTES = 32
PASSWORD_BYTES = 24
"""192 bits, in 32 letters that need no quotes anywhere."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What a host is to be a member of.

    Attributes:
        config: of a host that has none; one that is there stays, and has to fit.
        keys: of each network, urlsafe base64; None: drawn here, the first of a new mesh.
        peers_password: None: drawn here, likewise.
        hosts_text: of the hosts file; "" for none.
    """

    config: HostConfig
    keys: Mapping[str, str] | None = None
    peers_password: str | None = None
    hosts_text: str = ""


@dataclass(frozen=True, slots=True)
class Leftover:
    """What is to be done by hand.

    Attributes:
        lines: of a shell, in their order; empty when nothing is left.
        reason: why they were not run; "" where there is no rabbitmqctl to run them.
        is_unreachable: RabbitMQ listens on loopback, so other hosts do not reach it.
    """

    lines: tuple[str, ...] = ()
    reason: str = ""
    is_unreachable: bool = False


def set_up(member: Membership, files: HostFiles, rabbit: Rabbit | None, note: Note) -> tuple[HostConfig, Leftover]:
    """Do what is missing; give the configuration that holds, and what is left to do by hand.

    Args:
        rabbit: None: its accounts are left to be made by hand.

    Raises:
        HostSetupError, HostConfigError: what is there does not fit, or cannot be written. Nothing there was changed.
    """
    config = member.config if files.read(CONFIG_FILE) is None else current(files)
    secrets_of_it = _secrets(member, config, files)
    _check(member, config, files)
    empty = [path for path in secrets_of_it if _first_line(files, path) == ""]
    if empty:
        raise HostSetupError(f"nothing is on the first line of {', '.join(empty)}; remove what is empty, and try again")
    files.ensure_accounts()
    for path, secret in secrets_of_it.items():
        files.lay(path, f"{secret}\n")
    if member.hosts_text:
        files.lay(config.hosts_file, member.hosts_text)
    files.lay(CONFIG_FILE, host_config.render(config))
    return config, _ask_rabbit(rabbit, config, secrets_of_it, note)


def current(files: HostFiles) -> HostConfig:
    """Give the configuration that is there, else what a new one begins with."""
    text = files.read(CONFIG_FILE)
    return HostConfig() if text is None else host_config.read(text)


def _secrets(member: Membership, config: HostConfig, files: HostFiles) -> dict[str, str]:
    """Give the text of each file that holds one; what is there already keeps what it has."""
    keys = {config.key_files[name]: key for name, key in (member.keys or {}).items()}
    if member.keys is None:
        present = {path: key for name in NETWORKS if (key := files.read(path := config.key_files[name])) is not None}
        keys = present or {config.key_files[name]: _draw_key() for name in NETWORKS}
    passwords = {
        config.broker.password_file: None,
        config.peers.password_file: member.peers_password,
    }
    drawn = {path: password or _first_line(files, path) or _draw_password() for path, password in passwords.items()}
    return {path: text.strip() for path, text in (keys | drawn).items()}


def _check(member: Membership, config: HostConfig, files: HostFiles) -> None:
    """HostSetupError when this host is a member of something else already."""
    asked = member.config
    pairs = (
        ("system", asked.system, config.system),
        ("peers.user", asked.peers.user, config.peers.user),
        ("peers.vhost", asked.peers_vhost, config.peers_vhost),
    )
    faults = [f"{CONFIG_FILE} says {name}: {there}, not {here}" for name, here, there in pairs if here != there]
    given = {config.key_files[name]: key for name, key in (member.keys or {}).items()}
    if member.peers_password is not None:
        given[config.peers.password_file] = member.peers_password
    for path, secret in given.items():
        there = _first_line(files, path)
        if there and there != secret:
            faults.append(f"{path} holds another one")
    if member.keys is not None:  # a network that was left out of the invitation
        extra = [config.key_files[name] for name in NETWORKS if name not in member.keys]
        faults += [f"{path} is there, and no such key in the invitation" for path in extra if files.read(path)]
    if faults:
        raise HostSetupError(
            f"this host is set up already: {'; '.join(faults)}. Nothing was changed; to make it a member of another "
            "mesh, stop mirosd, move /etc/mirosd and /var/lib/mirosd away, and try again"
        )


def _ask_rabbit(rabbit: Rabbit | None, config: HostConfig, texts: Mapping[str, str], note: Note) -> Leftover:
    lines = tuple(lines_by_hand(config))
    if rabbit is None or not config.is_broker_here:
        return Leftover(lines)
    try:
        is_unreachable = rabbit.is_on_loopback_only()
        rabbit.ensure(config.vhost, [(account, texts[account.password_file]) for account in wanted(config)], note)
    except RabbitError as exc:
        return Leftover(lines, reason=str(exc))
    return Leftover(is_unreachable=is_unreachable)


def _first_line(files: HostFiles, path: str) -> str | None:
    text = files.read(path)
    return None if text is None else text.partition("\n")[0].strip()


def _draw_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def _draw_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)
