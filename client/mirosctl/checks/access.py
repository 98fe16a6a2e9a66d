"""Whether this user may talk to the daemon, and how much."""

import stat
from collections.abc import Iterator

from mirosctl.checks.ailment import Ailment, Finding, skipped, well
from mirosctl.checks.patient import Patient
from mirosd_client.errors import NotPermittedError

RIGHTS = ("read", "transmit", "operate")

HIDDEN = Ailment(
    "socket.hidden",
    "fault",
    "{user} may not enter the directory of {socket}",
    "open the directory, or use the socket of the service",
    ("sudo chmod o+x {directory}",),
)
NO_GROUP = Ailment(
    "socket.no_group",
    "fault",
    "{socket} belongs to no group that this machine knows, so {user} may not use it",
    "make the group mirosd, join it, restart mirosd, and log in again",
    ("sudo groupadd --system mirosd", "sudo usermod -aG mirosd {user}", "sudo systemctl restart mirosd"),
)
PRIVATE = Ailment(
    "socket.private",
    "fault",
    "{socket} is its owner's alone (mode {mode}): mirosd could not give it to its group",
    "have mirosd run as its service, whose group is mirosd; or ask as the user that it runs as",
    ("sudo systemctl restart mirosd",),
)
NOT_A_MEMBER = Ailment(
    "socket.not_a_member",
    "fault",
    "{user} is not in group {group}, which may use {socket}",
    "join the group, and log in again",
    ("sudo usermod -aG {group} {user}", "su - {user}"),
)
LOG_IN_AGAIN = Ailment(
    "socket.log_in_again",
    "fault",
    "{user} is in group {group}, but was not yet when this login began",
    "log in again: groups are read at login",
    ("su - {user}",),
)
NO_RIGHTS = Ailment(
    "socket.no_rights",
    "fault",
    "{user} may use {socket}, but no group and no rule gives the right to read",
    "join group mirosd (or mirosd-admin, to change things too), and log in again",
    ("sudo usermod -aG mirosd {user}", "su - {user}"),
)
AILMENTS = (HIDDEN, NO_GROUP, PRIVATE, NOT_A_MEMBER, LOG_IN_AGAIN, NO_RIGHTS)


def check_access(patient: Patient) -> Iterator[Finding]:
    """Say what this user may do; if nothing, what stands in the way."""
    if patient.said is not None:
        held = [right for right in RIGHTS if right in patient.said.rights]
        yield well(f"you may {', '.join(held)}" + ("" if "operate" in held else "; to change things: mirosd-admin"))
    elif isinstance(patient.refusal, NotPermittedError):
        yield _why_not(patient)
    else:
        yield skipped("there is no daemon to talk to")


def _why_not(patient: Patient) -> Finding:
    there = ((path, access) for path in patient.socket if (access := patient.machine.access(path)) is not None)
    path, access = next(there, (patient.socket[0], None))
    if access is None:  # it has gone meanwhile
        return NO_RIGHTS.found(user="USER", socket=path)
    facts = {
        "user": access.user,
        "group": access.group,
        "socket": path,
        "directory": path.rpartition("/")[0] or "/",
        "mode": f"{access.mode:o}",
    }
    if access.is_hidden:
        return HIDDEN.found(**facts)
    if not access.mode & stat.S_IWGRP:
        return PRIVATE.found(**facts)
    if not access.group:
        return NO_GROUP.found(**facts)
    if access.holds_group:
        return NO_RIGHTS.found(**facts)
    return (LOG_IN_AGAIN if access.is_member else NOT_A_MEMBER).found(**facts)
