"""Chains of events: found whatever the order of lines, and told where they do not go on."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mirosctl.chain import MAX_DEPTH, Chains, Deed, Link
from mirosd_client.snoop_line import SnoopLine

CLIENTS = {"h1/a": "aa" * 16, "h2/b": "bb" * 16, "h3/c": "cc" * 16}


def line(kind: str, who: str, hlc: int, signal: str = "GO", **fields: Any) -> SnoopLine:
    """Give a line of a chart; `who` is its host and its name."""
    host, chart = who.split("/")
    return SnoopLine(kind, chart, 1.5, signal, host=host, client=CLIENTS[who], number=1, hlc=hlc, **fields)  # type: ignore[arg-type]


def name(who: str, sequence: int) -> str:
    """Give an event's name."""
    return f"{CLIENTS[who]}-1-{sequence}"


def sent(who: str, sequence: int, hlc: int, cause: str = "") -> SnoopLine:
    """Give the line of an event's transmission."""
    return line("send", who, hlc, event=name(who, sequence), cause=cause)


def handled(who: str, event: str, hlc: int, cause: str = "", to: str = "") -> SnoopLine:
    """Give the line of a step that handled an event, with a move or without."""
    moved = {"from_state": "s", "to_state": to} if to else {}
    return line("trace" if to else "event", who, hlc, event=event, cause=cause, **moved)


def outline(link: Link) -> list[Any]:
    """Give a chain as names, steps and lists."""
    acts: list[Any] = []
    for deed in link.deeds:
        acts.append(f"{deed.host}/{deed.chart}")
        acts.append([outline(act) if isinstance(act, Link) else act.to_state or act.kind for act in deed.acts])
    mark = "*" if link.is_asked else ""
    sender = f"{link.sender.host}/{link.sender.chart}" if link.sender else "?"
    return [f"{mark}{sender}-{link.event.id.rpartition('-')[2]}{':' if link.gap else ''}{link.gap}", *acts]


def chain(lines: list[SnoopLine], event: str) -> list[Any]:
    """Give the outline of an event's chain."""
    return outline(Chains(lines).why(event))


A1, B2, B3, C4 = name("h1/a", 1), name("h2/b", 2), name("h2/b", 3), name("h3/c", 4)
STORY = [
    sent("h1/a", 1, 10),
    handled("h2/b", A1, 20, to="busy"),
    sent("h2/b", 2, 21, A1),
    line(
        "trace", "h2/b", 30, "OWN", cause=A1, from_state="busy", to_state="idle"
    ),  # an event of its own, because of A1
    sent("h2/b", 3, 31, A1),
    handled("h3/c", B2, 40, A1),
    sent("h3/c", 4, 41, B2),
    handled("h1/a", C4, 50, B2, to="glad"),
    handled("h3/c", B3, 60, A1, to="sad"),
    sent("h3/c", 9, 70),
    handled("h1/a", name("h3/c", 9), 80, to="elsewhere"),
]


@given(st.permutations(STORY), st.integers(0, len(STORY)))
def test_all_that_followed_from_an_event_is_beneath_it(lines: list[SnoopLine], again: int) -> None:
    """By chart, in the order of what each did, over all hosts and through charts' own events; nothing else is there."""
    expected = [
        "*h1/a-1",
        "h2/b",
        [
            "busy",
            ["h2/b-2", "h3/c", ["event", ["h3/c-4", "h1/a", ["glad"]]]],
            "idle",
            ["h2/b-3", "h3/c", ["sad"]],
        ],
    ]

    assert expected == chain(lines + lines[:again], A1)


@given(st.permutations(STORY))
def test_what_led_to_an_event_is_above_it(lines: list[SnoopLine]) -> None:
    """From the first cause down, with what the senders did until then, and nothing that went another way."""
    down = ["h3/c", ["event", ["*h3/c-4", "h1/a", ["glad"]]]]
    assert ["h1/a-1", "h2/b", ["busy", ["h2/b-2", *down]]] == chain(lines, C4)
    assert ["h1/a-1", "h2/b", ["busy", "idle", ["*h2/b-3", "h3/c", ["sad"]]]] == chain(lines, B3)


def test_an_event_without_its_senders_line_is_told_by_who_handled_it() -> None:
    """A program without a record, or one that has let go of it: the cause stands at the receiver's too."""
    lines = [one for one in STORY if one.kind != "send"]

    assert ["h1/a-1", "h2/b", ["busy", "idle", ["h2/b-2", "h3/c", ["event", ["*h3/c-4", "h1/a", ["glad"]]]]]] == chain(
        lines, C4
    )
    assert ["*?-7", "h2/b", ["event"]] == chain([handled("h2/b", name("h1/a", 7), 5)], name("h1/a", 7))


def test_a_link_that_is_missing_is_told() -> None:
    """An event that is known only because another names it as its cause: who sent that one did something about it."""
    lines = [sent("h3/c", 4, 41, B2), handled("h1/a", C4, 50, B2)]

    assert ["?-2:missing", "h3/c", [["*h3/c-4", "h1/a", ["event"]]]] == chain(lines, C4)
    assert ["*?-2:missing", "h3/c", [["h3/c-4", "h1/a", ["event"]]]] == chain(lines, B2)


