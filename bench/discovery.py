"""How long hosts take to find each other: three on one /24, each with RabbitMQ and mirosd, and nobody listed.

    python -m bench.discovery [--rounds N] [--json FILE]      (by `make bench`; on the lab's private machine)

Each round: all three started at once with an empty cache (`cold`); the same with 20 % of all frames lost (`lossy`); one
started again with what it has cached, while broadcasts are dropped so that only the cache can tell it whom to ask
(`cached`). The time runs from the last daemon's ready. `found`: each shows every other, whose sealed answer has come.
`alive`: each has proved every other over AMQP, and heartbeats have gone both ways.
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mirosd_client.control import ControlConnection
from mirosd_client.errors import MirosdError
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

RESULTS = Path(__file__).parent / "discovery.json"
DEADLINE_S = 60.0
LOSS_PERCENT = 20
GOALS = {"cold.found_s": 1.5, "lossy.found_s": 1.5, "cached.found_s": 0.5}
"""Seconds: the goals of the design, as medians."""

OWN_BROKER = "amqp://127.0.0.1:5672"
Figures = dict[str, float]


class Watch:
    """One daemon, watched from a thread of its own. Times are of the monotonic clock."""

    def __init__(self, daemon: Daemon, peers: int) -> None:
        self.ready_s = self.found_s = self.alive_s = 0.0
        self._daemon, self._peers = daemon, peers
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Return when all was seen; AssertionError when it takes too long."""
        self._thread.join(DEADLINE_S)
        assert self.alive_s, f"{self._daemon.host.name} found too few\n{self._daemon.log()[-3000:]}"

    def _look(self) -> None:
        socket = str(self._daemon.host.socket)
        connection = until(lambda: _connected(socket), DEADLINE_S, "the daemon's socket")
        assert connection is not None
        with connection:
            connection.ask("wait", {"peers": None, "timeout_s": DEADLINE_S}, DEADLINE_S)
            self.ready_s = time.monotonic()
        states: dict[str, str] = {}
        with ControlConnection(socket) as connection:
            for row in connection.stream("peers_watch", timeout_s=DEADLINE_S):
                if "peer" in row and row["peer"]["node"]:
                    states[row["peer"]["node"]] = row["peer"]["state"]
                if not self.found_s and len(states) >= self._peers:
                    self.found_s = time.monotonic()
                if list(states.values()).count("alive") >= self._peers:
                    self.alive_s = time.monotonic()
                    return


def _connected(socket: str) -> ControlConnection | None:
    try:
        return ControlConnection(socket)
    except MirosdError:
        return None


def measured(name: str, starting: Sequence[Daemon], peers: int) -> Figures:
    """Give the times of daemons that are started now."""
    for daemon in starting:
        daemon.start()
    watches = [Watch(daemon, peers) for daemon in starting]
    for watch in watches:
        watch.join()
    ready_s = max(watch.ready_s for watch in watches)
    return {
        f"{name}.found_s": max(0.0, max(watch.found_s for watch in watches) - ready_s),
        f"{name}.alive_s": max(0.0, max(watch.alive_s for watch in watches) - ready_s),
    }


def one_round(lan: Lan, brokers: Sequence[Broker]) -> Figures:
    """Give the figures of one round."""
    figures: Figures = {}
    for name in ("cold", "lossy"):
        with ExitStack() as exits:
            daemons = []
            for host, broker in zip(lan.hosts, brokers, strict=True):
                broker.reset()
                settings = {"discovery": {"lan": {"enabled": True}}}
                daemons.append(Daemon(host, OWN_BROKER, settings=settings))
                exits.callback(daemons[-1].close)
            if name == "lossy":
                lan.lose(LOSS_PERCENT)
            figures |= measured(name, daemons, len(daemons) - 1)
            lan.heal()
            if name == "cold":
                figures |= _cached(lan, daemons[0], len(daemons) - 1)
                lan.heal()
    return figures


def _cached(lan: Lan, daemon: Daemon, peers: int) -> Figures:
    cache = daemon.host.directory / "state" / "lan_cache.json"
    until(lambda: len(json.loads(cache.read_text())["addresses"]) == peers, what="the cache written")
    daemon.stop()
    lan.drop_broadcasts()
    return measured("cached", [daemon], peers)


def main() -> None:
    """Measure, print medians and ranges beside the goals, write the figures."""
    parser = argparse.ArgumentParser(prog="bench.discovery", description="how long hosts take to find each other")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    rounds: list[Figures] = []
    with ExitStack() as exits:
        lan = Lan(3)
        exits.callback(lan.close)
        brokers = [Broker(host) for host in lan.hosts]
        for broker in brokers:
            broker.start()
            exits.callback(broker.close)
        for broker in brokers:
            broker.wait_ready()
        while len(rounds) < arguments.rounds:
            rounds.append(one_round(lan, brokers))
            print(f"round {len(rounds)}: " + ", ".join(f"{name} {value:.2f}" for name, value in rounds[-1].items()))
    arguments.json.write_text(json.dumps({"schema": "bench.discovery/1", "rounds": rounds}, indent=2) + "\n")
    print(f"\n{'seconds after the last ready':30} {'median':>7} {'range':>15} {'goal':>7}")
    for name in rounds[0]:
        values = [figures[name] for figures in rounds]
        goal = f"<= {GOALS[name]:g}" if name in GOALS else ""
        print(f"{name:30} {statistics.median(values):7.2f} {min(values):7.2f} -{max(values):6.2f} {goal:>7}")


if __name__ == "__main__":
    main()
