"""A sequence diagram as mermaid's text, for documents; https://mermaid.js.org/syntax/sequenceDiagram.html.

It grows live: what has been given is a diagram at each moment. The same lines give the same text.
"""

import re
from collections.abc import Sequence

from mirosctl.conversation import Arrow, Conversation, Move, Step, lifelines_of
from mirosd_client.snoop_line import SnoopLine

TITLE = "sequenceDiagram"

_PLAIN = re.compile(r"[^A-Za-z0-9_ ./()\[\]*=-]")
_END = re.compile(r"\b(e)(?=nd\b)", re.IGNORECASE)


class Mermaid:
    """A diagram that is being written. For one thread."""

    def __init__(self) -> None:
        self._is_begun = False
        self._conversation = Conversation()
        self._participants: dict[str, str] = {}

    def draw(self, lines: Sequence[SnoopLine]) -> list[str]:
        """Give the statements that these lines add; the first time with TITLE, though there are no lines.

        Args:
            lines: in causal order, each once; all of a recording at once, so that each sender is known by name.
        """
        title = [] if self._is_begun else [TITLE]
        self._is_begun = True
        return title + [text for step in self._conversation.steps(lines) for text in self._statements(step)]

    def _statements(self, step: Step) -> list[str]:
        statements = []
        for lifeline in lifelines_of(step):
            if lifeline not in self._participants:
                self._participants[lifeline] = f"p{len(self._participants) + 1}"
                statements.append(f"    participant {self._participants[lifeline]} as {escaped(lifeline)}")
        first, *others = [self._participants[lifeline] for lifeline in lifelines_of(step)]
        if isinstance(step, Arrow):
            statements.append(f"    {first}->>{others[0]}: {escaped(step.signal)}")
        elif isinstance(step, Move):
            statements.append(f"    Note over {first}: {'* ' if step.is_start else ''}[{escaped(step.state)}]")
        else:
            statements.append(f"    Note over {first}: {escaped(step.text)}")
        return statements


def escaped(text: str) -> str:
    """Give a text as no statement of mermaid can be: what is more than a letter as its number, `#59;` for `;`."""
    plain = _PLAIN.sub(lambda match: f"#{ord(match[0])};", text.strip() or "-")
    return _END.sub(lambda match: f"#{ord(match[1])};", plain)
