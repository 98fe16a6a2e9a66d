"""The daemon's figures as Prometheus reads them: by prometheus_client's own parser."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from mirosctl.counter_texts import CODES, COUNTERS
from mirosctl.metrics_text import PEER_STATES, STATES, Exposition
from mirosd.core.broker import Incoming, Outcome
from mirosd.core.measures import Measures
from mirosd.metrics_view import figures
from mirosd_client.hlc import COUNTER_BITS
from mirosd_client.record import Record, encode_record
from mirosd_client.wire import Network
from tests.test_counters import counted

ROOT = Path(__file__).parents[2]
OWN = {"broker": "127.0.0.1:5672", "is_own": True, "nodes": [], "is_connected": True, "pending_bytes": 0, "alarm": None}
ALARM = {"reason": "low on memory", "for_s": 12.25}
THERE = {**OWN, "broker": "10.0.0.7:5672", "is_own": False, "pending_bytes": 4096, "alarm": ALARM}
STATUS: dict[str, Any] = {
    "state": "degraded",
    "reasons": [{"code": "hosts_file", "detail": "line 2"}],
    "node": "ab" * 16,
    "name": "h1",
    "system": "default",
    "version": "0.1.0",
    "uptime_s": 7.25,
    "producer_sets": [OWN, THERE],
    "counters": {"overflow": 5, "unopened_forged": 2, "unopened_invented": 1, "invented": 3},
}
PEER = {
    "node": "cd" * 16,
    "name": "h2",
    "address": "10.0.0.7",
    "state": "alive",
    "rtt_ms": 1.5,
    "last_seen_s": 0.4,
    "clock_ahead_s": -0.25,
}
CANDIDATE = {
    **dict.fromkeys(PEER),
    "node": "",
    "name": "",
    "address": "10.0.0.9",
    "state": "candidate",
}


def measured() -> Measures:
    """Give what a daemon has measured that sent and delivered something."""
    measures = Measures(lambda: 100.0)
    record = encode_record(Record(b"c" * 16, 1, 1, 99_900 << COUNTER_BITS, 0, "json", "S", b"", b""))
    measures.sent[Network.MESH] += 7
    measures.answer(Outcome.CONFIRMED, 5, 0.002)
    measures.answer(Outcome.RETURNED, 2, 60.0)
    measures.deliver(Network.MESH, Incoming(1, "k", b"", headers={"records": 4}), record)
    return measures


def answered(status: dict[str, Any] = STATUS, sessions: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Give the result of the verb `metrics`."""
    return {**status, **figures(measured(), [], [], sessions or [])}


def read(text: str) -> dict[tuple[str, ...], float]:
    """Give each sample's value by its name and the values of its labels; none may stand there twice."""
    samples: list[Sample] = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    assert len(found) == len(samples), "a series stands there twice"
    return found


def test_what_happened_can_be_read() -> None:
    """Each figure under its name and labels."""
    found = read(Exposition(answered(), [PEER, CANDIDATE]).text())
    node = PEER["node"]

    assert {
        ("mirosd_up",): 1,
        ("mirosd_info", "h1", "ab" * 16, "default", "0.1.0"): 1,
        ("mirosd_uptime_seconds",): 7.25,
        ("mirosd_state", "ready"): 0,
        ("mirosd_state", "degraded"): 1,
        ("mirosd_degraded", "hosts_file"): 1,
        ("mirosd_peers", "alive"): 1,
        ("mirosd_peers", "candidate"): 1,
        ("mirosd_peers", "failed"): 0,
        ("mirosd_peer_alive", node, "h2"): 1,
        ("mirosd_peer_alive", "", "10.0.0.9"): 0,
        ("mirosd_peer_round_trip_seconds", node, "h2"): 0.0015,
        ("mirosd_peer_silence_seconds", node, "h2"): 0.4,
        ("mirosd_peer_clock_ahead_seconds", node, "h2"): -0.25,
        ("mirosd_broker_connected", "127.0.0.1:5672", "own"): 1,
        ("mirosd_broker_blocked", "127.0.0.1:5672", "own"): 0,
        ("mirosd_broker_blocked", "10.0.0.7:5672", "peer"): 1,
        ("mirosd_broker_pending_bytes", "10.0.0.7:5672", "peer"): 4096,
        ("mirosd_events_sent_total", "mesh"): 7,
        ("mirosd_events_delivered_total", "mesh"): 4,
        ("mirosd_events_answered_total", "confirmed"): 5,
        ("mirosd_events_answered_total", "returned"): 2,
        ("mirosd_connections_opened_total", "consume"): 0,
        ("mirosd_overflow_events_total",): 5,
        ("mirosd_expired_events_total",): 0,
        ("mirosd_unopened_bodies_total", "forged"): 2,
        ("mirosd_unopened_bodies_total", "invented"): 1,
        ("mirosd_unopened_bodies_total", "unknown_key"): 0,
        ("mirosd_other_total", "invented"): 3,
    }.items() <= found.items()
    assert ("mirosd_peer_round_trip_seconds", "", "10.0.0.9") not in found, "what is not known is not 0"


def test_a_histogram_is_cumulative() -> None:
    """Each bucket counts all that are not longer; the last is the count."""
    found = read(Exposition(answered()).text())
    name = "mirosd_broker_answer_seconds"

    buckets = [found[f"{name}_bucket", bound, "mesh"] for bound in ("0.001", "0.0025", "0.5", "50", "+Inf")]

    assert [0, 1, 1, 1, 2] == buckets
    assert (2, 60.002) == (found[f"{name}_count", "mesh"], found[f"{name}_sum", "mesh"])
    assert 1 == found["mirosd_delivery_age_seconds_bucket", "0.1", "mesh"]
    assert 0 == found["mirosd_delivery_age_seconds_bucket", "0.05", "mesh"]
    assert 0 == found["mirosd_loop_lag_seconds_count",]


