"""mirosctl why."""

import json
import re
from typing import Any

import pytest

from mirosd_client.snoop_line import SnoopLine
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon, end_record, lines_record
from tests.mirosctl.test_chain import A1, B2, B3, C4, CLIENTS, STORY, handled, name, sent
from tests.mirosctl.test_charts import host


@pytest.fixture
def mesh(daemon: FakeDaemon) -> FakeDaemon:
    """Three hosts that remember a story."""
    daemon.answers["recall"] = ([host("h1"), host("h2"), host("h3")], {"sources": 3})
    remember(daemon, STORY)
    return daemon


def remember(daemon: FakeDaemon, lines: list[SnoopLine], *, older: bool = False) -> None:
    """Have the programs send these lines, last ones first."""
    records = [lines_record(*lines[::-1])] if lines else []
    ends = [end_record(client, who.partition("/")[0], older=older) for who, client in CLIENTS.items()]
    daemon.heard["recall"] = records + ends


def said(text: str) -> list[str]:
    """Give the lines without their times."""
    return [re.sub(r"\[\d{4}-[^]]*\] ", "", line) for line in text.splitlines()]


def test_the_chain_is_told_from_its_first_cause(mesh: FakeDaemon, run: Run) -> None:
    """Each event with who sent it, who handled it and how, and what they sent because of it one step to the right."""
    result = run("why", "cccccccc-1-4")

    assert said(result.stdout) == [
        "h1 [a] transmit->GO() aaaaaaaa-1-1",
        "  h2 [b] e->GO() s->busy",
        "  h2 [b] transmit->GO() bbbbbbbb-1-2",
        "    h3 [c] e->GO()",
        "    h3 [c] transmit->GO() cccccccc-1-4  <- asked for",
        "      h1 [a] e->GO() s->glad",
    ]
    assert (0, "") == (result.exit_code, result.stderr)


def test_what_followed_is_told_to_the_end(mesh: FakeDaemon, run: Run) -> None:
    """Of the event that is asked for: all charts that handled it, and what they did later because of it."""
    assert said(run("why", A1).stdout) == [
        "h1 [a] transmit->GO() aaaaaaaa-1-1  <- asked for",
        "  h2 [b] e->GO() s->busy",
        "  h2 [b] transmit->GO() bbbbbbbb-1-2",
        "    h3 [c] e->GO()",
        "    h3 [c] transmit->GO() cccccccc-1-4",
        "      h1 [a] e->GO() s->glad",
        "  h2 [b] e->OWN() busy->idle",
        "  h2 [b] transmit->GO() bbbbbbbb-1-3",
        "    h3 [c] e->GO() s->sad",
    ]


def test_all_hosts_are_asked_for_events_too(mesh: FakeDaemon, run: Run) -> None:
    """For ten minutes, or as long as is wanted."""
    run("why", A1)
    run("why", A1, "--since", "1h")
    first, second = (args for _, args in mesh.asked)

    assert (first["what"], first["network"], first["events"]) == ("history", "snoop_trace", True)
    assert first["hosts"] == first["charts"] == first["signals"] == []
    assert [600.0, 3600.0] == [first["since_s"], second["since_s"]]


def test_json_is_a_tree(mesh: FakeDaemon, run: Run) -> None:
    """The same for machines: deeds within events, events within deeds; hybrid times are texts of digits."""
    document = json.loads(run("why", C4, "--json").stdout)
    chain = document["chain"]
    (deed,) = chain["deeds"]

    assert (document["schema"], document["event"], document["silent"]) == ("mirosctl.why/1", C4, [])
    assert {key: value for key, value in chain.items() if key != "deeds"} == {
        "event": A1,
        "signal": "GO",
        "host": "h1",
        "chart": "a",
        "hlc": "10",
        "cause": "",
        "asked": False,
        "gap": "",
    }
    assert (deed["host"], deed["chart"], deed["client"], deed["number"]) == ("h2", "b", CLIENTS["h2/b"], 1)
    assert [(step["from"], step["to"], step["hlc"]) for step in deed["steps"]] == [("s", "busy", "20")]
    (asked,) = deed["sent"][0]["deeds"][0]["sent"]
    assert (asked["event"], asked["asked"], asked["cause"]) == (C4, True, B2)


CAME_FROM = "(this is where the chain has come from: it goes in a circle)"


