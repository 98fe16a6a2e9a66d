"""What `mirosctl doctor` says on real hosts: each fault is found with its cure, and nothing else is called one."""

import contextlib
import grp
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Daemon
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

OWN_BROKER = "amqp://127.0.0.1:5672"
OTHER_KEY = "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28="
GROUP, USER, OUTSIDER = "mirosdtest", "insider", "outsider"
USUAL_FIREWALL = ("ct state established,related accept", "iif lo accept", "meta l4proto { icmp, ipv6-icmp } accept")
ON_LAN = {"discovery": {"lan": {"enabled": True}}}


@pytest.fixture
def stage(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    with staged(lan, brokers) as made:
        yield made


def examined(daemon: Daemon) -> dict[str, list[dict[str, Any]]]:
    """Give what is wrong, by code."""
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in daemon.ask("doctor")["checks"]:
        if finding["level"] in ("warning", "fault"):
            found.setdefault(finding["code"], []).append(finding)
    return found


def wait_for(daemon: Daemon, *codes: str) -> dict[str, dict[str, Any]]:
    """Return when the doctor finds exactly this; print what a user reads."""
    found: dict[str, list[dict[str, Any]]] = {}

    def is_found() -> bool:
        found.clear()
        found.update(examined(daemon))
        assert set(codes) == set(found), found
        return True

    until(is_found, what=f"the doctor finds {', '.join(codes) or 'nothing'} at {daemon.host.name}")
    for finding in (finding for group in found.values() for finding in group):
        assert finding["cure"], finding
        assert finding["commands"], finding
    return {code: group[0] for code, group in found.items()}


def side_by_side(*cases: tuple[Daemon, str]) -> list[dict[str, Any]]:
    """Give what the doctor finds at each host, where it finds exactly this."""
    with ThreadPoolExecutor() as threads:
        waiting = {code: threads.submit(wait_for, daemon, code) for daemon, code in cases}
        return [found.result()[code] for code, found in waiting.items()]


def show(daemon: Daemon) -> str:
    """Print what a user reads, and give it."""
    told = daemon.ctl("doctor", check=False)
    print(f"--- mirosctl doctor at {daemon.host.name} ({told.returncode})\n{told.stdout}{told.stderr}")
    return told.stdout


def shown_well(daemon: Daemon) -> str:
    """Give what a user reads, if nothing is wrong."""
    text = show(daemon)
    assert "nothing is wrong" in text
    return text


def pair(stage: Stage, **options: Any) -> tuple[Daemon, Daemon]:
    """Start h1 and h2, who list each other, and wait until they are alive."""
    h1 = stage.daemon("h1", ["h2"], **({"broker": OWN_BROKER} | options))
    h2 = stage.daemon("h2", ["h1"], broker=OWN_BROKER, settings=options.get("settings"))
    h1.start()
    h2.start()
    stage.wait_alive("h1")
    stage.wait_alive("h2")
    return h1, h2


def test_on_the_lan(stage: Stage) -> None:
    """A healthy pair; broadcasts dropped by the switch; then one host's firewall, by port and direction."""
    h1, h2 = pair(stage, settings=ON_LAN)
    text = until(lambda: shown_well(h1), what="nothing is wrong")
    assert {"ok"} == {line.split()[0] for line in text.splitlines()[:-2]}

    stage.lan.drop_broadcasts()
    wait_for(h1, "lan.broadcasts")
    stage.lan.heal()

    filtered(h2.host, "input", *USUAL_FIREWALL, "tcp dport 5672 accept", "drop")
    wait_for(h2, "lan.udp_in")
    stage.lan.heal()

    filtered(h2.host, "input", "udp dport 27672 drop")
    silent, deaf = side_by_side((h1, "lan.silent_peer"), (h2, "lan.udp_in"))
    assert "h2 at 10.77.0.2" in silent["cause"]
    assert "sudo ufw allow 27672/udp" in deaf["commands"]
    stage.lan.heal()

    filtered(h2.host, "output", "udp dport 27672 drop")
    wait_for(h2, "lan.udp_out")
    stage.lan.heal()

    filtered(h2.host, "input", "ip daddr 10.77.0.2 tcp dport 5672 drop")
    assert "sudo ufw allow 5672/tcp" in wait_for(h2, "broker.tcp_in")["broker.tcp_in"]["commands"]
    stage.lan.heal()
    stage.wait_alive("h1")

    filtered(h2.host, "input", *USUAL_FIREWALL, "udp dport 27672 accept", "drop")
    stage.brokers["h2"].close_connections()
    closed, unheard = side_by_side((h1, "peers.tcp_in"), (h2, "peers.unheard"))
    assert "sudo ufw allow 5672/tcp  # at 10.77.0.2" in closed["commands"]
    assert "mirosctl scout 10.77.0.2:5672  # at 10.77.0.1" in unheard["commands"]


def test_the_own_broker(stage: Stage) -> None:
    """Not there, an account that is refused, guest from remote, slow to greet, heard by nobody else."""
    account = {"broker": {"user": "guest", "password": "guest"}}
    elsewhere = {"broker": {"advertise": ["10.77.0.1:5999"]}}
    here = {"broker": {"advertise": ["10.77.0.2:5672"]}}
    with late(stage.lan["h2"], 5673, delay_s=2.1):
        cases = {
            ("broker.loopback_only", "peers.none"): alone(stage, "h1", OWN_BROKER, elsewhere),
            ("broker.slow", "peers.none"): alone(stage, "h2", "amqp://127.0.0.1:5673", here),
            ("broker.guest_remote",): alone(stage, "h3", stage.brokers["h2"].url(), account),
        }
        for codes, daemon in cases.items():
            wait_for(daemon, *codes)
    for daemon in cases.values():
        daemon.stop()
    cases = {
        ("broker.tcp(refused)",): alone(stage, "h1", "amqp://127.0.0.1:5998"),
        ("broker.auth",): alone(stage, "h2", OWN_BROKER, {"broker": {"password": "wrong"}}),
    }
    for codes, daemon in cases.items():
        wait_for(daemon, *codes)


def test_other_hosts(stage: Stage) -> None:
    """Clocks that differ a little and by far, another password, another key, and a copied state directory."""
    h1 = stage.daemon("h1", ["h2", "h3"], broker=OWN_BROKER)
    h1.start()
    others = {}
    for name, offset_s in (("h2", 5), ("h3", -120)):
        settings = {"clock": {"offset_s": offset_s}}
        others[name] = stage.daemon(name, ["h1"], broker=OWN_BROKER, settings=settings)
        others[name].start()
    found = wait_for(h1, "clock.off", "clock.far")
    assert "5 s ahead of" in found["clock.off"]["cause"]
    assert "120 s behind" in found["clock.far"]["cause"]

    h1.write_hosts([stage.lan["h2"].address])
    for other in others.values():
        other.stop()
    copied = Path(h1.host.directory / "state" / "node.json").read_text()
    h2 = stage.daemon("h2", ["h1"], broker=OWN_BROKER)
    (h2.host.directory / "state").mkdir()
    (h2.host.directory / "state" / "node.json").write_text(copied)
    h2.start()
    for_both = "one of them draws a new id and says so"  # whoever is younger, if it is by so much that this can be told
    until(lambda: [[], ["identity.renewed"]] == sorted([*examined(one)] for one in (h1, h2)), what=for_both)

    h1.stop()
    h1 = stage.daemon("h1", ["h2"], broker=OWN_BROKER, settings={"peers": {"password": "wrong"}})
    h3 = stage.daemon("h3", ["h2"], broker=OWN_BROKER, key=OTHER_KEY)
    for daemon in (h1, h3):
        daemon.start()
    wait_for(h1, "peers.auth")
    wait_for(h3, "peers.key")


def test_who_may_ask(stage: Stage) -> None:
    """A user outside of the group, one who has not logged in again, one who may only look; and no daemon at all."""
    h1 = stage.daemon("h1", [], broker=OWN_BROKER, settings={"socket": {"group": GROUP, "operators": GROUP}})
    h1.host.socket.unlink(missing_ok=True)
    with users():
        none = doctor_as(h1, USER, groups=[])
        assert ["service.elsewhere"] == [finding["code"] for finding in none if finding["level"] == "fault"]
        h1.start()
        h1.wait_ready()
        gid = grp.getgrnam(GROUP).gr_gid
        for user, groups, code in ((USER, [], "socket.log_in_again"), (OUTSIDER, [], "socket.not_a_member")):
            found = {finding["code"]: finding for finding in doctor_as(h1, user, groups=groups)}
            print(found)
            assert {code} == {finding["code"] for finding in found.values() if finding["level"] == "fault"}
            assert found[code]["commands"]
        assert "sudo usermod -aG mirosdtest outsider" in found["socket.not_a_member"]["commands"]
        assert {"ok", "skipped"} >= {
            finding["level"] for finding in doctor_as(h1, USER, groups=[gid]) if finding["code"] != "peers.none"
        }


def test_full_queues(stage: Stage) -> None:
    """A chart whose program is stopped, and more sent to it than its queue may hold."""
    h1, _ = pair(stage, settings={"delivery": {"queue_bytes": 524288, "prefetch": 1}})
    listener = stage.actor("h1", "listener")
    assert listener.do("wait_subscribed")["subscribed"]
    listener.pause()
    stage.actor("h1", "talker", rx="nothing").do("send", count=20000)
    wait_for(h1, "queues.overflow_in_queue")
    listener.resume()


# --- what the cases need -------------------------------------------------------------


def alone(stage: Stage, name: str, broker: str, settings: dict[str, Any] | None = None) -> Daemon:
    """Start the daemon of a host that lists nobody; returns at once."""
    daemon = stage.daemon(name, [], broker=broker, settings=settings)
    daemon.start()
    return daemon


def filtered(host: Host, hook: str, *lines: str) -> None:
    """Give a host a firewall, until the LAN is healed."""
    rules = "\n".join(lines)
    table = f"table inet doctor {{\nchain doctor {{\ntype filter hook {hook} priority 0\n{rules}\n}}\n}}\n"
    host.run(["nft", "-f", "-"], input=table)


@contextlib.contextmanager
def late(host: Host, port: int, delay_s: float) -> Iterator[None]:
    """Have a port of a host lead to its broker, which greets there later by so much: as when it looks a name up."""
    with host.network():
        listening = socket.create_server(("127.0.0.1", port))
        accepting = threading.Thread(target=_accept, args=(listening, delay_s), daemon=True)
        accepting.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listening.close()


def _accept(listening: socket.socket, delay_s: float) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_relay, args=(client, delay_s), daemon=True).start()


