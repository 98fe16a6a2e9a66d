"""All hosts of a run, what happens to them, and what is noted of every event."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from mirosd.core.broker import BrokerAddress
from mirosd.core.topic import topic_matches
from mirosd.errors import RemoteProtocolError
from mirosd.payloads import Introduction
from mirosd_client.wire import Network as TopicNetwork
from tests.simulation import faults
from tests.simulation.broker import SimBroker
from tests.simulation.daemon import NAMES, Reader, node_of
from tests.simulation.history import Accepted, Chart, Event, History, Taking
from tests.simulation.host import SimHost
from tests.simulation.losses import Losses
from tests.simulation.processes import Process
from tests.simulation.programs import SimProgram
from tests.simulation.scenario import Burst, Fault, Scenario
from tests.simulation.wires import Network

LOOK_S = 0.5
"""How often it is looked whether all is at rest."""

CALM_S = 2.0
"""No event moves for so long: at rest. Connections are made again within half of it once nothing is wrong; while one
is not, its broker owes answers, or its consumers' host is not connected, and that is no rest."""

DEADLINE_S = 150.0
"""From the end of all faults: longer than a delivery may stay unacknowledged, and an event lives."""

POISONED_KEY = "a.poison"

MOST_POISONINGS = 500
"""Each of a few goes to each of a few queues, once more with each daemon that dies before it was seen."""

MESH = NAMES.exchanges[TopicNetwork.MESH]


