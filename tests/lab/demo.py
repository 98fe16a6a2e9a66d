"""Two hosts that never heard of each other's programs: they find each other, and statecharts on both talk.

    make demo        (DEMO_JSON=FILE writes the figures)

Each host has a RabbitMQ and a mirosd of its own and runs both example programs. What is printed is what happens, as
it happens. Each of the four programs shows the traces of all four; what is printed is the terminal of the first one.
Exit status 0 only if events crossed in both directions.

How much crossed is a lower bound, so that nothing is claimed that did not happen: what the two programs of a host
received from others, less all that either sent (the sibling on the same host hears that too), halved (both hear each
event that comes over).
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Daemon, Program
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

EXAMPLES = ("networked_active_object", "networked_factory")
TALK_S = 10  # with time compressed tenfold: some twenty events of each of the four programs
SHOWN_LINES = 40  # of the live trace: enough to see both hosts alternate, few enough to read


class Story:
    """What is told, with the time since the demo began."""

    def __init__(self) -> None:
        """Begin now."""
        self._began_s = time.monotonic()

    def tell(self, text: str) -> None:
        """Print a step."""
        print(f"{time.monotonic() - self._began_s:5.1f} s  {text}", flush=True)

    def show(self, text: str) -> None:
        """Print what a program printed."""
        for line in text.rstrip().splitlines():
            print(f"         {line}", flush=True)


class Talk:
    """The four example programs of two hosts, while they run, and what they counted."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        """Start both programs on each host."""
        self._counts: dict[str, list[Path]] = {host.name: [] for host in hosts}
        self._programs: list[Program] = []
        self._shown = 0
        for host in hosts:
            for example in EXAMPLES:
                counts = host.directory / f"{example}.json"
                script = ROOT / "examples" / f"{example}.py"
                program = Program(host, script, "--fast", "--seconds", str(TALK_S), "--json", str(counts))
                program.start()
                self._programs.append(program)
                self._counts[host.name].append(counts)

    def new_lines(self) -> list[str]:
        """Give the lines that the first program printed since the last call."""
        complete = self._programs[0].log().split("\n")[:-1]
        lines, self._shown = complete[self._shown :], len(complete)
        return lines

    def is_over(self) -> bool:
        """Tell whether all programs have ended."""
        return not any(program.is_running for program in self._programs)

    def crossed(self) -> dict[str, int]:
        """Give how many events came over from the other host, by direction, at least."""
        first, second = self._counts
        return {f"{second}->{first}": self._from_afar(first), f"{first}->{second}": self._from_afar(second)}

    def charts(self) -> dict[str, list[str]]:
        """Give the names of the charts of each host."""
        return {host: [str(counts["chart"]) for counts in self._read(host)] for host in self._counts}

    def failures(self) -> list[str]:
        """Give the end of what each program printed that did not end well."""
        return [program.log()[-2000:] for program in self._programs if program.wait() != 0]

    def _from_afar(self, host: str) -> int:
        counts = self._read(host)
        deliveries = sum(int(count["received_from_other"]) - int(count["transmitted"]) for count in counts)
        return max(0, deliveries) // len(counts)

    def _read(self, host: str) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self._counts[host]]


def run(story: Story) -> dict[str, Any]:
    """Give the figures: the peers table of each host, and the events that crossed in each direction."""
    lan = Lan(2)
    story.tell(f"two hosts on a private LAN: {', '.join(f'{host.name} {host.address}' for host in lan.hosts)}")
    brokers = [Broker(host) for host in lan.hosts]
    for broker in brokers:
        broker.start()
    for broker in brokers:
        broker.wait_ready()
    story.tell("each has its own RabbitMQ")
    searching = {"discovery": {"lan": {"enabled": True}}}
    daemons = [Daemon(host, broker, settings=searching) for host, broker in zip(lan.hosts, brokers, strict=True)]
    for daemon in daemons:
        daemon.start()
    for daemon in daemons:
        daemon.wait_ready()
    story.tell("each runs mirosd, which knows the mesh key, and nobody's address")
    for daemon in daemons:
        daemon.ctl("wait", "--peers", "1", "--timeout", "30")
    story.tell("they have found each other, and each has proved the mesh key to the other")
    for daemon in daemons:
        story.tell(f"{daemon.host.name}$ mirosctl peers")
        story.show(daemon.ctl("peers").stdout)
    peers = {daemon.host.name: daemon.ask("peers")["peers"] for daemon in daemons}

    story.tell(
        f"both example programs start on both hosts; the trace on one terminal of {lan.hosts[0].name}, for {TALK_S} s:"
    )
    talk = Talk(lan.hosts)
    _watch(story, talk)
    for failure in talk.failures():
        story.show(failure)
    for host, charts in talk.charts().items():
        story.tell(f"of {host}: {' and '.join(charts)}")
    crossed = talk.crossed()
    for direction, events in crossed.items():
        story.tell(f"{direction}: at least {events} events crossed")

    for process in (*daemons, *brokers):
        process.stop()
    lan.close()
    story.tell("all is stopped; with this process the private machine goes, and whatever was on it")
    return {"peers": peers, "events_crossed": crossed}


def _watch(story: Story, talk: Talk) -> None:
    seen = 0

    def is_over() -> bool:
        nonlocal seen
        over = talk.is_over()  # asked first, so that the last lines are read after it
        for line in talk.new_lines():
            seen += 1
            if seen <= SHOWN_LINES:
                story.show(line)
        return over

    until(is_over, TALK_S + 30.0, "the programs have ended")
    if seen > SHOWN_LINES:
        story.show(f"... and {seen - SHOWN_LINES} lines more")


def main() -> int:
    """Give the exit status: 0 if events crossed both ways."""
    parser = argparse.ArgumentParser(description="two hosts find each other and talk")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures = run(Story())
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if all(figures["events_crossed"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