def test_an_event_that_nobody_handled_has_no_deeds() -> None:
    """Its transmission is all that there is."""
    assert ["*h1/a-1"] == chain([sent("h1/a", 1, 10)], A1)


def test_a_circle_is_told_and_ends() -> None:
    """No honest program makes one; each way into it ends where it began."""
    lines = [sent("h1/a", 1, 10, B2), sent("h2/b", 2, 20, A1), sent("h3/c", 4, 30, A1)]
    closed = ["h1/a-1", "h2/b", [["h2/b-2:cycle"]]]

    assert ["h2/b-2:cycle", "h1/a", [["*h1/a-1", "h2/b", [["h2/b-2:cycle"]], "h3/c", [["h3/c-4"]]]]] == chain(lines, A1)
    assert closed[0] in str(chain(lines, C4))
    assert ["*h1/a-1:cycle", "h1/a", [["h1/a-1:cycle"]]] == chain([sent("h1/a", 1, 10, A1)], A1)


def test_an_endless_chain_is_cut_above_and_below() -> None:
    """Two charts that answer each other: MAX_DEPTH causes, MAX_DEPTH followers, and both ends are told."""
    whole = 4 * MAX_DEPTH
    lines = [
        sent(("h1/a", "h2/b")[at % 2], at, at + 1, name(("h1/a", "h2/b")[at % 2 - 1], at - 1) if at else "")
        for at in range(whole)
    ]
    link, depths, asked_at = Chains(lines).why(lines[whole // 2].event), [], 0
    while True:
        depths.append((link.event.id.rpartition("-")[2], link.gap))
        asked_at = len(depths) if link.is_asked else asked_at
        if not link.deeds:
            break
        ((_, below),) = [(deed, act) for deed in link.deeds for act in deed.acts]
        assert isinstance(below, Link)
        link = below

    assert (str(whole // 2 - MAX_DEPTH), "deeper") == depths[0]
    assert (str(whole // 2 + MAX_DEPTH), "deeper") == depths[-1]
    assert {""} == {gap for _, gap in depths[1:-1]}
    assert MAX_DEPTH + 1 == asked_at


def test_an_event_is_found_by_the_beginning_of_its_name() -> None:
    """As people write it; several that begin so are all given, sorted, and who is only named as a cause too."""
    ab = "aab" + "b" * 29
    other = SnoopLine("send", "x", 1, "S", client=ab, number=1, hlc=5, event=f"{ab}-1-1", cause=name("h3/c", 8))
    chains = Chains([*STORY, other])

    assert [A1, f"{ab}-1-1"] == chains.find(("aa", 1, 1))
    assert [A1] == chains.find(("aaaa", 1, 1))
    assert [] == chains.find(("aaaa", 2, 1))
    assert [name("h3/c", 8)] == chains.find(("cccc", 1, 8))


def test_the_way_down_has_only_who_went_it() -> None:
    """Another chart that handled the same event is no part of why this one was sent."""
    lines = [
        sent("h1/a", 1, 10),
        handled("h2/b", A1, 20),
        handled("h3/c", A1, 15, to="by the way"),
        sent("h2/b", 2, 30, A1),
    ]

    assert ["h1/a-1", "h2/b", ["event", ["*h2/b-2"]]] == chain(lines, B2)


def test_what_names_no_event_is_left_out() -> None:
    """A line from elsewhere may say anything: what is no event's name leads nowhere."""
    texts = ("x", "1-2-3", "a-b-c", f"{B2}-1", B2[1:])
    nonsense = [line("send", "h1/a", hlc, event=text, cause=B2) for hlc, text in enumerate(texts)]
    nonsense += [line("trace", "h1/a", hlc + 10, cause=text, to_state="t") for hlc, text in enumerate(texts)]
    right = sent("h2/b", 2, 20, "\ufffd")
    chains = Chains([*nonsense, right, handled("h3/c", B2, 30, B3[2:])])

    assert ["*h2/b-2", "h3/c", ["event"]] == outline(chains.why(B2))
    assert [B2] == chains.find((B2[:6], 1, 2))
    assert [] == chains.find((B2[1:7], 1, 3))


def test_a_region_is_part_of_its_owner() -> None:
    """It reports under its own name with its owner's number: what it did is what the owner's chart did."""
    source = {"host": "h2", "client": CLIENTS["h2/b"], "number": 1}
    region = SnoopLine("trace", "b.region", 1.5, "GO", "s", "t", hlc=25, cause=A1, **source)  # type: ignore[arg-type]
    (deed,) = Chains([sent("h1/a", 1, 10), handled("h2/b", A1, 20), region]).why(A1).deeds

    assert isinstance(deed, Deed)
    assert ("b", ["b", "b.region"]) == (deed.chart, [act.chart for act in deed.acts if isinstance(act, SnoopLine)])
