"""A simulated host: a broker, a daemon that comes and goes, a disk that stays, and programs."""

import asyncio
from collections.abc import Callable, Collection, Mapping

from mirosd.core.settings import DeliverySettings
from mirosd.payloads import Introduction
from mirosd_client.errors import DaemonUnavailableError
from tests.simulation.broker import SimBroker
from tests.simulation.daemon import Disk, SimDaemon
from tests.simulation.local import LocalSocket
from tests.simulation.processes import Process
from tests.simulation.programs import SimProgram
from tests.simulation.wires import Network


class SimHost:
    """One host. Its name is its address.

    Attributes:
        known: the brokers that events of this host are owed to: all that its delivery set on disk ever had, but those
            that were let go of.
        retired_s: when a broker was let go of, the last time.
        is_leaving: its daemon is being stopped.
        trouble: the parts that something is wrong with.
    """

    def __init__(
        self,
        name: str,
        own: SimBroker,
        broker: SimBroker,
        listed: list[str],
        network: Network,
        settings: DeliverySettings,
        seed: int,
        *,
        prove: Callable[[str, str], Introduction | None],
        on_count: Callable[["SimHost", str, int], None],
    ) -> None:
        self.name, self.own_broker, self.broker = name, own, broker
        self.daemon: SimDaemon | None = None
        self.daemon_process = Process(f"{name} daemon")
        self.programs: list[SimProgram] = []
        self.known: set[str] = set()
        self.retired_s: dict[str, float] = {}
        self.trouble: set[str] = set()
        self.starts = 0
        self.is_leaving = False
        self._listed, self._network, self._settings, self._seed = listed, network, settings, seed
        self._prove, self._on_count = prove, on_count
        self._disk = Disk()
        self._loop = asyncio.get_running_loop()
        self._may_shrink = False
        self._began_s = 0.0

    def start_daemon(self) -> None:
        """Start the daemon (again)."""
        self.starts += 1
        self._began_s = self._loop.time()
        process = self.daemon_process = Process(f"{self.name} daemon {self.starts}")
        self.daemon = process.run(self._make_daemon)
        process.run(self.daemon.start)

    def kill_daemon(self) -> None:
        """Kill it: some of what it had sent arrives."""
        daemon, self.daemon = self.daemon, None
        if daemon is None:
            return
        wires = [wire for wire in self._network.wires if wire.owner is daemon.process]
        for wire in wires:
            self._network.gasp(wire)
        daemon.die()
        for wire in wires:
            wire.link.cut()

    async def stop_daemon(self) -> None:
        """Stop it in order."""
        daemon = self.daemon
        if daemon is not None:
            self.is_leaving = True
            await daemon.process.run(self._loop.create_task, daemon.leave())
            self.kill_daemon()
            self.is_leaving = False

    def open_socket(self, program: Process) -> LocalSocket:
        """Give a program's end of a connection to the daemon; DaemonUnavailableError when there is none."""
        if self.daemon is None or self.is_leaving:  # it listens no more
            raise DaemonUnavailableError(f"{self.name}: no daemon")
        return self.daemon.accept(program)

    def _make_daemon(self) -> SimDaemon:
        return SimDaemon(
            self.name,
            self.broker.host,
            self._listed,
            self._network,
            self._disk,
            self.daemon_process,
            self._seed,
            settings=self._settings,
            prove=lambda host: self._prove(self.name, host),
            on_owed=self._note_owed,
            on_retired=self._note_retired,
            on_count=lambda counter, amount: self._on_count(self, counter, amount),
        )

    def _note_owed(self, delivery_set: Mapping[str, Collection[str]]) -> None:
        brokers = {broker.partition(":")[0] for broker in delivery_set}
        self._may_shrink |= self._loop.time() - self._began_s >= self._settings.queue_expires_s
        if self._may_shrink:
            self._may_shrink = False
            for broker in self.known - brokers:
                self.retired_s[broker] = self._loop.time()
            self.known = brokers
        else:
            self.known |= brokers

    def _note_retired(self, _node: str) -> None:
        self._may_shrink = True
