"""What can be wrong with a host, each with its cause and its cure; and what a check found.

docs/troubleshooting.md is made of all ailments, so their texts stand there as they are printed.
"""

import shlex
from dataclasses import dataclass
from typing import Literal

from mirosd_client.printable import printable, without_account

Level = Literal["ok", "warning", "fault", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: how bad it is, why, and what to do about it; commands can be pasted.

    `code` is the ailment's, and "" of what is well or was not looked at.
    """

    level: Level
    cause: str
    code: str = ""
    cure: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ailment:
    """Something that can be wrong. `cause` and `commands` may name facts in braces, which `found` fills in."""

    code: str
    level: Literal["warning", "fault"]
    cause: str
    cure: str
    commands: tuple[str, ...] = ()

    def found(self, **facts: object) -> Finding:
        """Give it as found here. In commands facts are quoted for a shell: a peer chooses its name."""
        shown = {name: printable(without_account(str(fact))) for name, fact in facts.items()}
        quoted = {name: shlex.quote(fact) for name, fact in shown.items()}
        commands = tuple(command.format(**quoted) for command in self.commands)
        return Finding(self.level, self.cause.format(**shown), self.code, self.cure.format(**shown), commands)


def well(cause: str) -> Finding:
    """Say that all is well, and by what that is known."""
    return Finding("ok", cause)


def skipped(why: str) -> Finding:
    """Say that something was not looked at."""
    return Finding("skipped", why)
