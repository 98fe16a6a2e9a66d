"""One broker address that may be a peer's: who named it, who answered for it, what scouts proved.

Times in seconds on the monotonic clock.
"""

from dataclasses import dataclass, field

from mirosd.payloads import Introduction

NEVER_S = float("-inf")

ASKED_ATTEMPT = 2
"""Asking takes 1.5 s itself, so the first two of the growing times are left out after it."""

UNREACHED = frozenset({"", "resolve", "tcp", "lost", "unproved"})
"""Where a scout ends that has not come to a broker, or none was out."""


@dataclass(slots=True)
class Candidate:
    """One broker address.

    Attributes:
        ask: the host to ask for a sealed answer.
        wanted_until_s: asked again until then. asked_s: when it last was. answered_s: when a sealed answer named it.
        sources: how we came by it, the first one first; told: those that were published with a proof.
        claimed: the node of its last answer. proved_for: the nodes that a proof stands for.
        code: why the last scout failed; attempts: how often it did, or nobody answered, in a row.
        search: the number of the last search that it was part of; judged: of the last that had a verdict on it.
    """

    ask: str
    wanted_until_s: float = NEVER_S
    asked_s: float = NEVER_S
    answered_s: float = NEVER_S
    sources: dict[str, None] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    claimed: str = ""
    proved_for: set[str] = field(default_factory=set)
    who: Introduction | None = None
    code: str = ""
    attempts: int = 0
    search: int = -1
    judged: int = -1

    @property
    def is_proved(self) -> bool:
        """A proof stands."""
        return bool(self.proved_for)

    @property
    def was_reached(self) -> bool:
        """The last scout failed, and not on its way: at another address of that host it would have failed likewise."""
        return self.code.partition("(")[0] not in UNREACHED

    def prove(self, who: Introduction) -> None:
        """A scout proved that `who` is behind the address, and so did whoever answered for it."""
        if self.who is None or self.who.node != who.node:
            self.told.clear()
        self.who, self.code, self.attempts = who, "", 0
        self.proved_for |= {who.node, self.claimed} - {""}

    def forget_proof(self) -> None:
        """Nobody is there any more, as far as is known."""
        self.proved_for.clear()
        self.told.clear()
        self.attempts = 0
        self.answered_s = NEVER_S

    def note_silence(self) -> None:
        """If it was asked and has not answered, that is one more failure in a row."""
        if self.asked_s > self.answered_s:
            self.attempts = max(self.attempts, ASKED_ATTEMPT) + 1

    def untold(self) -> list[str]:
        """Give the sources that no published proof has named, which counts as telling them."""
        sources = [source for source in self.sources if source not in self.told]
        self.told.update(sources)
        return sources