class World:
    """All hosts. Construct it in the loop."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.loop = asyncio.get_running_loop()
        self.random = Random(f"world {scenario.seed}")
        self.history = History()
        self.trace: list[str] = []
        self.network = Network(self.loop, scenario.seed, scenario.slowest_s)
        self.moved_s = 0.0
        self.programs: list[SimProgram] = []
        self._reader = Reader(Random(0))
        self._nobody = Process("somebody")
        self._poisonings = 0
        self.losses = Losses(self.history, self._reader)
        brokers = {
            name: SimBroker(self.loop, name, exchange=MESH, on_taken=self._taken, on_delivered=self._delivered)
            for name in scenario.brokers
        }
        self.network.brokers.update(brokers)
        self.hosts = {
            name: SimHost(
                name,
                brokers[name],
                brokers[scenario.brokers[name]],
                scenario.listed[name],
                self.network,
                scenario.settings,
                scenario.seed,
                prove=self._prove,
                on_count=self._counted,
            )
            for name in scenario.brokers
        }

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.loop.time():9.4f} {text}")

    async def live(self) -> None:
        """From start to rest, a word from everybody, and rest again."""
        for host in self.hosts.values():
            host.start_daemon()
        await asyncio.sleep(0.2)
        for number, program in enumerate(self.scenario.programs):
            self._start_program(number, program.host, program.bindings)
        tasks = [self.loop.create_task(self._fault(fault), name=str(fault)) for fault in self.scenario.faults]
        for burst in self.scenario.bursts:
            self.loop.call_at(burst.at_s, self._burst, burst)
        _, endless = await asyncio.wait(tasks, timeout=self.scenario.healed_s + DEADLINE_S)
        for task in endless:
            self.history.faults.append(f"a fault never ended: {task.get_name()}")
            task.cancel()
        await asyncio.sleep(max(0.0, self.scenario.healed_s - self.loop.time()))
        if not self.history.faults and await self._rest():
            for number in range(len(self.programs)):
                self._burst(Burst(0.0, number, 0, ("a.b", "d")))
            await self._rest()

    def kill_program(self, program: SimProgram) -> None:
        """Kill a program."""
        self.note(f"killed {program.name}")
        self._take_figures(program)
        program.is_killed = True
        self.history.killed.add(program.id)
        program.process.kill()
        daemon = self.hosts[program.host].daemon
        for socket in daemon.sockets if daemon is not None else []:
            if socket.program is program.process:
                socket.close()

    def poison(self, broker: SimBroker) -> None:
        """Publish junk, as somebody who has the account but no key."""
        junk = self.random.randbytes(60)

        async def publish() -> None:
            address = BrokerAddress("somebody")
            link, _, _ = broker.open(address, "somebody", lambda _error: None, owner=self._nobody, way_s=lambda: 0.0)
            link.publish(MESH, POISONED_KEY, junk)
            await link.close()

        self.loop.create_task(publish(), context=self._nobody.context)

    # what happens

    def _start_program(self, number: int, host: str, bindings: tuple[str, ...]) -> None:
        name = f"{host}.{number}"
        process = Process(name)
        program = process.run(
            SimProgram,
            name,
            host,
            process,
            Random(f"{self.scenario.seed} {name}"),
            self.scenario.window_bytes,
        )
        self.programs.append(program)
        self.hosts[host].programs.append(program)
        self.history.hosts[program.id] = host
        for index, key in enumerate(bindings):
            chart = Chart(f"{name}/{index}", program.id, host, self.scenario.brokers[host], index + 1, key)
            self.history.charts[chart.name] = chart
            self.history.handled[chart.name] = []
            process.run(program.subscribe, chart, self._handled)

    async def _fault(self, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, fault.at_s - self.loop.time()))
        self.note(f"{fault.kind} {fault.host} {fault.other} for {fault.for_s:.3f}")
        happened = await faults.KINDS[fault.kind](self, self.hosts[fault.host], self.hosts[fault.other], fault.for_s)
        self.note(f"{fault.kind} {fault.host} {'over' if happened else 'spared'}")

    def _burst(self, burst: Burst) -> None:
        program = self.programs[burst.program]
        if program.is_killed or program.process.is_stopped:
            return
        host = self.hosts[program.host]
        owed = frozenset(host.known)
        for key in burst.keys:
            event = program.process.run(program.transmit, burst.chart, key)
            if event is not None:
                due_here = self._due(host.broker.host, key) & self._heard_by(host)
                self.history.accepted[event] = Accepted(self.loop.time(), burst.chart, key, owed, due_here)
        self.note(f"{program.name} accepted {len(burst.keys)} to {event[1] if event else 'none'}")

    def _due(self, broker: str, key: str) -> frozenset[str]:
        """Give the charts at a broker that a key has to reach from now on."""
        return frozenset(
            chart.chart.name
            for program in self.programs
            for chart in program.charts
            if chart.chart.broker == broker and topic_matches(chart.chart.binding_key, key) and chart.is_bound
        )

    def _heard_by(self, host: SimHost) -> frozenset[str]:
        """Give the charts that a host knows to be at its own broker: its own, and those of peers there."""
        sets = host.daemon.bridge.producer_sets() if host.daemon is not None else []
        nodes = {node_of(host.name)} | {node for each in sets if each["is_own"] for node in each["nodes"]}
        return frozenset(chart.name for chart in self.history.charts.values() if node_of(chart.host) in nodes)

    def _taken(self, broker: str, key: str, body: bytes, queues: int) -> None:
        try:
            events = self._reader.events(body, key)
        except RemoteProtocolError:
            return
        self.moved_s = self.loop.time()
        self.note(f"{broker} takes {_told(events)} for {queues}")
        due = self._due(broker, key)
        for event in events:
            taking = self.history.taken.setdefault((event, broker), Taking(due))
            taking.copies += 1
            taking.unrouted += not queues

    def _delivered(self, broker: str, frame: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        incoming = arguments[0]
        headers = incoming.headers or {}
        if "x-death" in headers:
            self.losses.bury(frame, incoming, headers["x-death"][0])
            return
        if "records" in headers:
            self.moved_s = self.loop.time()
        elif incoming.routing_key == POISONED_KEY:
            self._poisonings += 1
            if self._poisonings == MOST_POISONINGS:
                self.history.faults.append("what is no body of ours is delivered again and again")
        frame(*arguments)

    def _handled(self, chart: Chart, event: Event) -> None:
        self.moved_s = self.loop.time()
        self.note(f"{chart.name} handles {event[0][:4]}:{event[1]}")
        self.history.handled[chart.name].append(event)

    def _counted(self, host: SimHost, counter: str, amount: int) -> None:
        self.history.counters[counter] += amount
        self.losses.counted(host, counter, amount)

    def _prove(self, source: str, target: str) -> Introduction | None:
        """Give who answers at a broker: the first of the daemons behind it."""
        broker = self.network.brokers[target]
        if not broker.is_up or broker.process.is_stopped or not self.network.passes(source, target):
            return None
        behind = [host for host in self.hosts.values() if host.broker is broker and host.name != source]
        answers = (host.daemon.introduction() for host in behind if host.daemon is not None)
        return next((answer for answer in answers if answer is not None), None)

    # rest

    async def _rest(self) -> bool:
        until_s = self.loop.time() + DEADLINE_S
        while not self._is_at_rest():
            if self.loop.time() > until_s:
                waiting = {
                    program.name: program.counters()["waiting"] for program in self.programs if not program.is_killed
                }
                self.history.faults.append(f"no rest within {DEADLINE_S:g} s; events in windows: {waiting}")
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def _is_at_rest(self) -> bool:
        return (
            self.loop.time() - self.moved_s > CALM_S
            and not any(program.counters()["waiting"] for program in self.programs if not program.is_killed)
            and all(
                host.daemon is not None and host.daemon.bridge.is_connected and host.daemon.bridge.outbound.is_idle
                for host in self.hosts.values()
            )
            and all(
                chart.subscription is not None
                and chart.subscription.is_bound
                and not chart.subscription.intake.is_waiting
                for program in self.programs
                if not program.is_killed
                for chart in program.charts
            )
        )

    def _take_figures(self, program: SimProgram) -> None:
        counters = program.counters()
        self.history.let_go[program.id] = sum(counters[each] for each in ("uninsured", "expired", "evicted"))
        self.history.unroutable[program.id] = counters["unroutable"]
        self.history.settled[program.id] = counters["accepted"] - counters["waiting"]

    def close(self) -> None:
        """Take the last figures, and end all that runs."""
        for program in self.programs:
            if not program.is_killed:
                self._take_figures(program)
        for host in self.hosts.values():
            if host.starts > 1:
                self.history.restarted.add(host.name)
            self.history.retired |= {(host.name, broker): at_s for broker, at_s in host.retired_s.items()}
            host.kill_daemon()
        for program in self.programs:
            program.client.close(0.0)
            program.process.kill()
        self._nobody.kill()


def _told(events: list[Event]) -> str:
    """Give a run of events in short."""
    return ", ".join(f"{client[:4]}:{sequence}" for client, sequence in events[:1] + events[1:][-1:])
