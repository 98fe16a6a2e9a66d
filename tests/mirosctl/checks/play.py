"""A machine and a daemon's words as a test wants them, for the checks of the doctor; all is well unless it says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

from mirosctl.checks.patient import Access, Greeting, KeyFile, Patient, Said
from mirosd_client.errors import MirosdError

SOCKET = "/run/mirosd/mirosd.sock"
NODE = "ab" * 16
GOOD_KEY = KeyFile(True, 0o640, "mirosd")


@dataclass
class FakeMachine:
    """A machine that is well: patient.Machine."""

    unit_: Mapping[str, str] | None = None
    config: Sequence[str] | None = ()
    access_: Access | None = None
    key: KeyFile | None = GOOD_KEY
    greetings: dict[str, Greeting] = field(default_factory=dict)
    clock: bool | None = True
    wsl: bool = False
    greeted: list[str] = field(default_factory=list)
    gate: Barrier | None = None
    """Where whoever says hello waits until so many do."""

    def unit(self) -> Mapping[str, str] | None:
        return self.unit_

    def config_faults(self) -> Sequence[str] | None:
        return self.config

    def access(self, path: str) -> Access | None:
        return self.access_

    def key_file(self, path: str) -> KeyFile | None:
        return self.key

    def greet(self, host: str, port: int) -> Greeting:
        self.greeted.append(f"{host}:{port}")
        if self.gate is not None:
            self.gate.wait()
        return self.greetings.get(host, Greeting("", 0.003))

    def is_wsl(self) -> bool:
        return self.wsl

    def clock_is_set(self) -> bool | None:
        return self.clock


def status(**fields: Any) -> dict[str, Any]:
    """Give the status of a daemon that is well; `broker` and `counters` are laid over its own."""
    broker = {"address": "127.0.0.1:5672", "state": "connected", "detail": "", "user": "mirosd", "tls": False}
    told: dict[str, Any] = {
        "state": "ready",
        "reasons": [],
        "node": NODE,
        "name": "h1",
        "system": "default",
        "networks": ["mesh", "snoop_trace", "snoop_spy"],
        "version": "0.1.0",
        "uptime_s": 7.25,
        "producer_sets": [],
        "lan": {"port": 27672, "off": ""},
        "renewed": "",
    }
    counters = {"lan_sent": 9, "lan_own": 5, "lan_answers": 7, "lan_broadcast_answers": 5}
    return (
        told
        | fields
        | {"broker": broker | {"told": ["10.0.0.1:5672"]} | fields.get("broker", {})}
        | {"counters": counters | fields.get("counters", {})}
    )


def peer(name: str = "h2", **fields: Any) -> dict[str, Any]:
    """Give a peer's line, alive."""
    return {
        "node": "cd" * 16,
        "name": name,
        "address": "10.0.0.2",
        "state": "alive",
        "reason": "",
        "clock_ahead_s": 0.01,
        "stages": [],
    } | fields


def heard(address: str = "10.0.0.2", **fields: Any) -> dict[str, Any]:
    """Give what an address of the LAN answered to a search: the peer's answer."""
    row = {"address": address, "neighbour": "alive", "mac": "02:00:00:00:00:02", "node": "cd" * 16, "name": "h2"}
    return row | {"verdict": "proved", "took_ms": 1.0} | fields


def said(**fields: Any) -> Said:
    """Give what a daemon that is well says, with one peer.

    Args:
        status_, after: fields of its status before and behind the search.
    """
    unsearched = {"lan_sent": 0, "lan_own": 0, "lan_answers": 0, "lan_broadcast_answers": 0}
    first = fields.pop("status_", {})
    words: dict[str, Any] = {
        "rights": frozenset({"read", "transmit", "operate"}),
        "status": status(**(first | {"counters": unsearched | first.get("counters", {})})),
        "peers": [peer()],
        "clients": [],
        "search": [heard()],
        "unsearched": "",
    } | fields
    after = status(**words.pop("after", {}))
    return Said(**(words | {"after": after}))


def patient(machine: FakeMachine | None = None, **fields: Any) -> Patient:
    """Give a patient whose daemon answers as `said` says."""
    return Patient(machine or FakeMachine(), (SOCKET,), said(**fields))


def alone(refusal: MirosdError, machine: FakeMachine | None = None, *, is_named: bool = False) -> Patient:
    """Give a patient whose daemon does not answer, or not to this user."""
    return Patient(machine or FakeMachine(), (SOCKET,), refusal=refusal, is_named=is_named)
