"""Two or three hosts with daemons, and actors on them: what the crossing tests share."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Daemon
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until


class Actor:
    """A statechart program on a host, told what to do (see actor.py)."""

    def __init__(self, host: Host, name: str, *, tx: str = "item.any", rx: str = "item.#") -> None:
        argv = [sys.executable, "-m", "tests.e2e.actor", name, "--tx", tx, "--rx", rx]
        environment = os.environ | {"MIROSD_SOCKET": str(host.socket), "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
        self._process = host.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
        assert {"started": True} == self._answer()

    def do(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Tell the program to do something, and give its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def numbers(self, sender: str) -> list[int]:
        """Give the numbers of the sender's items in the order they were handled."""
        return [number for name, number, _ in self.do("report")["handled"] if name == sender]

    def pause(self) -> None:
        """Hang it (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the program in order, or at once when it does not listen. Again: nothing."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        try:
            self._process.communicate('{"do": "quit"}\n', timeout=10)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        finally:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the actor ended with {self._process.wait(5)}"
        answer: dict[str, Any] = json.loads(line)
        return answer


class Stage:
    """Hosts h1, h2, ... each with a broker; daemons and actors are put on it as a test needs them."""

    def __init__(self, lan: Lan, brokers: dict[str, Broker], exits: ExitStack) -> None:
        self.lan, self.brokers, self._exits = lan, brokers, exits
        self.daemons: dict[str, Daemon] = {}

    def daemon(self, name: str, peers: Sequence[str], **options: Any) -> Daemon:
        """Describe host `name`'s daemon, which lists `peers` (names); it is not started."""
        addresses = [self.lan[peer].address for peer in peers]
        daemon = Daemon(self.lan[name], options.pop("broker", self.brokers[name]), hosts=addresses, **options)
        self.daemons[name] = daemon
        self._exits.callback(daemon.close)
        return daemon

    def actor(self, host: str, name: str, **keys: str) -> Actor:
        """Start an actor on a host."""
        actor = Actor(self.lan[host], name, **keys)
        self._exits.callback(actor.close)
        return actor

    def tell(self) -> None:
        """Print the end of each daemon's log."""
        for name, daemon in self.daemons.items():
            print(f"--- mirosd of {name}\n{daemon.log()[-6000:]}")

    def wait_alive(self, name: str, peers: int = 1) -> None:
        """Return when a host's daemon sees `peers` peers alive both ways."""
        daemon = self.daemons[name]
        until(
            lambda: list(daemon.peers().values()).count("alive") >= peers,
            what=f"{peers} peers alive at {name}",
        )


@contextmanager
def staged(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    """Give a stage; everything put on it is ended with it, last first. A test that fails shows what daemons logged."""
    with ExitStack() as exits:
        stage = Stage(lan, brokers, exits)
        exits.callback(stage.tell)
        yield stage
