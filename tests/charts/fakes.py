"""What the charts ask, played by hand: files in a dict, probes that answer when told, a board that remembers.

FakeFileStore is held to the real one's behaviour by tests/backends/test_files.py.
"""

from collections import deque
from dataclasses import dataclass, field

from mirosd.core.interfaces import FileContent, FileFailure, ProbeResult
from mirosd.payloads import Introduction, LanAnswer, LanNeighbour, LanSurvey, Producer, StageReport
from mirosd.signals import Private


class FakeFileStore:
    """A disk in a dict. Answers come in the order of asking, at serve(); by itself at once unless `is_held`.

    `locks_reads`: a busy file is not read either, as where files cannot be replaced under their readers.
    """

    def __init__(self, *, is_held=False, locks_reads=False):
        self.locks_reads = locks_reads
        self.files = {}
        self.busy = set()
        self.broken = {}
        self.now_s = 1_000_000.0
        self.is_held = is_held
        self.is_closed = False
        self.writes = []
        self._asked = deque()

    def read(self, path, post):
        self._ask(path, post, self._read)

    def write(self, path, text, post):
        self._ask(path, post, lambda path: self._write(path, text))

    def close(self):
        self.serve()
        self.is_closed = True

    def serve(self, count=None):
        """Answer what was asked: all of it, or the first `count`."""
        while self._asked and count != 0:
            path, post, work = self._asked.popleft()
            post(*work(path))
            count = None if count is None else count - 1

    def put(self, path, text):
        self.files[path] = (text, self.now_s)

    def _ask(self, path, post, work):
        if self.is_closed:
            return
        self._asked.append((path, post, work))
        if not self.is_held:
            self.serve()

    def _failure(self, path, *, needs_lock=True):
        if needs_lock and path in self.busy:
            return Private.file_access_failed, FileFailure(path, "busy", f"{path} is in use by another process")
        if path in self.broken:
            return Private.file_access_failed, FileFailure(path, "system", f"{path}: {self.broken[path]}")
        return None

    def _read(self, path):
        text, modified_s = self.files.get(path, ("", 0.0))
        content = FileContent(path, text, modified_s, modified_s, self.now_s)
        return self._failure(path, needs_lock=self.locks_reads) or (Private.read_successful, content)

    def _write(self, path, text):
        failure = self._failure(path)
        if failure is None:
            self.files[path] = (text, self.now_s)
            self.writes.append((path, text))
        return failure or (Private.write_successful, path)


@dataclass
class FakeProbe:
    """One probe: what was asked of it, and its answers for a test to give."""

    host: str
    post: object
    asked: list = field(default_factory=list)

    def connect(self):
        self.asked.append("connect")

    def challenge(self):
        self.asked.append("challenge")

    def abandon(self):
        self.asked.append("abandon")

    def connected(self, stages=()):
        self.post(Private.try_to_connect_to_consumer, stages)

    def complete(self, code="", introduction=None, stages=()):
        self.post(Private.consumer_test_complete, ProbeResult(code, stages, introduction))


class FakeProber:
    """Probes in the order they were made; `current` is the last one of each host."""

    def __init__(self):
        self.probes = []
        self.current = {}

    def probe(self, host, post):
        probe = FakeProbe(host, post)
        self.probes.append(probe)
        self.current[host] = probe
        return probe

    def asked(self, host):
        """How often `host` was probed."""
        return sum(probe.host == host for probe in self.probes)


class FakeLan:
    """A LAN in the hands of a test: it notes what is asked of it, and says what it is told to."""

    def __init__(self, my_address="10.0.0.1"):
        self.my_address = my_address
        self.post = None
        self.searches, self.asked, self.surveys = [], [], 0
        self.neighbours = []
        self.is_deaf = False

    def listen(self, post):
        self.post = post

    def search(self, known):
        self.searches.append(list(known))

    def ask(self, hosts):
        self.asked.append(list(hosts))

    def survey(self):
        """Answered at once, unless the LAN is deaf."""
        self.surveys += 1
        if not self.is_deaf:
            self.post(Private.ip_addresses_found, LanSurvey(self.my_address, tuple(self.neighbours)))

    def answer(self, address, *, node=None, broker=None, took_ms=1.0):
        self.post(Private.lan_answered, self._said(address, node, broker)._replace(took_ms=took_ms))

    def hear(self, address, *, node=None, broker=None):
        self.post(Private.lan_heard, self._said(address, node, broker))

    def change(self):
        self.post(Private.lan_changed, "eth0 is up")

    def see(self, address, state="alive", **fields):
        self.neighbours.append(LanNeighbour(address, state, **fields))

    def _said(self, address, node, broker):
        written = f"[{address}]" if ":" in address else address
        return LanAnswer(address, node or node_of(written), f"{written}:5672" if broker is None else broker)


class FakeBoard:
    """Remembers what people would see."""

    def __init__(self):
        self.rows = []
        self.recces = []
        self.lan_cache = None
        self.hosts = ((), ())
        self.reasons = {}
        self.counters = {}

    def show_peers(self, rows):
        self.rows = list(rows)

    def show_hosts(self, listed, local):
        self.hosts = (tuple(listed), tuple(local))

    def show_recce(self, recce):
        self.recces.append(recce)

    def show_lan_cache(self, cache):
        self.lan_cache = cache

    def raise_reason(self, code, detail):
        self.reasons[code] = detail

    def clear_reason(self, code):
        self.reasons.pop(code, None)

    def count(self, counter, amount=1):
        self.counters[counter] = self.counters.get(counter, 0) + amount


class FakeProducerMaker:
    """Makes producers without a broker."""

    def make(self, network, discovery, host):
        return Producer(network.name, host, node_of(host))


def node_of(host):
    return f"node-{host}"


def introduction(host, *, start=1, ahead_s=0.0):
    """Who is behind `host`: one node per host."""
    return Introduction(node_of(host), f"name-{host}", start, "0.1.0", ("mesh",), ahead_s)


STAGES = (StageReport("resolve", "ok", "10.0.0.7", 0.1), StageReport("tcp", "ok", "", 0.2))
