"""What the verbs for setting a host up know of its configuration: written for a new host, read where there is one.

The daemon reads the same file with all its checks; here only what names accounts, keys and secrets counts.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from mirosd_client.errors import MirosdError

DIRECTORY = "/etc/mirosd"
CONFIG_FILE = f"{DIRECTORY}/config.yaml"
NETWORKS = ("mesh", "snoop_trace", "snoop_spy", "system")
"""Those that have keys; the mesh's first, as the others follow it where they have none."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class HostConfigError(MirosdError):
    """The configuration of this host does not say what is needed; the text says what to write."""

    code = "host_config"


@dataclass(frozen=True, slots=True)
class Account:
    """A RabbitMQ account, and the file whose first line is its password."""

    user: str
    password_file: str


@dataclass(frozen=True, slots=True)
class HostConfig:
    """The settings that setting up needs, with the daemon's defaults."""

    system: str = "default"
    name: str | None = None
    broker_url: str = "amqp://127.0.0.1:5672/%2F"
    broker: Account = Account("mirosd", f"{DIRECTORY}/broker.password")
    peers: Account = Account("peers", f"{DIRECTORY}/peers.password")
    peers_vhost: str = "/"
    key_files: Mapping[str, str] = field(
        default_factory=lambda: {name: f"{DIRECTORY}/keys/{name}.key" for name in NETWORKS}
    )
    hosts_file: str = f"{DIRECTORY}/hosts.json"
    advertise: tuple[str, ...] = ()
    state_dir: str = "/var/lib/mirosd"
    has_tls: bool = False

    def at_vhost(self, vhost: str) -> "HostConfig":
        """Give the same with another virtual host, at this broker and at all others."""
        return replace(self, broker_url=f"amqp://127.0.0.1:5672/{quote(vhost, safe='')}", peers_vhost=vhost)

    @property
    def vhost(self) -> str:
        """The virtual host at this host's own broker."""
        return unquote(urlsplit(self.broker_url).path[1:]) or "/"

    @property
    def is_broker_here(self) -> bool:
        """Whether the own broker runs on this host."""
        parts = urlsplit(self.broker_url)
        return parts.scheme in ("amqp", "amqps") and parts.hostname in LOOPBACK


def render(config: HostConfig) -> str:
    """Give the text of a configuration: what differs from the defaults, each with its reason."""
    name = f"name: {_quoted(config.name)} # this host's name for people\n" if config.name else ""
    is_own_vhost = config.vhost != "/"
    url = f"  url: {config.broker_url} # behind the last / its virtual host\n" if is_own_vhost else ""
    vhost = f"  vhost: {_quoted(config.peers_vhost)} # where hosts meet, at each broker\n" if is_own_vhost else ""
    user = f"  user: {_quoted(config.peers.user)}\n" if config.peers.user != HostConfig().peers.user else ""
    return (
        "# mirosd on this host, as mirosctl set it up. What is not set here has its default: see config.example.yaml.\n"
        "# After an edit: mirosd --check && systemctl restart mirosd\n\n"
        f"system: {_quoted(config.system)} # the mesh that this host belongs to; hosts of another one are not heard\n"
        f"{name}\n"
        "broker:\n"
        f"{url}"
        f"  password_file: {config.broker.password_file} # of the account for this host's RabbitMQ, which stays here\n"
        "\n"
        "peers:\n"
        f"{vhost}{user}"
        f"  password_file: {config.peers.password_file} # of the account that all hosts share; it may only send\n"
        "\n"
        "keys:\n"
        "  accept_remote: true # a rotation on another member (mirosctl keys rotate) brings its new key here as well\n"
    )


