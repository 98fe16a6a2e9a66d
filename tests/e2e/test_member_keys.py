"""Separate keys: a host that has the keys of some networks only, on real brokers."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirosd_client.snoop_line import LINES_SIGNAL, decode_lines
from mirosd_client.wire import Delivery, Network
from tests.e2e.stage import Stage, staged
from tests.e2e.test_snooping import Program, Tap
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Daemon
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

NAMES = ("mesh", "system", "snoop_trace", "snoop_spy")
KEYS = {name: base64.urlsafe_b64encode(bytes([number] * 32)).decode() for number, name in enumerate(NAMES)}
OTHER = base64.urlsafe_b64encode(b"o" * 32).decode()

TELLER = """
import sys
from mirosd_client import Event, NetworkedActiveObject, return_status, signals, spy_on

@spy_on
def here(chart, e):
    if e.signal == signals.Turn:
        return chart.trans(there)
    chart.temp.fun = chart.top
    return return_status.SUPER

@spy_on
def there(chart, e):
    if e.signal == signals.Turn:
        return chart.trans(here)
    chart.temp.fun = chart.top
    return return_status.SUPER

chart = NetworkedActiveObject("teller", tx_routing_key="turn", rx_routing_key="turn")
chart.enable_snoop_trace()
chart.start_at(here)
chart.post_fifo(Event(signal=signals.Turn), times=0, period=0.2, deferred=True)
sys.stdin.read()
chart.close()
"""

MUTE = """
import json
from mirosd_client import Client
from mirosd_client.errors import DaemonRefusedError

with Client() as client:
    assert client.wait_connected(30)
    accepted = [client.transmit("Ping") for _ in range(3)]
    try:
        client.subscribe("#", print).wait_bound(30)
        refusal = ""
    except DaemonRefusedError as error:
        refusal = error.code
    print(json.dumps({"accepted": accepted, "refused": client.counters()["refused"], "refusal": refusal}))
"""


def start(stage: Stage, name: str, peer: str, **keys: str) -> Daemon:
    """Start a daemon that has these keys and no others."""
    mesh_file = mesh_key_file(stage.lan[name])
    shutil.rmtree(mesh_file.parent, ignore_errors=True)
    mesh_file.parent.mkdir()
    for network, key in keys.items():
        path = mesh_file.with_name(f"{network}.key")
        path.touch(mode=0o600)
        path.write_text(key + "\n")
    daemon = stage.daemon(name, [peer], settings={"networks": {"mesh": {"key_file": str(mesh_file)}}})
    daemon.start()
    return daemon


def mesh_key_file(host: Host) -> Path:
    """Give where a host's mesh key is, or would be; the other keys are beside it."""
    return host.directory / "keys" / "mesh.key"


def python(daemon: Daemon, source: str, **how: Any) -> "subprocess.Popen[str]":
    """Run a program on a daemon's host."""
    environment = os.environ | {"MIROSD_SOCKET": str(daemon.host.socket), "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
    return daemon.host.popen([sys.executable, "-c", source], env=environment, cwd=ROOT, **how)


@contextmanager
def telling(daemon: Daemon) -> Iterator[None]:
    """Have a chart move on a host, and enable its traces."""
    teller = python(daemon, TELLER, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        teller.communicate("", timeout=30)


def meshed(stage: Stage, **keys: str) -> tuple[Daemon, Daemon]:
    """Start h1 with a key for each network, and h2 with these."""
    h1 = start(stage, "h1", "h2", **KEYS)
    h2 = start(stage, "h2", "h1", system=KEYS["system"], **keys)
    for name in ("h1", "h2"):
        stage.wait_alive(name)
    return h1, h2


def networks_of(daemon: Daemon) -> list[str]:
    """Give the networks that the one peer has proved."""
    [peer] = daemon.ask("peers")["peers"]
    return sorted(peer["networks"])


def test_a_host_with_the_trace_key_sees_traces_and_can_transmit_nothing(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Alive both ways; events cost it nothing, its own are refused with why, traces arrive at its viewer (D46)."""
    with staged(lan, brokers) as stage:
        h1, h2 = meshed(stage, snoop_trace=KEYS["snoop_trace"])
        tap = Tap(brokers["h2"], Network.MESH)
        sent = h1.ask("send", "Ping")
        refused = h2.ctl("send", "Ping", check=False)
        mute = python(h2, MUTE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said, warned = mute.communicate(timeout=60)
        with Program(h2) as viewer, telling(h1):
            viewer.hear(1, "#")
            line = next(iter(decode_lines(viewer.heard(LINES_SIGNAL).payload)))

        assert [["snoop_trace"], ["snoop_trace"]] == [networks_of(h1), networks_of(h2)]
        assert ["snoop_trace"] == h2.ask("status")["networks"]
        assert (0, []) == (sent["unroutable_at"], tap.keys())
        assert (1, True) == (refused.returncode, "networks.mesh.key_file" in refused.stderr)
        assert 0 == mute.returncode, warned
        assert {"accepted": [False] * 3, "refused": 3, "refusal": "no_key"} == json.loads(said)
        assert "networks.mesh.key_file" in warned
        assert ("h1", "teller") == (line.host, line.chart)


def test_with_another_trace_key_no_trace_arrives(lan: Lan, brokers: dict[str, Broker]) -> None:
    """The two are members of the spy network together: lines of the other are not sent, though they are watched."""
    with staged(lan, brokers) as stage:
        h1, h2 = meshed(stage, snoop_trace=OTHER, snoop_spy=KEYS["snoop_spy"])
        tap = Tap(brokers["h2"])
        with Program(h2) as viewer, Program(h1) as nearer, telling(h1):
            viewer.hear(1, "#")
            nearer.hear(1, "#")
            for _ in range(10):  # 2 s: h2's heartbeats have said by then that somebody watches there
                nearer.heard(LINES_SIGNAL)

            assert [] == tap.keys()
            assert not viewer.was_told(Delivery)
        assert [["snoop_spy"], ["snoop_spy"]] == [networks_of(h1), networks_of(h2)]


def test_a_host_that_is_given_the_mesh_key_is_a_member_from_its_restart(lan: Lan, brokers: dict[str, Broker]) -> None:
    """The other, which runs on, learns it from the first heartbeats, and its events cross."""
    with staged(lan, brokers) as stage:
        h1, h2 = meshed(stage, snoop_trace=KEYS["snoop_trace"])
        h2.stop()
        shutil.copy(mesh_key_file(h1.host), mesh_key_file(h2.host))
        h2.start()
        stage.wait_alive("h2")
        until(lambda: "mesh" in networks_of(h1), what="h2 a member, as h1 sees it")
        near, far = stage.actor("h1", "near"), stage.actor("h2", "far")
        for actor in (near, far):
            assert actor.do("wait_subscribed")["subscribed"]
        for actor in (near, far):
            actor.do("send", count=3)

        until(lambda: far.numbers("near") == [1, 2, 3], what="from h1")
        until(lambda: near.numbers("far") == [1, 2, 3], what="from h2")
