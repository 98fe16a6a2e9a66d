"""mirosctl send."""

import json
from typing import Any

import pytest

from mirosd_client.control import ControlConnection
from mirosd_client.messages import Closing, Fate
from mirosd_client.wire import Network, Settled
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon


def matched(hosts: int, queues: int, *unanswered: str) -> tuple[list[Any], dict[str, Any]]:
    """Give the answer about whom a key reaches."""
    return [], {"hosts": hosts, "queues": queues, "unanswered": list(unanswered)}


def test_an_event_goes_out_as_any_programs(daemon: FakeDaemon, run: Run) -> None:
    """One record on the mesh with the signal, the payload and the key; then each host is asked for that key."""
    daemon.answers["matching"] = matched(2, 3)
    result = run("send", "Advance_War_Cry", "--payload", '{"by": ["x", 1.5, null]}', "--key", "archer.lead")
    ((events, (record,)),) = daemon.events

    assert (result.exit_code, result.output) == (0, "matched 3 queues on 2 hosts\n")
    assert (events.network, events.routing_key) == (Network.MESH, "archer.lead")
    assert (record.signal, record.content_type, record.sequence) == ("Advance_War_Cry", "json", 1)
    assert json.loads(record.payload) == {"by": ["x", 1.5, None]}
    assert daemon.asked == [("matching", {"routing_key": "archer.lead"})]


def test_an_event_may_be_bare(daemon: FakeDaemon, run: Run) -> None:
    """Without more than a signal: no payload, and the key of charts that were given none."""
    daemon.answers["matching"] = matched(1, 1, "h\x1b3", "h4")
    result = run("send", "PING")
    ((events, (record,)),) = daemon.events

    assert result.output == "matched 1 queue on 1 host; no answer from h\ufffd3, h4\n"
    assert (events.routing_key, record.payload) == ("empty", b"null")


def test_what_looks_like_a_tag_is_plain_data(daemon: FakeDaemon, run: Run) -> None:
    """What is typed is JSON: a key that the codec uses for its own types arrives as that key."""
    daemon.answers["matching"] = matched(1, 1)
    run("send", "PING", "--payload", '{"$": "bytes", "v": "AAAA"}')

    from mirosd_client.codec import decode

    assert decode(daemon.events[0][1][0].payload) == {"$": "bytes", "v": "AAAA"}


def test_json_has_the_figures(daemon: FakeDaemon, run: Run) -> None:
    """For machines: what the daemon took, how far it came, and whom it reached."""
    daemon.answers["matching"] = matched(1, 1, "h3")
    result = run("send", "PING", "--json")

    assert json.loads(result.stdout) == {
        "schema": "mirosctl.send/1",
        "accepted": True,
        "settled": True,
        "hosts": 1,
        "queues": 1,
        "unanswered": ["h3"],
        "unroutable": False,
        "outcome": "delivered",
        "confirmed_by": 1,
        "unroutable_at": 0,
        "expired_at": 0,
        "overflowed_at": 0,
        "nacked_at": 0,
        "forgotten_at": 0,
    }
    assert daemon.followed == [1]


def test_nobody_there_is_a_warning_and_no_failure(daemon: FakeDaemon, run: Run) -> None:
    """That no broker had a queue is said on stderr; a script goes on, as any sender does."""
    daemon.answers["matching"] = matched(0, 0)
    daemon.settled = [Settled(0, 0, 0), Fate([1], unroutable=2), Settled(1, 1, 1)]
    plain, as_json = run("send", "PING", "--key", "a\x1bb"), run("send", "PING", "--json")

    assert (plain.exit_code, plain.stdout) == (0, "matched 0 queues on 0 hosts\n")
    assert plain.stderr == "warning: nobody is bound to a\ufffdb on any host\n"
    assert (as_json.exit_code, json.loads(as_json.stdout)["unroutable"]) == (0, True)
    assert "nobody is bound" in as_json.stderr


def test_a_broker_that_is_away_is_told(daemon: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that is safe and not settled in time waits for a broker; how long it will is said."""
    monkeypatch.setattr(ControlConnection.transmit, "__defaults__", (0.05,))
    daemon.answers["matching"] = matched(1, 1)
    daemon.settled = [Settled(1, 0, 0)]
    plain, as_json = run("send", "PING"), run("send", "PING", "--json")

    assert plain.stderr == "warning: a broker is away; it gets the event if it is back within 50 s\n"
    answer = json.loads(as_json.stdout)
    assert (answer["settled"], answer["outcome"], answer["confirmed_by"]) == (False, "", 0)


def test_a_broker_that_lost_it_is_told(daemon: FakeDaemon, run: Run) -> None:
    """An event that some broker never got: which reason, at how many."""
    daemon.answers["matching"] = matched(1, 1)
    daemon.settled = [Fate([1], confirmed=1, overflow=2, nacked=1, expired=1, forgotten=1)]
    plain, as_json = run("send", "PING"), run("send", "PING", "--json")

    assert plain.stderr == (
        "warning: 1 broker stayed away until the event's time was over, 2 brokers could not be owed more, "
        "1 broker refused the event, 1 broker was given up\n"
    )
    assert (plain.exit_code, json.loads(as_json.stdout)["outcome"]) == (0, "partial")


def test_who_may_not_transmit_is_told_so(daemon: FakeDaemon, run: Run) -> None:
    """The daemon closes the connection of one who may not send events: status 4, with the cure."""
    daemon.settled = [Closing("not_permitted", "sending events needs group mirosd")]
    result = run("send", "PING")

    assert (result.exit_code, result.stderr) == (4, "Error: sending events needs group mirosd\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["1st"], "no receiver makes an event of a signal named '1st'"),
        (["PING", "--payload", "{"], "not JSON"),
        (["PING", "--payload", "NaN"], "not JSON"),
        (["PING", "--payload", "[" * 100_000], "not JSON"),
        (["PING", "--payload", "\udcff"], "not JSON"),
        (["PING", "--key", "k" * 256], "at most 255 bytes"),
        (["PING", "--key", "\udcff"], "text"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_sent_is_wrong_usage(daemon: FakeDaemon, run: Run, words: list[str], why: str) -> None:
    """Said before anything is sent."""
    result = run("send", *words)

    assert result.exit_code == 2
    assert why in result.stderr
    assert daemon.events == []


def test_too_much_is_1(daemon: FakeDaemon, run: Run) -> None:
    """A payload beyond the bound is refused with the bound."""
    result = run("send", "PING", "--payload", json.dumps("x" * 300_000))

    assert result.exit_code == 1
    assert "the limit is 262144" in result.stderr
    assert daemon.events == []