@pytest.mark.parametrize(
    ("lines", "event", "told"),
    [
        (
            [sent("h3/c", 4, 41, B2)],
            C4,
            [
                "transmit->() bbbbbbbb-1-2",
                "  (nothing of it is on record: its program keeps none, has let go of it, or did not answer)",
                "  h3 [c] transmit->GO() cccccccc-1-4  <- asked for",
                "    (no chart on record handled it)",
            ],
        ),
        (
            [handled("h2/b", name("h1/a", 7), 5)],
            name("h1/a", 7),
            ["transmit->GO() aaaaaaaa-1-7  <- asked for", "  h2 [b] e->GO()"],
        ),
        (
            [handled("h1/a", B3, 5), handled("h2/b", name("h1/a", 7), 4)],
            B3,
            ["h2 [b] transmit->GO() bbbbbbbb-1-3  <- asked for", "  h1 [a] e->GO()"],
        ),
        (
            [sent("h1/a", 1, 10, B2), sent("h2/b", 2, 20, A1)],
            A1,
            [
                CAME_FROM,
                "h2 [b] transmit->GO() bbbbbbbb-1-2",
                "  h1 [a] transmit->GO() aaaaaaaa-1-1  <- asked for",
                "    h2 [b] transmit->GO() bbbbbbbb-1-2",
                f"      {CAME_FROM}",
            ],
        ),
    ],
)
def test_where_a_chain_does_not_go_on_is_told(
    mesh: FakeDaemon, run: Run, lines: list[SnoopLine], event: str, told: list[str]
) -> None:
    """What nobody has on record any more, senders that keep none, circles."""
    remember(mesh, lines)

    assert told == said(run("why", event).stdout)


def test_an_endless_chain_is_cut(mesh: FakeDaemon, run: Run) -> None:
    """And told at both ends."""
    lines = [sent("h1/a", at, at + 1, name("h1/a", at - 1) if at else "") for at in range(300)]
    remember(mesh, lines)
    output = run("why", lines[150].event).stdout.splitlines()

    assert "(the chain goes on, beyond 64 events)" == output[0] == output[-1].strip()
    assert len(output) == 1 + 64 + 1 + 64 + 1


def test_several_that_begin_so_are_listed(mesh: FakeDaemon, run: Run) -> None:
    """None is taken for another: exit status 1."""
    other = "aaaaaa" + "b" * 26 + "-1-1"
    remember(mesh, [*STORY, handled("h2/b", other, 90)])
    result = run("why", "aaaaaa-1-1")

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr == f"2 events begin with aaaaaa-1-1 in the last 600 s\n  {A1}\n  {other}\n"


def test_an_event_that_nobody_remembers_is_told(mesh: FakeDaemon, run: Run) -> None:
    """With the reason, where a program has let go of lines, or a host has not answered."""
    remember(mesh, STORY, older=True)
    mesh.answers["recall"] = ([host("h1"), host("h2"), host("h3"), host("h4", 0, "unanswered")], {"sources": 3})
    result = run("why", "123456-1-1")

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr == (
        "warning: h4: its mirosd did not answer\n"
        "warning: some programs have let go of lines within that time\n"
        "no event is named 123456-1-1 in the last 600 s; --since looks further back\n"
    )


def test_what_names_no_event_is_wrong_usage(mesh: FakeDaemon, run: Run) -> None:
    """With what a name looks like; nobody is asked."""
    result = run("why", "archer")

    assert result.exit_code == 2
    assert "'archer' names no event; one looks like 3f9a1c02-1-4711" in " ".join(result.stderr.split())
    assert mesh.asked == []


def test_names_from_elsewhere_are_fit_to_print(mesh: FakeDaemon, run: Run) -> None:
    """In text and in JSON."""
    source: dict[str, Any] = {"client": CLIENTS["h1/a"], "number": 1, "hlc": 10, "event": A1}
    remember(mesh, [SnoopLine("send", "a\x1b[2J[red]", 1.5, "S\x07", host="h\r", **source)])
    plain, as_json = run("why", A1).stdout, run("why", A1, "--json").stdout

    assert "[a\ufffd[2J[red]] transmit->S\ufffd()" in plain
    assert not {"\x1b", "\x07", "\r"} & set(plain + as_json)
    assert json.loads(as_json)["chain"]["chart"] == "a\ufffd[2J[red]"
