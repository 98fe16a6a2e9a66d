"""Watching and recalling over the socket: what is held, for how long, and what is shown of it."""

from pathlib import Path
from typing import Any

import pytest

from mirosd.core.interfaces import Credentials
from mirosd.localapi.rights import Grant, Policy, grant
from mirosd_client.dial import Dial
from mirosd_client.messages import Ask, Done, Failed, Hello, Recall, Row, Watched, encode_message
from tests.lab.waiting import until
from tests.localapi.live import Live, Raw, running

OWN = {"host": "host-a", "node": "a" * 32, "remote": "off", "accepts": True}
OTHER = {"host": "host-b", "node": "b" * 32, "remote": "trace", "accepts": True}


def watch(raw: Raw, number: int = 7, **args: Any) -> None:
    """Ask to watch."""
    raw.send(encode_message(Ask(number, "watch", {"network": "snoop_trace", "for_s": 3600} | args)))


def test_a_dial_is_held_while_its_watch_runs(live: Live) -> None:
    """Until the time is up, with all that it says."""
    with live.client() as raw:
        watch(raw, for_s=0.05, charts=["archer*"], signals=["War_Cry"], hosts=["h2"], events=True)

        assert ([OWN], Done(7)) == raw.answer(7)
        assert [("snoop_trace", Dial(["h2"], ["archer*"], ["War_Cry"], True))] == live.view.snoop.holds
        assert [] == live.view.snoop.held


def test_a_watch_ends_with_its_connection(live: Live) -> None:
    """A viewer that is killed leaves nothing on."""
    raw = live.client()
    watch(raw)
    until(lambda: live.view.snoop.held)
    raw.close()

    until(lambda: not live.view.snoop.held)


def test_a_host_is_shown_again_when_it_changes_and_only_then(live: Live) -> None:
    """A row for each at first, then one for who is new or says something else."""
    with live.client() as raw:
        watch(raw)
        assert Row(7, OWN) == raw.message()
        live.call(lambda: live.view.snoop.happen([OWN, OTHER]))
        assert Row(7, OTHER) == raw.message()
        refusing = OTHER | {"remote": "off", "accepts": False}
        live.call(lambda: live.view.snoop.happen([OWN, OTHER]))
        live.call(lambda: live.view.snoop.happen([OWN, refusing]))

        assert Row(7, refusing) == raw.message()
        assert raw.is_well()


def test_a_refused_watch_holds_nothing(live: Live) -> None:
    """The daemon's word reaches the viewer."""
    with live.client() as raw:
        watch(raw)
        until(lambda: live.view.snoop.held)
        raw.message()
        watch(raw, 8)

        assert Failed(8, "too_many_watches", "end one") == raw.message()
        assert 1 == len(live.view.snoop.held)


def test_a_recall_is_asked_as_it_was_said(live: Live) -> None:
    """With the id that the viewer drew."""
    args = {"id": "f" * 32, "what": "history", "network": "snoop_spy", "charts": ["a"], "since_s": 600}
    with live.client() as raw:
        raw.ask("recall", **args)

    assert [Recall("f" * 32, "history", "snoop_spy", Dial(charts=["a"]), 600.0)] == live.view.snoop.recalls


def test_a_program_with_charts_is_told_and_asked(live: Live) -> None:
    """What is watched, and recalls, reach it; whoever has not said that it has charts is known to have none."""
    recall = Recall("f" * 32, "charts", "snoop_trace", Dial())
    with live.connect() as raw, live.client() as other:
        raw.send(encode_message(Hello([1], raw.secret, has_charts=True)))
        raw.message()
        until(lambda: len(live.sink.sessions) == 2)
        has_charts = {client: session.has_charts for client, session in live.sink.sessions.items()}
        session = next(session for session in live.sink.sessions.values() if session.has_charts)
        live.call(lambda: session.watched(Watched({"snoop_trace": [Dial(charts=["a*"])]})))
        live.call(lambda: session.recall(recall))

        assert 1 == sum(has_charts.values())
        assert False is has_charts[other.id]
        assert Watched({"snoop_trace": [Dial(charts=["a*"])]}) == raw.message()
        assert recall == raw.message()


class NobodyTransmits(Policy):
    """Root may look at traces and no more, so that these tests may run as root."""

    def grant_of(self, caller: Credentials) -> Grant:
        return grant(["read"], ["snoop_trace"])


def test_a_program_that_may_not_transmit_has_no_charts(tmp_path: Path) -> None:
    """It could answer no recall, and whoever recalls would wait for it."""
    policy = NobodyTransmits(own_uid=1, member_gid=None, operator_gid=None)
    with running(tmp_path / "s", policy=policy) as live, live.connect() as raw:
        raw.send(encode_message(Hello([1], raw.secret, has_charts=True)))
        until(lambda: live.sink.sessions)

        assert [False] == [session.has_charts for session in live.sink.sessions.values()]


ASKS: dict[str, dict[str, Any]] = {
    "watch": {"for_s": 0.05},
    "recall": {"id": "f" * 32, "what": "history"},
}


@pytest.mark.parametrize("verb", ASKS)
def test_charts_are_seen_on_the_networks_that_a_rule_names(tmp_path: Path, verb: str) -> None:
    """Who may read one snoop network watches and recalls there; on the other it is told what would permit it."""
    policy = NobodyTransmits(own_uid=1, member_gid=None, operator_gid=None)
    with running(tmp_path / "s", policy=policy) as live, live.client() as raw:
        assert isinstance(raw.ask(verb, network="snoop_trace", **ASKS[verb])[1], Done)
        _, failed = raw.ask(verb, network="snoop_spy", **ASKS[verb])

        assert isinstance(failed, Failed)
        assert "not_permitted" == failed.code
        assert f"`{verb}` needs group mirosd-admin" in failed.message
        assert "networks: [snoop_spy]" in failed.message
        assert {"snoop_trace"} == {network for network, _ in live.view.snoop.holds} | {
            recall.network for recall in live.view.snoop.recalls
        }
