"""A private RabbitMQ on a host of the lab: own files, own users, own end.

Two of its users are what a real host has, with the rights that `mirosctl init` gives them (mirosctl/broker_rights.py):
`mirosd`, and `peers`, which daemons of other hosts use. A third is for tests that make queues of other names.
RabbitMQ 3.10 asks for no right to declare an exchange passively, nor to consume from the pseudo-queue
`amq.rabbitmq.reply-to`; a publish with that reply-to needs only the exchange it goes to. The *answer* is published to
the default exchange, by the asked host's own account. With read "" `peers` can neither bind nor read a queue.

Boots are slow for one reason: erl looks for each module in some seventy plugin directories. A slim home, with only
what the core broker needs, halves it (4-5 s of one core; measured).
"""

import base64
import hashlib
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirosctl.broker_rights import OWN, PEERS, BrokerRights
from tests.lab.certificates import Certificate
from tests.lab.isolation import LAB_DIRECTORY
from tests.lab.namespaces import Host
from tests.lab.process import Process
from tests.lab.waiting import until

AWKWARD = "#/:@%"
"""What no URL takes as it is stands in each password (D56)."""

USER, PASSWORD = "mirosd", AWKWARD + secrets.token_urlsafe(12)
PEERS_USER, PEERS_PASSWORD = "peers", AWKWARD + secrets.token_urlsafe(12)
TESTER, TESTER_PASSWORD = "tester", AWKWARD + secrets.token_urlsafe(12)
ALL_RIGHTS = BrokerRights(".*", ".*", ".*")
RIGHTS = {USER: OWN, PEERS_USER: PEERS, TESTER: ALL_RIGHTS, "guest": ALL_RIGHTS}
"""`guest` (password guest) is as RabbitMQ ships it: from loopback only."""

COOKIE = "LAB"
ALARM = "{resource_limit, memory, node()}"
BOOT_DEADLINE_S = 60.0  # five at once on two slow cores took 22 s
CORE_PLUGINS = re.compile(
    "(rabbit|rabbit_common|rabbitmq_prelaunch|ra|aten|gen_batch_server|osiris|seshat|sysmon_handler|cuttlefish|getopt"
    "|credentials_obfuscation|ranch|recon|jsx|stdout_formatter|syslog|systemd|enough|accept|observer_cli"
    "|amqp10_common|base64url)(-[0-9].*)?"
)
_home_lock = threading.Lock()  # brokers may be started from several threads