def _relay(client: socket.socket, delay_s: float) -> None:
    time.sleep(delay_s)
    with client, socket.create_connection(("127.0.0.1", 5672)) as broker:
        back = threading.Thread(target=_pass_on, args=(broker, client), daemon=True)
        back.start()
        _pass_on(client, broker)
        back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def users() -> Iterator[None]:
    """Make a group with one member, and a user who is not in it; /etc is the lab's own."""
    lines = {
        "/etc/passwd": f"{USER}:x:4001:4001::/:/bin/sh\n{OUTSIDER}:x:4002:4002::/:/bin/sh\n",
        "/etc/group": f"{USER}:x:4001:\n{OUTSIDER}:x:4002:\n{GROUP}:x:4000:{USER}\n",
    }
    before = {path: Path(path).read_text() for path in lines}
    for path, added in lines.items():
        Path(path).write_text(before[path] + added)
    try:
        yield
    finally:
        for path, text in before.items():
            Path(path).write_text(text)


def doctor_as(daemon: Daemon, user: str, *, groups: list[int]) -> list[dict[str, Any]]:
    """Give what the doctor tells a user whose login holds these groups beside his own."""
    uid = {USER: 4001, OUTSIDER: 4002}[user]
    become = f"import os; os.setgroups({groups}); os.setgid({uid}); os.setuid({uid})"
    loaded = "import mirosctl.commands.doctor, mirosctl.wsl"  # before: others may not read the checkout
    told = daemon.host.run(
        [sys.executable, "-c", f"{loaded}; from mirosctl.main import main; {become}; main()", "doctor", "--json"],
        env=os.environ | {"MIROSD_SOCKET": str(daemon.host.socket), "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"},
        check=False,
    )
    findings: list[dict[str, Any]] = json.loads(told.stdout)["checks"]
    return findings
