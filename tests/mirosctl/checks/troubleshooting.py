"""docs/troubleshooting.md, made of what the doctor can say: `python -m tests.mirosctl.checks.troubleshooting`."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from mirosctl.checks import access, broker, clock, keys, lan, peers, queues, service
from mirosctl.checks.remedies import HERE, THERE
from mirosctl.cures import cure

PAGE = Path(__file__).parents[3] / "docs" / "troubleshooting.md"

HEAD = """\
# When something does not work

`mirosctl doctor` looks for all that stands here, in this order, and prints what it finds with the commands to paste;
put right the first fault first, since others may follow from it. It works with and without a running daemon. Run it on
both hosts when two do not find each other: some faults can be seen from one side alone. As root, or as a member of
group `mirosd-admin`, it has the LAN searched too, which takes two seconds.

    mirosctl doctor
    mirosctl doctor --json | jq '.checks[] | select(.level == "fault")'

Its exit status is 0 when nothing is wrong (there may be warnings), 5 when something is. Words in braces stand for what
it finds. It asks nobody who is not a peer already, and changes nothing. What a firewall lets through cannot be read
without privileges, so the doctor tries; one that lets `lo` through and drops TCP 5672 from elsewhere is seen from the
other hosts.

This page is made of the doctor's own texts, and a test holds it to them.
"""

SECTIONS: dict[str, ModuleType] = {
    "No daemon": service,
    "The socket": access,
    "Keys": keys,
    "This host's broker": broker,
    "The LAN": lan,
    "Clocks": clock,
    "Other hosts": peers,
    "Events that are late or lost": queues,
}

CODES = """
## Codes

By these `mirosctl doctor`, `status`, `peers --why` and `scout` say at which stage a broker or a peer cannot be reached.
"""


def page() -> str:
    """Give the page."""
    return "\n".join([HEAD, *_ailments(), CODES, *_codes()]) + "\n"


def _ailments() -> Iterator[str]:
    for title, module in SECTIONS.items():
        yield f"## {title}\n"
        for ailment in module.AILMENTS:
            cause = ailment.cause if ailment.cause != "{detail}" else "as the daemon says"
            yield f"**{ailment.code}** ({ailment.level}): {cause}.  "
            yield f"Cure: {ailment.cure}.\n"
            yield from _commands(ailment.commands)


def _codes() -> Iterator[str]:
    for code in sorted({*HERE, *THERE}):
        yield f"**{code}**: {cure(code)}.\n"
        for title, table in (("This host's own broker, or daemon", HERE), ("Another host's", THERE)):
            if code in table:
                yield f"{title}:\n"
                yield from _commands(table[code])


def _commands(commands: tuple[str, ...]) -> Iterator[str]:
    yield from (f"    {command}" for command in commands)
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page())