class Broker(Process):
    """One RabbitMQ node of a host: `start()` it, `wait_ready()`; its disk outlives `kill()`."""

    def __init__(self, host: Host, *, port: int = 5672) -> None:
        """Describe a broker that listens on the host; nothing runs before `start`."""
        super().__init__(host, "rabbitmq")
        self.port = port
        self.directory = host.directory / "rabbitmq"
        self.node = f"rabbit@{host.name}"
        self._vhosts = 0

    def url(self, vhost: str = "/") -> str:
        """Give the AMQP URL, without a user."""
        return f"amqp://{self.host.address}:{self.port}/{vhost.replace('/', '%2F')}"

    def start(self) -> None:
        """Start the broker and return at once."""
        home = _slim_home()
        if not self.directory.exists():
            self._write_files()
        self.launch([str(home / "sbin" / "rabbitmq-server"), "-noinput"], self._environment(home), self.directory)

    def wait_ready(self, deadline_s: float = BOOT_DEADLINE_S) -> None:
        """Return when the broker greets a client; AssertionError, with the end of its log, after `deadline_s`."""
        try:
            until(self.is_ready, deadline_s, f"broker of {self.host.name} ready")
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.log()[-2000:]}") from None

    def is_ready(self) -> bool:
        """Tell whether the broker answers an AMQP header with Connection.Start."""
        with self.host.network():
            try:
                with socket.create_connection((self.host.address, self.port), timeout=2.0) as client:
                    client.sendall(b"AMQP\0\0\x09\x01")
                    return client.recv(1) == b"\x01"
            except OSError:
                return False

    def restart(self) -> None:
        """Stop, start and wait until ready."""
        self.stop()
        self.start()
        self.wait_ready()

    def ctl(self, *arguments: str) -> str:
        """Give the output of a rabbitmqctl command (0.7 s each: prefer `call`)."""
        home = _slim_home()
        return self.host.run(
            [str(home / "sbin" / "rabbitmqctl"), *arguments], 300.0, env=os.environ | self._environment(home)
        ).stdout

    def write_ctl(self, path: Path) -> None:
        """Write a program that does to this broker what `rabbitmqctl` does to the one of a host."""
        home = _slim_home()
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self._environment(home).items())
        path.write_text(f'#!/bin/sh\n{exports}exec {home}/sbin/rabbitmqctl "$@"\n')
        path.chmod(0o755)

    def call(self, erlang: str) -> str:
        """Give the result of Erlang expressions ("rabbit_vhost:list().") run inside the broker, as text, in 10 ms."""
        answer = self.host.run(
            ["erl_call", "-sname", self.node, "-c", COOKIE, "-timeout", "20", "-e"], input=erlang + "\n"
        )
        if not answer.stdout.startswith("{ok, "):
            raise OSError(f"{erlang}: {answer.stdout or answer.stderr}")
        return answer.stdout[len("{ok, ") : -1]

    def set_alarm(self) -> None:
        """Have the broker believe that its memory is used up: it reads from no publisher until `clear_alarm`."""
        self.call(f"rabbit_alarm:set_alarm({{{ALARM}, []}}), ok.")

    def clear_alarm(self) -> None:
        """End that."""
        self.call(f"rabbit_alarm:clear_alarm({ALARM}), ok.")

    def close_connections(self) -> None:
        """End every client's connection."""
        self.call('rabbit_networking:close_all_connections("lab"), ok.')

    def cut_connections(self) -> None:
        """Kill its end of every client's connection, which is not told why."""
        self.call("[exit(P, kill) || P <- rabbit_networking:local_connections()], ok.")

    @contextmanager
    def speaking_tls(self, certificate: Certificate, *, port: int = 5671, is_mutual: bool = False) -> Iterator[int]:
        """Have the broker speak TLS on one more port of all its addresses, and give that.

        Args:
            certificate: what it shows; read at each connection, and kept in mind for two minutes.
            is_mutual: who comes must show a certificate of the same authority (`fail_if_no_peer_cert`).
        """
        files = f'{{cacertfile,"{certificate.ca_file}"}},{{certfile,"{certificate.cert_file}"}}'
        verify = "{verify,verify_peer},{fail_if_no_peer_cert,true}" if is_mutual else "{verify,verify_none}"
        options = f'[{files},{{keyfile,"{certificate.key_file}"}},{verify}]'
        family = "inet6" if ":" in self._listen_address() else "inet"
        listener = f'{{"{self._listen_address()}", {port}, {family}}}'
        self.call(f"rabbit_networking:ensure_ssl(), rabbit_networking:start_ssl_listener({listener}, {options}, 1).")
        try:
            yield port
        finally:
            self.call(f"rabbit_networking:stop_tcp_listener({listener}).")

    def new_vhost(self) -> str:
        """Make a virtual host that nobody has used, with the usual rights, and give its name."""
        self._vhosts += 1
        name = f"v{self._vhosts}"
        self.call(f'rabbit_vhost:add(<<"{name}">>, <<"lab">>){self._grants(name)}.')
        return name

    def reset(self) -> None:
        """Leave what a new broker has: an empty virtual host "/", no alarm. Connections are closed by the broker."""
        emptied = '[rabbit_vhost:delete(V, <<"lab">>) || V <- rabbit_vhost:list_names()]'
        self.call(f'{emptied}, rabbit_vhost:add(<<"/">>, <<"lab">>){self._grants("/")}.')
        self.call("[garbage_collect(P) || P <- processes()], ok.")
        health = '{rabbit_vhost_sup_sup:is_vhost_alive(<<"/">>), rabbit_alarm:get_alarms()}.'
        until(lambda: self.call(health) == "{true, []}", what=f"the broker of {self.host.name} well")

    def _grants(self, vhost: str) -> str:
        grant = ', rabbit_auth_backend_internal:set_permissions(<<"{}">>, <<"{}">>, {}, <<"lab">>)'
        return "".join(
            grant.format(user, vhost, ", ".join(f"<<{json.dumps(pattern)}>>" for pattern in patterns))
            for user, patterns in RIGHTS.items()
        )

    def _environment(self, home: Path) -> dict[str, str]:
        return {
            "HOME": str(self.directory),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "none"),  # not the machine's /etc/rabbitmq
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.directory / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_SCRIPTS_DIR": str(home / "sbin"),
            "RABBITMQ_PLUGINS_DIR": str(home / "plugins"),
            # one scheduler each: several brokers share few cores
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +SDcpu 1:1 +SDio 1 +A 1",
            # without these the script keeps a shell around erl, whose handler of SIGTERM calls rabbitmqctl
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_ALLOW_INPUT": "",
        }

    def _listen_address(self) -> str:
        """Give all addresses of a host of its own, as RabbitMQ does by default; else the one address."""
        return "::" if self.host.namespace else self.host.address

    def _write_files(self) -> None:
        self.directory.mkdir()
        cookie = self.directory / ".erlang.cookie"
        cookie.write_text(COOKIE)
        cookie.chmod(0o400)  # Erlang refuses one that others can read
        (self.directory / "enabled_plugins").write_text("[].")
        (self.directory / "definitions.json").write_text(json.dumps(_definitions()))
        (self.directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {self._listen_address()}:{self.port}\n"
            f"load_definitions = {self.directory}/definitions.json\n"
            "loopback_users.guest = true\n"
            "vm_memory_high_watermark.absolute = 256MB\n"
            "disk_free_limit.absolute = 50MB\n"
            "log.console = true\n"
            "log.file = false\n"
            "collect_statistics_interval = 60000\n"  # nobody reads them, and they cost CPU
        )


