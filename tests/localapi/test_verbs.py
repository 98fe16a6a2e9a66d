from typing import Any

import pytest

from mirosd.localapi.verbs import VERBS
from mirosd_client.messages import Done, Failed
from tests.localapi.live import Live


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
        "peers": ({}, ([{"node": "b" * 32, "name": "host-b"}], {})),
        "clients": ({}, ([{"client": "c" * 32}], {})),
        "matching": ({"routing_key": "a.b"}, ([], {"hosts": 1, "queues": 3, "unanswered": []})),
        "hosts_add": ({"host": "c"}, ([], {})),
        "hosts_remove": ({"host": "a"}, ([], {})),
        "hosts_list": ({}, ([{"host": "b", "source": "local"}, {"host": "c", "source": "local"}], {})),
        "hosts_reload": ({}, ([], {})),
        "wait": ({"peers": None, "timeout_s": 5}, ([], {"ready": True, "missing": ""})),
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
    [("statsu", "did you mean 'status'?"), ("zzz", "there are: clients, hosts_add"), ("p" * 100_000, "no verb")],
)
def test_an_unknown_verb_is_met_with_the_nearest(live: Live, verb: str, hint: str) -> None:
    """A misspelt verb gets the nearest name, a strange one the list, a very long one a short answer."""
    failed = refusal(live, verb)

    assert failed.code == "unknown_verb"
    assert hint in failed.message
    assert len(failed.message) < 300


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
        ("matching", {}),
        ("matching", {"routing_key": "k" * 256}),
    ],
)
def test_bad_arguments_are_refused_by_name(live: Live, verb: str, args: dict[str, Any]) -> None:
    """What does not fit a verb's arguments is said with its place, and the view is not asked."""
    failed = refusal(live, verb, **args)

    assert failed.code == "bad_arguments"
    assert failed.message
    assert live.view.listed == []


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


def test_an_answer_that_is_no_json_is_the_daemons_fault(live: Live) -> None:
    """A row that cannot be encoded ends its answer with `internal`, and the session goes on."""
    live.view.rows = [{"good": 1}, {"bad": object()}]
    with live.client() as raw:
        rows, failed = raw.ask("peers")

        assert rows == [{"good": 1}]
        assert isinstance(failed, Failed)
        assert failed.code == "internal"
        assert raw.is_well()
