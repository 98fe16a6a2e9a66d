from pathlib import Path
from typing import Any

import pytest

from mirosd.core.interfaces import Credentials
from mirosd.localapi.metrics_verbs import PEER_FIELDS
from mirosd.localapi.rights import MEMBERS, Grant, Policy, Rights
from mirosd.localapi.verbs import VERBS
from mirosd_client.messages import Done, Failed
from tests.localapi.live import Live, running


def refusal(live: Live, verb: str, **args: Any) -> Failed:
    with live.client() as raw:
        rows, end = raw.ask(verb, **args)
    assert rows == []
    assert isinstance(end, Failed)
    return end


def test_every_verb_answers(live: Live) -> None:
    """Each verb of the table gives its rows and its result over the socket."""
    live.view.listed = ["b", "a"]
    answers: dict[str, tuple[dict[str, Any], tuple[list[dict[str, Any]], dict[str, Any]]]] = {
        "status": ({}, ([], {"state": "ready", "name": "host-a"})),
        "metrics": (
            {},
            (
                [dict.fromkeys(PEER_FIELDS) | {"node": "b" * 32, "name": "host-b"}],
                {"state": "ready", "name": "host-a", "events": {}},
            ),
        ),
        "peers": ({}, ([{"node": "b" * 32, "name": "host-b"}], {})),
        "peers_forget": ({"node": "h2"}, ([], {"node": "b" * 32, "name": "h2"})),
        "peers_allow": ({"node": "h3"}, ([], {"node": "c" * 32, "name": "h3"})),
        "recce": (
            {"addresses": ["10.0.0.7"], "timeout_s": 5},
            (
                [{"state": "fill_arp_table"}, {"address": "10.0.0.7", "verdict": "proved"}],
                {"number": 1, "is_complete": True, "found": 1},
            ),
        ),
        "scout": (
            {"address": "10.0.0.7"},
            ([{"stage": "resolve", "code": "ok"}], {"address": "10.0.0.7", "code": "", "peer": None}),
        ),
        "cache_show": ({}, ([], {"addresses": ["10.0.0.7"]})),
        "cache_flush": ({}, ([], {"number": 2})),
        "clients": ({}, ([{"client": "c" * 32}], {})),
        "matching": ({"routing_key": "a.b"}, ([], {"hosts": 1, "queues": 3, "unanswered": []})),
        "hosts_add": ({"host": "c"}, ([], {})),
        "hosts_remove": ({"host": "a"}, ([], {})),
        "hosts_list": ({}, ([{"host": "b", "source": "local"}, {"host": "c", "source": "local"}], {})),
        "hosts_reload": ({}, ([], {})),
        "keys_list": ({}, ([{"network": "mesh"}, {"node": "a" * 32}], {})),
        "keys_rotate": ({"network": "mesh", "force": True}, ([], {"network": "mesh", "forced": True})),
        "keys_replace": ({"network": "system", "key": "abc"}, ([], {"network": "system", "letters": 3})),
        "wait": ({"peers": None, "timeout_s": 5}, ([], {"ready": True, "missing": ""})),
        "watch": (
            {"network": "snoop_trace", "for_s": 0.01},
            ([{"host": "host-a", "node": "a" * 32, "remote": "off", "accepts": True}], {}),
        ),
        "recall": (
            {"id": "f" * 32, "what": "charts", "network": "snoop_trace"},
            (
                [
                    {"host": "host-a", "node": "a" * 32, "sources": 2, "refused": ""},
                    {"host": "host-b", "node": "b" * 32, "sources": 0, "refused": "policy"},
                ],
                {"sources": 2},
            ),
        ),
    }
    assert set(VERBS) == {*answers, "peers_watch"}  # which has no end
    with live.client() as raw:
        for verb, (args, (rows, result)) in answers.items():
            assert (rows, Done(7, result)) == raw.ask(verb, **args)


def test_what_is_missing_is_said_when_a_wait_ends(live: Live) -> None:
    """A wait that was in vain is no failure: its result says what is missing."""
    with live.client() as raw:
        assert ([], Done(7, {"ready": False, "missing": "2 peers"})) == raw.ask("wait", peers=2, timeout_s=0)