def _definitions() -> dict[str, object]:
    passwords = {USER: PASSWORD, PEERS_USER: PEERS_PASSWORD, TESTER: TESTER_PASSWORD, "guest": "guest"}
    users: list[dict[str, object]] = [
        {
            "name": name,
            "password_hash": _hash(password),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": "",
            "limits": {},
        }
        for name, password in passwords.items()
    ]
    rights = [
        {"user": user, "vhost": "/", "configure": configure, "write": write, "read": read}
        for user, (configure, write, read) in RIGHTS.items()
    ]
    empty: dict[str, object] = {
        name: [] for name in ("topic_permissions", "parameters", "policies", "queues", "exchanges", "bindings")
    }
    return empty | {"users": users, "vhosts": [{"name": "/"}], "permissions": rights}


def _hash(password: str) -> str:
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _slim_home() -> Path:
    """Give a RabbitMQ home with the scripts and the plugins of a core broker; made once."""
    home = LAB_DIRECTORY / "rabbitmq"
    with _home_lock:
        if home.exists():
            return home
        installed = Path("/usr/lib/rabbitmq/bin/rabbitmq-server").resolve().parents[1]
        shutil.copytree(installed / "sbin", home / "sbin")
        (home / "escript").symlink_to(installed / "escript")
        (home / "plugins").mkdir()
        for plugin in (installed / "plugins").iterdir():
            if CORE_PLUGINS.fullmatch(plugin.name):
                (home / "plugins" / plugin.name).symlink_to(plugin)
    return home
