"""The commands that go with the cures of the daemon's codes (cures.py), for a broker here and for one elsewhere."""

from mirosctl.checks.ailment import Ailment, Finding
from mirosctl.cures import cure

HERE: dict[str, tuple[str, ...]] = {
    "tcp(refused)": ("sudo systemctl enable --now rabbitmq-server",),
    "tcp(silent)": ("sudo systemctl restart rabbitmq-server", "sudo ss -ltnp 'sport = :5672'"),
    "tls": ("openssl s_client -connect {address} </dev/null",),
    "auth": ("sudo rabbitmqctl authenticate_user {user}", "sudo rabbitmqctl change_password {user}"),
    "guest_remote": (
        "sudo rabbitmqctl add_user mirosd",
        "sudo rabbitmqctl set_permissions mirosd '.*' '.*' '.*'",
        "sudoedit /etc/mirosd/config.yaml  # broker.user: mirosd, and its password",
    ),
    "vhost": ("sudo rabbitmqctl list_vhosts", "sudo rabbitmqctl set_permissions {user} '.*' '.*' '.*'"),
    "blocked": ("sudo rabbitmqctl status", "df -h /var/lib/rabbitmq; free -h"),
    "deaf": ("sudo rabbitmqctl status", "sudo systemctl restart rabbitmq-server"),
    "hosts_file": ("mirosctl hosts list", "sudoedit /etc/mirosd/hosts.json"),
    "lan_cache": ("mirosctl cache flush",),
    "node_conflict": ("sudo systemctl stop mirosd", "sudo rm /var/lib/mirosd/node.json", "sudo systemctl start mirosd"),
    "internal": ("journalctl -u mirosd -n 50 --no-pager",),
}
"""By code, what to do on this host. `{user}` is the account's name, `{address}` where the broker is."""

THERE: dict[str, tuple[str, ...]] = {
    "tcp(refused)": ("sudo systemctl enable --now rabbitmq-server  # at {address}",),
    "tcp(silent)": ("mirosctl scout {address}", "ping -c 3 {host}"),
    "tls": ("openssl s_client -connect {address} </dev/null",),
    "auth": ("sudo rabbitmqctl authenticate_user peers  # at {address}",),
    "guest_remote": ("sudo rabbitmqctl add_user peers  # at {address}",),
    "vhost": ("sudo rabbitmqctl list_permissions  # at {address}",),
    "exchange": ("sudo systemctl enable --now mirosd  # at {address}",),
    "daemon": ("sudo systemctl enable --now mirosd  # at {address}",),
    "daemon(silent)": ("sudo systemctl restart mirosd  # at {address}",),
    "crashed": ("sudo systemctl restart mirosd  # at {address}", "journalctl -u mirosd -n 50 --no-pager  # there too"),
    "key": ("mirosctl keys list  # here and at {address}: the ids must be the same",),
    "system": ("grep ^system: /etc/mirosd/config.yaml  # here and at {address}",),
    "quarantined": ("mirosctl peers allow {node}",),
    "alien": ("mirosctl hosts add {address}",),
    "amqp(slow)": ('echo "{host} NAME" | sudo tee -a /etc/hosts  # at {address}, NAME: its hostname',),
    "blocked": ("sudo rabbitmqctl status  # at {address}",),
}
"""By code, what to do about a peer. `{node}`, `{address}` (as a hosts file writes it), `{host}` (without a port)."""

LOOK_THERE = ("mirosctl scout {address}",)
"""What to do about a peer whose code has no command of its own."""


def coded(check: str, code: str, cause: str, *, user: str = "", address: str = "") -> Finding:
    """Give a fault of this host by the code that the daemon gives for it; `user` at which broker, where it is one's."""
    return Ailment(f"{check}.{code}", "fault", "{cause}", "{cure}", remedy(HERE, code)).found(
        cause=cause, cure=cure(code), user=user, address=address
    )


def remedy(table: dict[str, tuple[str, ...]], code: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Give the commands of a code ("broker_deaf", "tls(name)"), of the stage it belongs to, or the default ones."""
    name = code.removeprefix("broker").lstrip(" _:")
    return table.get(name) or table.get(name.partition("(")[0]) or default
