"""How far the answer to a recall has come, and who owes what is missing."""

from collections.abc import Iterator

from mirosd_client.control import ANSWER_S
from mirosd_client.snoop_item import Ended, HostRecalled, Item, RecallAsked
from mirosd_client.snoop_line import End

PATIENCE_S = 3.0
"""How long a recall waits in silence for programs that said they would answer: they send 3 MB a second, and one that
died meanwhile sends no end."""

_REFUSALS = {
    "policy": "it lets nobody look at its charts (snoop.remote: off)",
    "unanswered": "its mirosd did not answer",
    "busy": "it has as many recalls open as it allows: ask again in a minute",
}


class Recollection:
    """How far a recall has come; the view brings it up to date with each item that it gives.

    Attributes:
        hosts: what each host said.
        ends: of the programs that have sent all, by client id.
        sources: how many will; None while hosts are still asked.
    """

    def __init__(self, recall_id: str, now_s: float) -> None:
        self.id = recall_id
        self.hosts: list[HostRecalled] = []
        self.ends: dict[str, End] = {}
        self.sources: int | None = None
        self._heard_s = now_s

    @property
    def is_complete(self) -> bool:
        """True when every program that said it would answer has sent all."""
        return self.sources is not None and len(self.ends) >= self.sources

    def is_over(self, now_s: float) -> bool:
        """Tell whether nothing more is to be expected; now_s as time.monotonic."""
        patience_s = ANSWER_S if self.sources is None else PATIENCE_S
        return self.is_complete or now_s - self._heard_s > patience_s

    def missing(self) -> Iterator[str]:
        """Say, for people, who gave nothing or not all of it."""
        for host in self.hosts:
            if host.refused:
                yield f"{host.host or host.node}: {_REFUSALS.get(host.refused, host.refused)}"
        if self.sources is None:
            yield f"mirosd did not ask all hosts within {ANSWER_S:g} s"
        elif (absent := self.sources - len(self.ends)) > 0:
            yield f"{absent} program{'' if absent == 1 else 's'} did not send all within {PATIENCE_S:g} s"

    def take(self, item: Item, now_s: float) -> None:
        """Take note of an item of this recall."""
        self._heard_s = now_s
        if isinstance(item, HostRecalled):
            self.hosts.append(item)
        elif isinstance(item, RecallAsked):
            self.sources = item.sources
        elif isinstance(item, Ended):
            self.ends[item.end.client] = item.end
