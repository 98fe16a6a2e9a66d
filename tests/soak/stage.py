"""Three hosts, each with broker, daemon and a talking program; how faults are brought about, and when all is well."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from mirosd_client.control import ControlConnection
from mirosd_client.errors import MirosdError
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Daemon
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until
from tests.soak import figures
from tests.soak.faults import HOSTS, LONGER, STRUCK_OUT, Fault
from tests.soak.figures import Figures

WELL_S = 60.0
"""How long after a fault every peer may take to be alive again, and every program to hear every other."""

ANSWER_S = 90.0  # of a program: it settles for as long as an event lives
PER_S = 50.0
DEAD_ADDRESS = "10.77.0.99"
SETTINGS: dict[str, Any] = {"discovery": {"lan": {"enabled": True, "cache_minutes": 1}}}
"""Searched again every minute: so a daemon that was started again does, soon, what one that never ended does."""


class Account(NamedTuple):
    """Events that one program heard of another: how many, how many were left out, or came twice or out of order."""

    heard: int = 0
    missing: int = 0
    astray: int = 0


Accounts = dict[tuple[str, str], Account]
"""By hearer and sender."""


class ObservedDaemon(Daemon):
    """A daemon that counts what it holds."""

    MODULE = "tests.soak.observed"


class Talker:
    """The program of a host (talker.py). Each start of it is another sender."""

    MODULE = "tests.soak.talker"
    """What is run; it takes a name, and commands as talker.py does."""

    def __init__(self, host: Host) -> None:
        """Describe it; nothing runs yet."""
        self.log_path = host.directory / "talker.log"
        self._host = host
        self._starts = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def name(self) -> str:
        """By which others hear it."""
        return f"{self._host.name}.{self._starts}"

    def start(self) -> None:
        """Start it, and return when it is subscribed."""
        self._starts += 1
        with self.log_path.open("a") as log:
            self._process = self._host.popen(
                [sys.executable, "-m", self.MODULE, self.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"MIROSD_SOCKET": str(self._host.socket), "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"},
                cwd=ROOT,
            )
        assert {"subscribed": True} == self._answer()

    def do(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Tell it to do something, and give its answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process.wait()
            self._process = None

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        is_there, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        line = self._process.stdout.readline() if is_there else ""
        assert line, f"the program {self.name} gave no answer; its exit status: {self._process.poll()}"
        answer: dict[str, Any] = json.loads(line)
        return answer


class Stage:
    """The hosts, by name, with what runs on them."""

    DAEMON: type[Daemon] = ObservedDaemon
    TALKER: type[Talker] = Talker

    def __init__(self, lan: Lan, brokers: dict[str, Broker], settings: Mapping[str, Any] = SETTINGS) -> None:
        """Describe the daemons, with settings of theirs, and programs; nothing is started."""
        self.lan, self.brokers = lan, brokers
        self.daemons = {
            name: self.DAEMON(lan[name], brokers[name], hosts=self._others(name), settings=settings) for name in HOSTS
        }
        self.talkers = {name: self.TALKER(lan[name]) for name in HOSTS}
        self._of_the_dead: Accounts = {}

    def start(self) -> None:
        """Start all, and return when all are well and silent."""
        for daemon in self.daemons.values():
            daemon.start()
        for daemon in self.daemons.values():
            daemon.wait_ready()
        for talker in self.talkers.values():
            talker.start()
        self.wait_alive()

    def close(self) -> None:
        """End all of it."""
        for talker in self.talkers.values():
            talker.kill()
        for daemon in self.daemons.values():
            daemon.close()

    def talk(self) -> None:
        """Let every program talk."""
        for talker in self.talkers.values():
            talker.do("talk", per_s=PER_S)

    def rest(self) -> dict[str, int]:
        """Let every program be silent; give how many events of each are not settled."""
        return {name: talker.do("rest")["waiting"] for name, talker in self.talkers.items()}

    # When all is well.

    def wait_alive(self) -> None:
        """Return when every daemon is ready and sees both others alive."""
        began_s = time.monotonic()
        for name in HOSTS:
            until(lambda name=name: self._is_whole(name), WELL_S, f"{name} ready, with both peers alive")  # type: ignore[misc]
        for name in HOSTS:  # all at once, at the end
            left_s = max(1.0, WELL_S + began_s - time.monotonic())
            until(lambda name=name: self._is_whole(name), left_s, f"{name} still ready")  # type: ignore[misc]

    def wait_talking(self) -> None:
        """Return when every program has heard what every other one said after this was called."""
        said = {talker.name: talker.do("report")["sent"] for talker in self.talkers.values()}
        until(lambda: self._has_heard(said), WELL_S, "every program hears every other")

    def accounts(self) -> Accounts:
        """Give what each program, killed ones too, has heard of each other."""
        return self._of_the_dead | {
            (talker.name, sender): Account(*heard[1:])
            for talker in self.talkers.values()
            for sender, heard in talker.do("report")["heard"].items()
        }

    def _has_heard(self, said: dict[str, int]) -> bool:
        for name, talker in self.talkers.items():
            heard = talker.do("report")["heard"]
            deaf_to = [other for other in said if other != talker.name and heard.get(other, [0])[0] <= said[other]]
            assert not deaf_to, f"{name} hears nothing new of {', '.join(deaf_to)}"
        return True

    def _is_whole(self, name: str) -> bool:
        try:
            with ControlConnection(str(self.lan[name].socket), program="soak") as daemon:
                _, answer = daemon.ask("wait", {"peers": len(HOSTS) - 1, "timeout_s": 1.0})
                if not answer["ready"]:
                    raise AssertionError(answer["missing"])
                _, status = daemon.ask("status")
                assert status["state"] == "ready", status["reasons"]
                return True
        except MirosdError as exc:
            raise AssertionError(str(exc)) from exc

    # What they hold.

    def figures(self) -> dict[str, Figures]:
        """Give what each host's daemon and broker hold."""
        return {
            name: figures.of_process(self.daemons[name].pid)
            | figures.census(self.daemons[name].pid)[0]
            | figures.of_broker(self.brokers[name])
            for name in HOSTS
        }

    def classes(self) -> dict[str, Figures]:
        """Give how many objects of each class each host's daemon holds."""
        return {name: figures.census(self.daemons[name].pid)[1] for name in HOSTS}

    # Faults.

    def befall(self, fault: Fault) -> None:
        """Bring a fault about, let it last, and mend it."""
        with self.broken(fault):
            time.sleep(fault.seconds)

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """Bring a fault about, and mend it when the block is left."""
        match fault.kind:
            case "daemon killed":
                self.daemons[fault.host].kill()
                yield
                self.daemons[fault.host].start()
            case "daemon stopped":
                status = self.daemons[fault.host].stop()
                assert status == 0, f"the daemon of {fault.host} ended with {status}"
                yield
                self.daemons[fault.host].start()
            case "daemon paused":
                self.daemons[fault.host].pause()
                yield
                self.daemons[fault.host].resume()
            case "broker killed":
                self.brokers[fault.host].kill()
                yield
                self.brokers[fault.host].start()
                self.brokers[fault.host].wait_ready()
            case "broker in alarm":
                self.brokers[fault.host].set_alarm()
                yield
                self.brokers[fault.host].clear_alarm()
            case "link down":
                self.lan.unplug(self.lan[fault.host])
                yield
                self.lan.plug(self.lan[fault.host])
            case "partition":
                self.lan.partition([self.lan[fault.host]], [self.lan[fault.other]])
                yield
                self.lan.heal()
            case "frames lost":
                self.lan.lose(fault.percent)
                yield
                self.lan.heal()
            case "program killed":
                talker = self.talkers[fault.host]
                self._of_the_dead = self.accounts()
                talker.kill()
                yield
                talker.start()
                talker.do("talk", per_s=PER_S)
            case "hosts file edited":
                self._edit(fault)
                yield
                self._list_hosts(fault.host, self._others(fault.host))
            case _:
                raise ValueError(fault.kind)

    def _edit(self, fault: Fault) -> None:
        others = self._others(fault.host)
        if fault.other == STRUCK_OUT:
            self._list_hosts(fault.host, others[:-1])
        elif fault.other == LONGER:
            self._list_hosts(fault.host, [*others, DEAD_ADDRESS])
        else:
            self.daemons[fault.host].hosts_path.write_text('{"hosts": [,]}')
            os.kill(self.daemons[fault.host].pid, signal.SIGHUP)

    def _list_hosts(self, name: str, hosts: list[str]) -> None:
        self.daemons[name].write_hosts(hosts)
        os.kill(self.daemons[name].pid, signal.SIGHUP)

    def _others(self, name: str) -> list[str]:
        return [self.lan[other].address for other in HOSTS if other != name]


@contextmanager
def staged(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    """Give a stage on which all are well; it ends with the block."""
    with ExitStack() as exits:
        stage = Stage(lan, brokers)
        exits.callback(stage.close)
        stage.start()
        yield stage
