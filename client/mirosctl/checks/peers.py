"""Whether every host that should be there is, and is who it says; else what stands between."""

from collections.abc import Iterator
from typing import Literal

from mirosctl.checks.ailment import Ailment, Finding, skipped, well
from mirosctl.checks.at_once import at_once
from mirosctl.checks.broker import AMQP_PORT, SLOW_S, split
from mirosctl.checks.patient import Machine, Patient, Row, Said
from mirosctl.checks.remedies import LOOK_THERE, THERE, remedy
from mirosctl.cures import cure

FINE = ("alive", "left", "candidate")
"""A farewell was meant; a candidate is about to be scouted."""
LINK_DOWN = "broker"
"""The reason of a peer whose broker we have lost."""
HELLO = {"silent": "tcp(silent)", "refused": "tcp(refused)", "slow": "amqp(slow)", "amqp": "amqp"}
"""What came of saying hello to such a broker, by the daemon's codes."""
SILENT = frozenset({"silent", "one-way(out)"})
"""States and reasons that follow where nobody can reach our own broker, and tell nothing of the other host then."""

CONFLICT = Ailment(
    "identity.conflict",
    "fault",
    "{detail}",
    "begin as a new node on the copy",
    ("sudo systemctl stop mirosd", "sudo rm /var/lib/mirosd/node.json", "sudo systemctl start mirosd"),
)
RENEWED = Ailment(
    "identity.renewed",
    "warning",
    "two hosts had one node id, and this one drew another: {why}",
    "nothing: it is settled; leave node.json out of images and backups that other hosts begin with",
    ("mirosctl status",),
)
NONE = Ailment(
    "peers.none",
    "warning",
    "no other host is known",
    "compare system and keys of both hosts, look who is on the LAN, or list a host",
    ("mirosctl recce", "mirosctl hosts add ADDRESS", "mirosctl keys list  # on both: the ids must be the same"),
)
TCP_BLOCKED = Ailment(
    "peers.tcp_in",
    "fault",
    "{name} at {address} answers searches of the LAN, and its firewall drops TCP {port} inbound",
    "open the port on that host",
    ("sudo ufw allow {port}/tcp  # at {host}",),
)
UNHEARD = Ailment(
    "peers.unheard",
    "fault",
    "{name} at {address} is there, and its heartbeats do not come to our broker: this host's firewall drops TCP {port} "
    "inbound, or our broker refuses its account",
    "open the port inbound; else scout this host from there, which tells more",
    ("sudo ufw allow {port}/tcp", "mirosctl scout {own}  # at {host}"),
)
SLOW = Ailment(
    "peers.slow",
    "warning",
    "the broker of {name} at {address} takes {took} s or more to greet: it looks a name up, and no DNS answers",
    "write that host's own address and name into its /etc/hosts",
    ('echo "{host} NAME" | sudo tee -a /etc/hosts  # at {host}, NAME: its hostname',),
)
AILMENTS = (CONFLICT, RENEWED, NONE, TCP_BLOCKED, UNHEARD, SLOW)


def check_identity(patient: Patient) -> Iterator[Finding]:
    """Say whether this node's id is its own."""
    said = patient.said
    if said is None:
        return
    if detail := said.reasons.get("node_conflict"):
        yield CONFLICT.found(detail=detail)
    elif said.status["renewed"]:
        yield RENEWED.found(why=said.status["renewed"])
    else:
        yield well(f"node {said.status['node']}")


def check_peers(patient: Patient) -> Iterator[Finding]:
    """Say which peers are not alive, and why."""
    said = patient.said
    if said is None:
        return
    if not patient.is_well("broker") or not said.is_connected:
        yield skipped("first the broker: without it no peer is heard")
        return
    rows = [row for row in said.peers if row["reason"] != "self"]
    if not rows and not split(said.after["broker"]["address"])[1]:
        yield skipped("broker.url is memory://: this host is alone")
        return
    if not rows:
        yield NONE.found()
        return
    is_reached = patient.is_well("reach")
    told = [row for row in rows if is_reached or not _is_silent(row)]
    looked = at_once(lambda row: list(_look(patient, said, row)), told)
    findings = [finding for group in looked for finding in group]
    yield from findings
    if len(told) < len(rows):
        yield skipped("nobody is heard: first let others reach our broker")
    elif not findings:
        alive = [row["name"] for row in rows if row["state"] == "alive"]
        yield well(f"alive: {', '.join(alive)}" if alive else "nobody is there now, and nobody is missed")


def _look(patient: Patient, said: Said, row: Row) -> Iterator[Finding]:
    if row["state"] == "alive":
        yield from _slow(patient.machine, row)
    elif row["state"] not in FINE:
        yield _fault(patient.machine, said, row)


def _slow(machine: Machine, row: Row) -> Iterator[Finding]:
    """Say that a peer's broker was slow to greet when it was scouted, which may be long ago, and is so still."""
    if not any(stage["stage"] == "amqp" and stage["took_ms"] >= SLOW_S * 1000 for stage in row["stages"]):
        return
    address = _address(row)
    host, port = split(address)
    greeting = machine.greet(host, port or AMQP_PORT)
    if greeting.code in ("", "slow") and greeting.took_s >= SLOW_S:
        yield SLOW.found(name=row["name"], address=address, host=host, took=f"{greeting.took_s:.0f}")


def _fault(machine: Machine, said: Said, row: Row) -> Finding:
    address = _address(row)
    host, port = split(address)
    name = row["name"] or row["node"][:8] or address
    if _is_silent(row) and (row["state"] in SILENT or _answers(said, host)):
        own = next(iter(said.after["broker"]["told"]), "ADDRESS")
        return UNHEARD.found(name=name, address=address, host=host, port=split(own)[1] or AMQP_PORT, own=own)
    failed = next((stage for stage in row["stages"] if stage["code"] not in ("ok", "")), None)
    code = str(failed["code"]) if failed is not None else row["reason"] or row["state"]
    if code == LINK_DOWN and host:  # the last scouting was before that
        code = HELLO.get(machine.greet(host, port or AMQP_PORT).code, code)
    if code == "tcp(silent)" and _answers(said, host):
        return TCP_BLOCKED.found(name=name, address=address, host=host, port=port or AMQP_PORT)
    state = f"{row['state']}({row['reason']})" if row["reason"] else row["state"]
    level: Literal["warning", "fault"] = "warning" if row["state"] == "quarantined" else "fault"
    cause = f"{name} at {address or 'no known address'} is {state}"
    if failed is not None:
        cause += f": {failed['stage']}, {failed['detail']}" if failed["detail"] else f": {failed['stage']}"
    advice = cure(code) or cure(state) or cure(row["state"])
    commands = remedy(THERE, code) or remedy(THERE, row["reason"]) or LOOK_THERE
    ailment = Ailment(f"peers.{code}", level, "{cause}", "{cure}", commands)
    return ailment.found(cause=cause, cure=advice, address=address, host=host, node=row["node"])


def _address(row: Row) -> str:
    return str(row["address"].partition(", ")[0])


def _is_silent(row: Row) -> bool:
    return not SILENT.isdisjoint((row["state"], row["reason"]))


def _answers(said: Said, host: str) -> bool:
    return any(row["node"] and row["address"] == host for row in said.search or ())
