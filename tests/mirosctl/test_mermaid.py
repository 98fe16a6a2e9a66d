"""Sequence diagrams as mermaid's text."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosctl.causal_order import in_order
from mirosctl.mermaid import TITLE, Mermaid, escaped
from mirosd_client.snoop_line import SnoopLine
from tests.mirosctl.conversations import Conversation
from tests.mirosctl.test_causal_order import SCRIPTS
from tests.mirosctl.test_sequence import H1, H2, SMALL, handled, line
from tests.properties import EXAMPLES, TOTAL

SOME = settings(TOTAL, max_examples=min(EXAMPLES, 300))  # each is a conversation of dozens of lines

TEXT = r"(?:[^#;\n\"<>:%{}`\\]|#\d+;)+"
"""What nothing of mermaid's grammar can be, and entities."""
STATEMENT = re.compile(
    rf"    (?:participant (?P<new>p\d+) as {TEXT}|(?P<sender>p\d+)->>(?P<receiver>p\d+): {TEXT}"
    rf"|Note over (?P<at>p\d+): {TEXT})"
)
"""The part of sequenceDiagram's grammar that is written: https://mermaid.js.org/syntax/sequenceDiagram.html."""


def check(statements: list[str]) -> None:
    """Fail for what is no diagram: a statement of another form, or a participant that was not introduced."""
    known = set()
    assert TITLE == statements[0]
    for statement in statements[1:]:
        match = STATEMENT.fullmatch(statement)
        assert match, statement
        assert not re.search(r"\bend\b", statement, re.IGNORECASE)
        if match["new"]:
            assert match["new"] not in known
            known.add(match["new"])
        assert known.issuperset(filter(None, (match["sender"], match["receiver"], match["at"])))


def test_a_conversation_is_written() -> None:
    """Participants before their first words, arrows, starts and moves as notes."""
    assert [
        "sequenceDiagram",
        "    participant p1 as h1/archer",
        "    Note over p1: * [s1]",
        "    participant p2 as h1/lead",
        "    Note over p2: * [s1]",
        "    participant p3 as h3/scout",
        "    Note over p3: * [s1]",
        "    participant p4 as h3/archer",
        "    Note over p4: * [s1]",
        "    Note over p1: [s2]",
        "    p1->>p2: E1_1",
        "    Note over p2: [s2]",
        "    p2->>p3: E2_1",
        "    Note over p3: [s2]",
        "    participant p5 as h2/archer",
        "    Note over p5: * [s1]",
        "    p1->>p5: E1_2",
        "    p5->>p1: E3_1",
        "    Note over p1: [s3]",
    ] == Mermaid().draw(in_order(SMALL.lines))


@given(SCRIPTS, st.randoms(use_true_random=False))
@SOME
def test_each_arrow_is_written_once(script: list[tuple[int, set[int], bool, int]], dice: random.Random) -> None:
    """As in the terminal; and the order in which the lines came changes nothing."""
    said = Conversation().play(script)
    statements = Mermaid().draw(in_order(said.lines))
    coming = [*said.lines, *dice.sample(said.lines, len(said.lines) // 2)]
    dice.shuffle(coming)
    arrows = re.findall(r"->>p\d+: (E\d+_\d+)$", "\n".join(statements), re.MULTILINE)

    check(statements)
    assert said.arrows == {signal: arrows.count(signal) for signal in arrows}
    assert statements == Mermaid().draw(in_order(coming))


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20)), max_size=5))
@SOME
def test_no_name_breaks_the_diagram(names: list[tuple[str, str, str]]) -> None:
    """Whatever charts, signals, states and remarks are called."""
    lines: list[SnoopLine] = []
    for ms, (chart, signal, text) in enumerate(names):
        lines.append(line("trace", H1, chart, 2 * ms + 1, signal=signal, to_state=text, event=f"{H2}-1-{ms}"))
        lines.append(line("scribble", H2, text, 2 * ms + 2, text=signal))

    check(Mermaid().draw(in_order(lines)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b", "a#59;b"),
        ("#1", "#35;1"),
        ('"x"', "#34;x#34;"),
        ("a\nb", "a#10;b"),
        ("end", "#101;nd"),
        ("The END.", "The #69;ND."),
        ("send_end1", "send_end1"),
        ("wrap: x", "wrap#58; x"),
        ("<script>", "#60;script#62;"),
        ("弓", "#24339;"),
        ("", "-"),
        (" ", "-"),
    ],
)
def test_what_mermaid_reads_is_escaped(text: str, expected: str) -> None:
    """As entities, which mermaid shows as the character that was meant."""
    assert expected == escaped(text)


def test_it_grows_as_lines_come() -> None:
    """Each line adds statements and changes none: what was given is a diagram at each moment."""
    mermaid = Mermaid()
    first = mermaid.draw([line("trace", H1, "a", 0, to_state="on")])
    second = mermaid.draw([handled(H2, "b", 5, f"{H1}-1-1")])

    assert [TITLE, "    participant p1 as h1/a", "    Note over p1: * [on]"] == first
    assert ["    participant p2 as h2/b", "    p1->>p2: PING"] == second
