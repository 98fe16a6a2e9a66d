"""What a seed draws: hosts, programs, what they transmit, and what goes wrong. Data alone, so that it can be shown."""

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from mirosd.core.settings import DeliverySettings
from mirosd_client.window import WINDOW_BYTES
from tests.simulation.faults import KINDS, LONG_KINDS

KEYS = ("a.b", "a.b", "a.c", "d", "nobody")
BINDINGS = ("a.*", "a.b", "#.c", "d", "a.#", "a.*")
"""Nobody hears `nobody`, so that some events are unroutable everywhere."""

BURSTS = (1, 2, 5, 20, 40, 80)
"""Events accepted at once: from an idle client's single one to more than a body's repeat can hide."""

QUIET_S = 1.2
"""Hosts find each other before anything goes wrong, mostly."""

LONG_SHARE = 0.15
"""Of the runs: those where something lasts longer than an event lives. They cost twice as much."""

LONG_S = (51.0, 55.0)
"""Longer than an event's 50 s; with the 4 s until its daemon is connected again shorter than a queue lives unused."""

LONGER_S = (61.0, 75.0)
"""Longer than a silent peer is owed anything: for what leaves its daemon and broker alone."""

LONGER_KINDS = frozenset({"partition", "isolation", "chart_asleep", "program_stopped"})


class Burst(NamedTuple):
    """One program transmits: when, which, from which of its charts, and the routing key of each event."""

    at_s: float
    program: int
    chart: int
    keys: tuple[str, ...]


class Fault(NamedTuple):
    """Something goes wrong: when, what, for how long, at which host, with which other (where there is one)."""

    at_s: float
    kind: str
    for_s: float
    host: str
    other: str


class Program(NamedTuple):
    """Its host, and the binding keys of its charts."""

    host: str
    bindings: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """One run."""

    seed: int
    brokers: dict[str, str]
    """The host whose broker each host uses."""
    listed: dict[str, list[str]]
    """The brokers where each looks for others; many hosts list two alone, and find the others as these find them."""
    programs: tuple[Program, ...]
    bursts: tuple[Burst, ...]
    faults: tuple[Fault, ...]
    healed_s: float
    slowest_s: float
    window_bytes: int
    settings: DeliverySettings


def draw(seed: int) -> Scenario:
    """Give the scenario of a seed."""
    random = Random(f"scenario {seed}")
    size = random.random()
    is_long = size < LONG_SHARE
    count = _host_count(random, size)
    hosts = [f"h{number}" for number in range(count)]
    brokers = {host: host for host in hosts}
    if count > 2 and random.random() < 0.1:
        brokers[hosts[-1]] = hosts[0]
    programs = tuple(
        Program(host, tuple(random.choice(BINDINGS) for _ in range(random.choice((0, 1, 1, 2)))))
        for host in hosts
        for _ in range(random.choice((1, 1, 2)) if count < 7 else random.choice((0, 1)))
    )
    healed_s = QUIET_S + (LONGER_S[1] + 8.0 if is_long else random.uniform(2.0, 8.0) if count < 7 else 2.0)
    faults = sorted(_faults(random, hosts, healed_s, is_long))
    return Scenario(
        seed,
        brokers,
        {host: _listed(random, host, brokers) for host in hosts},
        programs,
        tuple(sorted(_bursts(random, len(programs), faults, healed_s))),
        tuple(faults),
        healed_s,
        random.choice((0.001, 0.01, 0.05)),
        random.choice((24 * 1024, WINDOW_BYTES, WINDOW_BYTES, WINDOW_BYTES)),
        _settings(random),
    )


def _host_count(random: Random, size: float) -> int:
    if size > 0.99:
        return random.choice((20, 30, 40, 50))
    if size > 0.96:
        return random.randint(7, 12)
    return random.choice((2, 2, 2, 3, 3, 4)) if size > LONG_SHARE else 2


def _listed(random: Random, host: str, brokers: dict[str, str]) -> list[str]:
    others = sorted({broker for other, broker in brokers.items() if other != host})
    return others if len(brokers) < 7 else sorted(random.sample(others, 2))


def _settings(random: Random) -> DeliverySettings:
    plain = DeliverySettings()
    if random.random() < 0.8:
        return plain
    return DeliverySettings(
        pending_bytes=random.choice((20_000, plain.pending_bytes)),
        queue_bytes=random.choice((8_000, plain.queue_bytes)),
        prefetch=random.choice((1, 4, plain.prefetch)),
    )


def _faults(random: Random, hosts: list[str], healed_s: float, is_long: bool) -> list[Fault]:
    faults = []
    for _ in range(random.randint(1, 8)):
        kind = random.choice(sorted(KINDS))
        for_s = random.choice((0.01, 0.2, 1.0, 3.0)) * random.uniform(0.5, 1.5)
        host, other = random.sample(hosts, 2)
        at_s = random.uniform(0.1 if random.random() < 0.1 else QUIET_S, healed_s - for_s - 0.1)
        faults.append(Fault(max(at_s, 0.1), kind, min(for_s, healed_s - 0.2), host, other))
    for _ in range(random.choice((1, 2)) if is_long else 0):
        host, other = random.sample(hosts, 2)
        kind = random.choice(LONG_KINDS)
        is_longer = kind in LONGER_KINDS and random.random() < 0.5
        for_s = random.uniform(*(LONGER_S if is_longer else LONG_S))
        faults.append(Fault(QUIET_S + random.uniform(0.0, 6.0), kind, for_s, host, other))
    return faults


def _bursts(random: Random, programs: int, faults: list[Fault], healed_s: float) -> list[Burst]:
    bursts = []
    for _ in range(min(3 * programs + 2, 24) if programs else 0):
        near_s = random.choice(faults).at_s + random.uniform(-0.02, 0.02)
        at_s = near_s if random.random() < 0.6 else random.uniform(0.3, healed_s)
        count = random.choice(BURSTS)
        one = random.choice(KEYS)
        is_mixed = random.random() < 0.5
        keys = tuple(random.choice(KEYS) if is_mixed else one for _ in range(count))
        bursts.append(Burst(max(at_s, 0.3), random.randrange(programs), random.choice((0, 1, 2)), keys))
    return bursts