@pytest.mark.parametrize(
    ("verb", "hint"),
    [
        ("statsu", "did you mean 'status'?"),
        ("zzz", "there are: cache_flush, cache_show, clients, hosts_add"),
        ("p" * 100_000, "no verb"),
    ],
)
def test_an_unknown_verb_is_met_with_the_nearest(live: Live, verb: str, hint: str) -> None:
    """A misspelt verb gets the nearest name, a strange one the list, a very long one a short answer."""
    failed = refusal(live, verb)

    assert failed.code == "unknown_verb"
    assert hint in failed.message
    assert len(failed.message) < 500


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("status", {"verbose": True}),
        ("hosts_add", {}),
        ("hosts_add", {"host": ""}),
        ("hosts_add", {"host": "h" * 301}),
        ("hosts_add", {"host": ["h"]}),
        ("wait", {"peers": -1}),
        ("wait", {"peers": True}),
        ("wait", {"timeout_s": "5"}),
        ("wait", {"timeout_s": 86_401}),
        ("wait", {"until": 5}),
        ("recce", {"addresses": ["10.0.0.7"] * 1025}),
        ("recce", {"addresses": [""]}),
        ("recce", {"addresses": ["h" * 301]}),
        ("recce", {"addresses": "10.0.0.7"}),
        ("recce", {"timeout_s": -1}),
        ("recce", {"timeout_s": 601}),
        ("scout", {}),
        ("scout", {"address": ""}),
        ("peers_forget", {}),
        ("peers_forget", {"node": ""}),
        ("peers_allow", {"node": "n" * 301}),
        ("cache_show", {"all": True}),
        ("matching", {}),
        ("matching", {"routing_key": "k" * 256}),
        ("watch", {"network": "mesh", "for_s": 1}),
        ("watch", {"network": "snoop_trace"}),
        ("watch", {"network": "snoop_trace", "for_s": 0}),
        ("watch", {"network": "snoop_trace", "for_s": 86_401}),
        ("watch", {"network": "snoop_trace", "for_s": 1, "charts": "a*"}),
        ("watch", {"network": "snoop_trace", "for_s": 1, "charts": ["c"] * 17}),
        ("watch", {"network": "snoop_trace", "for_s": 1, "hosts": ["h" * 129]}),
        ("recall", {"id": "f" * 31, "what": "charts", "network": "snoop_trace"}),
        ("recall", {"id": "F" * 32, "what": "charts", "network": "snoop_trace"}),
        ("recall", {"id": "f" * 32, "what": "everything", "network": "snoop_trace"}),
        ("recall", {"id": "f" * 32, "what": "history", "network": "snoop_spy", "since_s": -1}),
    ],
)
def test_bad_arguments_are_refused_by_name(live: Live, verb: str, args: dict[str, Any]) -> None:
    """What does not fit a verb's arguments is said with its place, and the view is not asked."""
    failed = refusal(live, verb, **args)

    assert failed.code == "bad_arguments"
    assert failed.message
    assert live.view.listed == []
    assert live.view.lan.sighted == []
    assert live.view.snoop.recalls == []


def test_an_error_of_the_daemon_keeps_its_code(live: Live) -> None:
    """A MirosdError that a verb meets crosses the socket as code and text."""
    assert Failed(7, "host_unknown", "nowhere") == refusal(live, "hosts_remove", host="nowhere")


def test_a_fault_of_a_verb_is_logged_and_ends_nothing(live: Live) -> None:
    """An unforeseen exception becomes `internal`, its traceback goes to the log, and the session goes on."""
    with live.client() as raw:
        live.view.fault = ZeroDivisionError("secret detail")
        _, failed = raw.ask("status")
        live.view.fault = None

        assert isinstance(failed, Failed)
        assert failed.code == "internal"
        assert "secret" not in failed.message
        assert raw.is_well()
    assert [(line["event"], line["exc_info"]) for line in live.logs] == [("verb_failed", True)]


OPERATED = {
    "hosts_add",
    "hosts_remove",
    "hosts_reload",
    "recce",
    "scout",
    "cache_flush",
    "peers_forget",
    "peers_allow",
    "keys_rotate",
    "keys_replace",
}


def test_what_changes_or_sends_something_is_operated() -> None:
    """Members read; who changes the daemon, or has it send something to other hosts, needs the right to operate.

    What shows charts needs the network that is asked for, which operators have.
    """
    assert {name for name, verb in VERBS.items() if verb.right is Rights.OPERATE} == OPERATED
    assert {name for name, verb in VERBS.items() if verb.right is None} == {"watch", "recall"}
    assert {name for name, verb in VERBS.items() if verb.right is Rights.TRANSMIT} == {"matching"}


@pytest.mark.parametrize("verb", sorted(OPERATED))
def test_a_member_does_not_operate(tmp_path: Path, verb: str) -> None:
    """Over the socket, before the arguments are looked at: with what would permit it, and nothing is done."""
    policy = NobodyOperates(own_uid=1, member_gid=None, operator_gid=None)
    with running(tmp_path / "s", policy=policy) as live:
        failed = refusal(live, verb)

        assert failed.code == "not_permitted"
        assert f"`{verb}` needs group mirosd-admin" in failed.message
        assert live.view.listed == []
        assert live.view.lan.sighted == []


class NobodyOperates(Policy):
    """Root is no more than a member, so that these tests may run as root."""

    def grant_of(self, caller: Credentials) -> Grant:
        return MEMBERS


def test_an_answer_that_is_no_json_is_the_daemons_fault(live: Live) -> None:
    """A row that cannot be encoded ends its answer with `internal`, and the session goes on."""
    live.view.rows = [{"good": 1}, {"bad": object()}]
    with live.client() as raw:
        rows, failed = raw.ask("peers")

        assert rows == [{"good": 1}]
        assert isinstance(failed, Failed)
        assert failed.code == "internal"
        assert raw.is_well()
