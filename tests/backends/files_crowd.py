"""A crowd of processes on one cache file: `python -m tests.backends.files_crowd FILE READS SECONDS SEED`.

20 readers and 180 writers, forked from one process that has imported everything; a third of each is killed with
SIGKILL at random moments. All stop once READS good reads were made and the last was killed, or after SECONDS; what
came of it is printed as JSON.
"""

import contextlib
import json
import mmap
import os
import random
import signal
import struct
import sys
import time
from functools import partial

from mirosd.backends import files
from mirosd.core.backoff import cache_retry_s
from mirosd.core.cache_document import DocumentError, lan_cache_text, parse_lan_cache
from mirosd.signals import Private

READERS, WRITERS = 20, 180
KILLED = {"reader": READERS // 3, "writer": WRITERS // 3}
SLOT = struct.Struct("QQQQ")  # good reads, bad reads, writes, times that the file was busy
MOST_PAUSE_S = 0.5  # of a writer; the growing times of a real one would end in 5 s
END_S = 30.0


class Slots:
    """What each process has counted so far, where the others can see it; a killed one's count stays."""

    def __init__(self, count):
        self._map = mmap.mmap(-1, 8 + count * SLOT.size)

    def put(self, number, counts):
        SLOT.pack_into(self._map, 8 + number * SLOT.size, *counts)

    def sums(self):
        return [sum(column) for column in zip(*SLOT.iter_unpack(self._map[8:]), strict=True)]

    @property
    def is_over(self):
        return self._map[0] == 1

    def end(self):
        self._map[0] = 1


def done(work, *args):
    """Give what a store's thread would post of some work, without the thread: 100,000 hops to it take half a minute."""
    answers = []
    files.answer(lambda *answer: answers.append(answer), *args, work)
    return answers[0]


def text_of(dice):
    """Give a cache that shows whether all of it is there: its last entry says how many there are."""
    count = dice.randrange(1, 200)
    hosts = [f"10.{n >> 8}.{n & 255}.{dice.randrange(256)}" for n in range(count - 1)]
    return lan_cache_text([*hosts, f"count-{count}"], [], time_out_in_minutes=30)


def is_whole(text):
    """Tell whether a text is one that text_of() gave."""
    try:
        addresses = parse_lan_cache(text)["addresses"]
    except DocumentError:
        return False
    return bool(addresses) and addresses[-1] == f"count-{len(addresses)}"


def read(path, slots, number, dice):
    good = bad = busy = 0
    while not slots.is_over:
        answer, payload = done(files.read_file, path, Private.read_successful)
        if answer == Private.read_successful:
            good, bad = good + is_whole(payload.text), bad + (not is_whole(payload.text))
        elif payload.code == "busy":
            busy += 1
            time.sleep(dice.uniform(0.0, 0.001))
        else:
            bad += 1
        slots.put(number, (good, bad, 0, busy))


def write(path, slots, number, dice):
    bad = writes = busy = attempt = 0
    while not slots.is_over:
        answer, payload = done(partial(files.write_file, text=text_of(dice)), path, Private.write_successful)
        writes += answer == Private.write_successful
        is_busy = answer != Private.write_successful and payload.code == "busy"
        bad, busy = bad + (answer != Private.write_successful and not is_busy), busy + is_busy
        slots.put(number, (0, bad, writes, busy))
        attempt = attempt + 1 if is_busy else 0
        time.sleep(min(cache_retry_s(attempt, random=dice.random), MOST_PAUSE_S))


def fork(work, path, slots, number, seed):
    """Give the child's id."""
    child = os.fork()
    if child:
        return child
    status = 1
    with contextlib.suppress(BaseException):
        work(path, slots, number, random.Random(seed))
        status = 0
    os._exit(status)


def run(path, reads, seconds, seed):
    """Give what came of it."""
    dice, began_s = random.Random(seed), time.monotonic()
    slots = Slots(READERS + WRITERS)
    kinds = ["reader"] * READERS + ["writer"] * WRITERS
    children = {
        fork(read if kind == "reader" else write, path, slots, number, f"{seed} {number}"): kind
        for number, kind in enumerate(kinds)
    }
    doomed = [pid for kind in KILLED for pid in dice.sample([p for p in children if children[p] == kind], KILLED[kind])]
    dice.shuffle(doomed)
    killed = []
    while time.monotonic() - began_s < seconds and (doomed or slots.sums()[0] < reads):
        time.sleep(dice.uniform(0.0, 0.01))
        if doomed and slots.sums()[0] >= reads * len(killed) / sum(KILLED.values()):  # all through the reading
            killed.append(doomed.pop())
            os.kill(killed[-1], signal.SIGKILL)
    slots.end()
    statuses = {pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children}
    good, bad, writes, busy = slots.sums()
    return {
        "reads": good,
        "bad": bad,
        "writes": writes,
        "busy": busy,
        "killed": len(killed),
        "survivors": len(children) - len(killed),
        "ended_well": sum(statuses[pid] == 0 for pid in children if pid not in killed),
        "took_s": round(time.monotonic() - began_s, 1),
    }


if __name__ == "__main__":
    signal.alarm(int(float(sys.argv[3]) + END_S))  # whoever started this is not kept waiting
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
