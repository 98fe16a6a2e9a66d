"""Three hosts, each with broker, daemon and a witness; how each fault is brought about, and what is counted."""

import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from mirosd_client.control import ControlConnection
from tests.faults.leaping import LEAP_S
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.soak.faults import HOSTS, Fault
from tests.soak.stage import Stage, Talker

LONGER_S = 0.1
"""Each way, of a long cable: as far as another continent."""

FEW_DESCRIPTORS = 8
"""Fewer than any daemon has open, so that it gets no new one; its own poll(2) still may look at some."""

DAWDLE_S = 0.01
STUMBLE_EVERY = 10

Counts = Mapping[tuple[str, str], int]
"""By who counted (a daemon's process, a program) and what."""


class LeapingDaemon(Daemon):
    """A daemon whose wall clock can be made to leap."""

    MODULE = "tests.faults.leaping"


class Witness(Talker):
    """The program of a host (witness.py)."""

    MODULE = "tests.faults.witness"


class Bench(Stage):
    """The hosts, by name, with what runs on them."""

    DAEMON, TALKER = LeapingDaemon, Witness

    def __init__(self, lan: Lan, brokers: dict[str, Broker], settings: Mapping[str, Any]) -> None:
        """Describe it; nothing is started."""
        super().__init__(lan, brokers, settings)
        self.settings = settings
        self.since_s: dict[str, float] = {}
        """When a program that was started since `begin` was subscribed."""

    def begin(self) -> None:
        """Begin a new history."""
        self.since_s.clear()
        for witness in self.talkers.values():
            witness.do("begin")

    def counts(self) -> Counts:
        """Give what every daemon and program has counted since it was started."""
        counts: dict[tuple[str, str], int] = {}
        for name in HOSTS:
            with self.control(name) as daemon:
                status = daemon.ask("status")[1]
            counts |= {(f"mirosd {self.daemons[name].pid}", what): n for what, n in status["counters"].items()}
            of_program = self.talkers[name].do("report")["counters"]
            # which of its events reached nobody, a program has from its daemon
            counts |= {(self.talkers[name].name, what): n for what, n in of_program.items() if what != "unroutable"}
        return counts

    def control(self, name: str) -> ControlConnection:
        """Give a connection to a host's daemon."""
        return ControlConnection(str(self.lan[name].socket), program="faults")

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """Bring a fault about, and mend it when the block is left."""
        match fault.kind:
            case "daemons killed":
                with ExitStack() as both:
                    for name in (fault.host, fault.other):
                        both.enter_context(super().broken(Fault("daemon killed", name)))
                    yield
            case "host dead":
                with ExitStack() as both:
                    both.enter_context(super().broken(Fault("daemon killed", fault.host)))
                    both.enter_context(super().broken(Fault("broker killed", fault.host)))
                    yield
            case "broker stopped":
                self.brokers[fault.host].stop()
                yield
                self.brokers[fault.host].start()
                self.brokers[fault.host].wait_ready()
            case "broker paused":
                self.brokers[fault.host].pause()
                yield
                self.brokers[fault.host].resume()
            case "one way":
                self.lan.partition([self.lan[fault.host]], [self.lan[fault.other]], is_one_way=True)
                yield
                self.lan.heal()
            case "long cable":
                self.lan.lengthen(self.lan[fault.host], LONGER_S)
                yield
                self.lan.heal()
            case "no descriptors":
                pid = self.daemons[fault.host].pid
                usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (FEW_DESCRIPTORS, usual[1]))
                self.brokers[fault.other].close_connections()
                yield
                resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
            case "clock leaps":
                os.kill(self.daemons[fault.host].pid, signal.SIGUSR1)
                self.talkers[fault.host].do("leap", s=LEAP_S)
                yield
                os.kill(self.daemons[fault.host].pid, signal.SIGUSR2)
                self.talkers[fault.host].do("leap", s=-LEAP_S)
            case "chart slow":
                self.talkers[fault.host].do("dawdle", s=DAWDLE_S)
                yield
                self.talkers[fault.host].do("dawdle", s=0)
            case "chart raises":
                self.talkers[fault.host].do("stumble", every=STUMBLE_EVERY)
                yield
                self.talkers[fault.host].do("stumble", every=0)
            case "program killed":
                witness = self.talkers[fault.host]
                witness.kill()
                yield
                witness.start()
                self.since_s[witness.name] = time.monotonic()
            case _:
                with super().broken(fault):
                    yield


def counted_since(before: Counts, after: Counts) -> Counter[str]:
    """Give by counter what came to it; of a daemon that was started since, all that it has counted."""
    counted: Counter[str] = Counter()
    for (who, what), count in after.items():
        counted[what] += count - before.get((who, what), 0)
    return counted