def read(text: str) -> HostConfig:
    """Give what a configuration's text says; HostConfigError when that is no YAML, or lacks what is needed."""
    document = _parse(text)
    default = HostConfig()

    def value(path: str, otherwise: str) -> str:
        found: Any = document
        for word in path.split("."):
            found = found.get(word) if isinstance(found, dict) else None
        return found if isinstance(found, str) and found not in ("null", "~", "") else otherwise

    def account(section: str, otherwise: Account) -> Account:
        file = value(f"{section}.password_file", "")
        if not file:
            raise HostConfigError(
                f"{CONFIG_FILE} is there and names no {section}.password_file; write the account's password into the "
                f"first line of {otherwise.password_file}, and that path into the configuration"
            )
        return Account(value(f"{section}.user", otherwise.user), file)

    mesh_file = value("networks.mesh.key_file", default.key_files["mesh"])
    beside = mesh_file.rpartition("/")[0]
    advertise = document.get("broker", {}).get("advertise", []) if isinstance(document.get("broker"), dict) else []
    url = value("broker.url", default.broker_url)
    try:
        urlsplit(url)
    except ValueError as exc:
        raise HostConfigError(f"{CONFIG_FILE} has a broker.url that is none; `mirosd --check` says more") from exc
    return HostConfig(
        system=value("system", default.system),
        name=value("name", "") or None,
        broker_url=url,
        broker=account("broker", default.broker),
        peers=account("peers", default.peers),
        peers_vhost=value("peers.vhost", default.peers_vhost),
        key_files={
            "mesh": mesh_file,
            "snoop_trace": value("networks.snoop_trace.key_file", f"{beside}/snoop_trace.key"),
            "snoop_spy": value("networks.snoop_spy.key_file", f"{beside}/snoop_spy.key"),
            "system": value("networks.system_key_file", f"{beside}/system.key"),
        },
        hosts_file=value("discovery.hosts_file", default.hosts_file),
        advertise=tuple(advertise) if isinstance(advertise, list) else (),
        state_dir=value("state_dir", default.state_dir),
        has_tls="tls" in document or value("peers.tls", "") == "on" or url.startswith("amqps:"),
    )


def check_system(text: str) -> str:
    """Give "" for a system's label, else what to write: it is one word of names on the broker."""
    return "" if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) else "write 1 to 64 letters, digits, _ or -"


def check_vhost(text: str) -> str:
    """Give "" for a virtual host that a command line can hold as it is, else what to write."""
    is_good = re.fullmatch(r"/|[A-Za-z0-9._][A-Za-z0-9._-]{0,63}", text)  # what begins with - would be an option
    return "" if is_good else "write 1 to 64 letters, digits, ., _ or -, and no - first"


def check_shared_user(text: str) -> str:
    """Give "" for an account that all hosts may share, else what to write; those of each host's own are none."""
    is_good = text.isprintable() and 1 <= len(text) <= 128 and not text.startswith("-")
    if not is_good or text in (HostConfig().broker.user, "guest"):
        return "write 1 to 128 printable characters, no - first, and neither mirosd nor guest"
    return ""


def check_host(text: str) -> str:
    """Give "" for what looks like a host or an address, else what to write; the daemon that lists it knows more."""
    is_good = re.fullmatch(r"[A-Za-z0-9_.:%\[\]-]{1,255}", text)
    return "" if is_good else "write a name or an address, with :PORT when it is not the usual one"


def check_name(text: str) -> str:
    """Give "" for a host's name, else what to write."""
    return "" if text.isprintable() and 1 <= len(text) <= 128 else "write 1 to 128 printable characters"


def _parse(text: str) -> dict[str, Any]:
    try:
        import yaml  # noqa: PLC0415 -- only where a configuration is there already
    except ImportError as exc:
        raise HostConfigError("to read the configuration: pip install 'mirosd-client[setup]'") from exc
    try:
        document = yaml.load(text, yaml.BaseLoader)  # noqa: S506 -- it makes texts, lists and mappings alone
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise HostConfigError(f"{CONFIG_FILE} is not YAML; `mirosd --check` says where it is wrong") from exc
    return document if isinstance(document, dict) else {}


def _quoted(text: str | None) -> str:
    return json.dumps(text, ensure_ascii=False)
