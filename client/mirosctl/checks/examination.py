"""The examination: asks the daemon all that the checks need, has the LAN searched, and runs them in their order."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from mirosctl.checks.access import check_access
from mirosctl.checks.ailment import Finding
from mirosctl.checks.broker import check_broker, check_greeting, check_reach
from mirosctl.checks.clock import check_clock
from mirosctl.checks.keys import check_keys
from mirosctl.checks.lan import check_lan
from mirosctl.checks.patient import Machine, Patient, Row, Said
from mirosctl.checks.peers import check_identity, check_peers
from mirosctl.checks.queues import check_queues
from mirosctl.checks.service import check_configuration, check_daemon, check_service
from mirosd_client.control import ControlConnection
from mirosd_client.errors import DaemonRefusedError, MirosdError
from mirosd_client.printable import printable_deep
from mirosd_client.socket_path import ENVIRONMENT_VARIABLE, candidates

SEARCH_S = 10.0
"""A search of a /24 is over after two seconds, of a /22 after thirteen: what it has shown by then is enough."""
GRACE_S = 10.0
"""For the daemon's last word after its time is up, on a busy host."""
NO_OPERATOR = "it needs the right to operate (group mirosd-admin)"

CHECKS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "service": check_service,
    "socket": check_access,
    "config": check_configuration,
    "daemon": check_daemon,
    "keys": check_keys,
    "broker": check_broker,
    "greeting": check_greeting,
    "reach": check_reach,
    "lan": check_lan,
    "clock": check_clock,
    "identity": check_identity,
    "peers": check_peers,
    "queues": check_queues,
}
"""By name, in the order in which what is wrong is best put right: what a later one says may follow from an earlier."""


def examine(socket: str | None, machine: Machine) -> dict[str, list[Finding]]:
    """Ask the daemon, look at the machine, and give what each check found; a check with nothing to say is left out."""
    places = tuple(candidates(socket))
    is_named = bool(socket or os.environ.get(ENVIRONMENT_VARIABLE))
    patient = Patient(machine, places, is_named=is_named)
    try:
        patient.said = ask(socket)
    except MirosdError as refusal:
        patient.refusal = refusal
    return run(patient)


def run(patient: Patient) -> dict[str, list[Finding]]:
    """Run the checks, each with what those before it found."""
    for name, check in CHECKS.items():
        findings = list(check(patient))
        if findings:
            patient.found[name] = findings
    return patient.found


def ask(socket: str | None) -> Said:
    """Give what the daemon says, printable.

    Raises:
        MirosdError: none answers, or this user may not ask.
    """
    with ControlConnection(socket) as connection:
        rights = frozenset(connection.welcome.rights)
        _, before = connection.ask("status")
        rows, unsearched = _search(connection) if "operate" in rights else (None, NO_OPERATOR)
        peers, _ = connection.ask("peers")
        clients, _ = connection.ask("clients")
        _, after = connection.ask("status")
    said = {"before": before, "peers": peers, "clients": clients, "rows": rows, "after": after}
    clean: dict[str, Any] = printable_deep(said)
    return Said(rights, clean["before"], clean["peers"], clean["clients"], clean["rows"], unsearched, clean["after"])


def _search(connection: ControlConnection) -> tuple[list[Row] | None, str]:
    """Have the LAN searched; give what each address answered last, or None and why there was no search."""
    try:
        rows, _ = connection.ask("recce", {"timeout_s": SEARCH_S}, SEARCH_S + GRACE_S)
    except DaemonRefusedError as refusal:
        return None, str(refusal)
    return list({row["address"]: row for row in rows if "address" in row}.values()), ""