TYPES = ("counter", "gauge", "histogram", "summary")
SHORT_UNITS = ("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d")
OTHER_UNITS = re.compile(
    r"(pico|nano|micro|milli|centi|kilo|mega|giga|tera|kibi|mebi|gibi)[a-z]+|minutes|hours|days|bits"
)


def test_the_metrics_are_as_promtool_wants_them() -> None:
    """The rules of `promtool check metrics` (client_golang, testutil/promlint/validations); and all are mirosd's."""
    text = Exposition(answered(sessions=[{"program": "p", "unsent_bytes": 0}]), [PEER]).text()
    helped = [line.split(" ")[2] for line in text.splitlines() if line.startswith("# HELP")]
    kinds = dict(line.split(" ")[2:4] for line in text.splitlines() if line.startswith("# TYPE"))

    assert helped == list(kinds), "each once, in this order"
    assert {"counter", "gauge", "histogram"} == set(kinds.values())
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        labels = {label for sample in family.samples for label in sample.labels}
        assert "quantile" not in labels
        assert ("le" in labels) is (family.type == "histogram"), family.name
    for name, kind in kinds.items():
        assert re.fullmatch("mirosd(_[a-z]+)+", name), "no capitals, no colons"
        words = name.split("_")
        assert (kind == "counter") is (words[-1] == "total"), name
        assert (kind == "histogram") <= (words[-1] == "seconds"), name
        assert words[-1] not in ("count", "sum", "bucket"), name
        assert set() == {*words}.intersection((*TYPES, *SHORT_UNITS)), name
        assert [] == [word for word in words if OTHER_UNITS.fullmatch(word)], name


def test_every_counter_of_the_daemon_appears() -> None:
    """All that the daemon's source counts: at 0 before it has counted any, a family by each of its codes."""
    text = Exposition(answered({**STATUS, "counters": {}})).text()
    found = read(text)
    counters = {name for name, _ in counted()}

    for counter in counters:
        metric = COUNTERS[counter]
        assert f"# HELP {metric.name}_total {metric.text}\n" in text
        for code in CODES.get(counter, [None]):
            assert 0 == found[f"{metric.name}_total", *filter(None, [code])]


def test_names_that_cannot_be_told_apart_are_one_series() -> None:
    """As names of programs are their own, and what is not printable is replaced."""
    sessions = [{"program": "\ufffd", "unsent_bytes": size} for size in (3, 4)]
    told_apart = answered(sessions=[*sessions, {"program": 'a"\\\n', "unsent_bytes": 0}])
    told_apart["programs"].append(told_apart["programs"][-1])
    found = read(Exposition(told_apart).text())

    assert (4, 14) == (found["mirosd_programs", "\ufffd"], found["mirosd_unsent_bytes", "\ufffd"])
    assert 1 == found["mirosd_programs", 'a"\\\n']


def test_no_daemon_is_a_figure_too() -> None:
    """One series alone: all others are gone, as if they were unknown."""
    assert {("mirosd_up",): 0} == read(Exposition(None).text())


def test_all_states_of_a_peer_are_known() -> None:
    """Those that the daemon's source gives."""
    given = {
        node.args[0].value
        for path in ("core/peers.py", "core/peer_rows.py")
        for node in ast.walk(ast.parse((ROOT / "mirosd" / path).read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Standing"
        for node.args[0] in _constants(node.args[0])
    }

    assert {"alive", "suspect"} < given
    assert sorted(given) == sorted(PEER_STATES)


def _constants(node: ast.expr) -> list[ast.Constant]:
    return [each for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


@pytest.mark.parametrize("state", STATES)
def test_the_daemon_is_in_one_state(state: str) -> None:
    """1 for that, and 0 for each other."""
    found = read(Exposition(answered({**STATUS, "state": state})).text())

    assert {each: float(each == state) for each in STATES} == {each: found["mirosd_state", each] for each in STATES}


def test_the_number_of_series_is_bounded() -> None:
    """By the tables: 100 peers behind 100 brokers, and any number of programs that make up names."""
    sessions = [{"program": f"p{n}", "unsent_bytes": 1} for n in range(1000)]
    peers = [{**PEER, "node": f"{n:032x}"} for n in range(100)]
    few = len(read(Exposition(answered()).text()))
    many = answered({**STATUS, "producer_sets": [{**THERE, "broker": f"b{n}"} for n in range(100)]}, sessions)
    found = read(Exposition(many, peers).text())

    assert few < 300
    assert few + 100 * 4 + 98 * 3 + 51 * 2 == len(found)
    assert 1000 == sum(value for (name, *_), value in found.items() if name == "mirosd_programs")


def test_what_the_page_tells_people_to_watch_is_there() -> None:
    """Each metric of docs/monitoring.md, with the labels and their values that it asks for."""
    page = (ROOT / "docs" / "monitoring.md").read_text()
    found = list(text_string_to_metric_families(Exposition(answered(), [PEER]).text()))
    names = {family.name + "_total" * (family.type == "counter") for family in found}
    labelled = {
        (family.name, label, value)
        for family in found
        for each in family.samples
        for label, value in each.labels.items()
    }
    asked = re.findall(r'(mirosd_[a-z_]+?)(?:_bucket)?\{([a-z]+)="([a-z_]+)"\}', page)

    assert {name.removesuffix("_bucket") for name in re.findall("mirosd_[a-z_]+", page)} <= names
    assert len(asked) > 4
    assert set(asked) <= labelled
