"""A viewer that does not read costs itself: its lines are dropped and counted, and nobody else is held up."""

import re

import pytest

from tests.e2e.stage import staged
from tests.e2e.test_pacing import sending
from tests.e2e.watching import Tool
from tests.lab.broker import Broker
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

LINES = 60_000
"""Some 30 MB: the viewer's queue holds 8 MiB, and 2 MiB are on their way to it."""
PER_S = 6000
HELD_BYTES = 4 * 1024 * 1024
STEP = re.compile(r"s_(\d+)\"")
MISSING = re.compile(r"warning: (\d+) lines? of h1 .* did not arrive")


def test_a_viewer_that_is_stopped_is_told_what_it_missed(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Each line that was sent is printed, or counted as missing; no event is late for it, and little is held for it."""
    with staged(lan, brokers) as stage, sending(stage) as (here, there):
        viewer = Tool(stage.lan["h2"], "trace", "sender", "--json")
        viewer.start()

        def steps(count: int) -> int:
            last: int = here.do("step", "sender", count=count, per_s=PER_S)["steps"]
            return last

        def is_accounted_for() -> bool:
            """Say whether all lines from the first to the last one that it printed are there, or told as missing."""
            printed, told = seen(viewer)
            return printed[-1] > LINES and len(printed) + told == printed[-1] - printed[0] + 1

        try:
            until(lambda: steps(1) and seen(viewer)[0], what="lines are seen")
            viewer.pause()
            here.do("stream", "sender", bytes=100, per_s=500)
            for _ in range(10):
                steps(LINES // 10)
                held = max(row["unsent_bytes"] for row in stage.daemons["h2"].ask("clients")["clients"])
                assert held <= HELD_BYTES
            during = there.heard("there", "sender")[0]
            sent, refused = here.do("halt", "sender").values()
            until(lambda: there.heard("there", "sender")[0] == sent, what="every event handled while it stands still")
            viewer.resume()
            until(lambda: seen(viewer)[1], what="it says that lines are missing")
            until(lambda: steps(1) and is_accounted_for(), what="each line is accounted for")
        finally:
            viewer.close()
        (printed, told), counters = seen(viewer), here.do("counters")
        print(f"{len(printed)} lines printed, {told} missing; {held} bytes unsent; {during} of {sent} events meanwhile")

        assert sorted(set(printed)) == printed
        assert told > LINES // 4
        assert (sent, sent, 0, 0) == there.heard("there", "sender")
        assert (0, 0, 0, 0) == (refused, counters["expired"], counters["uninsured"], counters["evicted"])


def seen(viewer: Tool) -> tuple[list[int], int]:
    """Give the numbers of the steps that a viewer has printed, and how many lines it says are missing."""
    log = viewer.log()
    return [int(number) for number in STEP.findall(log)], sum(map(int, MISSING.findall(log)))
