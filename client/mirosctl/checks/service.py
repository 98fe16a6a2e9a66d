"""Whether a daemon runs here, and what it says of itself."""

from collections.abc import Iterator

from mirosctl.checks.ailment import Ailment, Finding, skipped, well
from mirosctl.checks.patient import Patient
from mirosctl.checks.remedies import coded
from mirosctl.output import duration
from mirosd_client.errors import DaemonUnavailableError, NotPermittedError, SilentDaemonError

CREDENTIALS_STATUS = "243"
"""systemd's exit status for a file that LoadCredential= names and that is not there (systemd.exec(5))."""

CLAIMED = frozenset({"clock_skew", "lan_port_taken", "node_conflict"})
"""Reasons of the daemon that other checks tell of, with what they know beside."""

STOPPED = Ailment(
    "service.stopped",
    "fault",
    "no mirosd answers at {socket}",
    "start it",
    ("sudo systemctl enable --now mirosd",),
)
NOT_INSTALLED = Ailment(
    "service.not_installed",
    "fault",
    "no mirosd answers at {socket}, and systemd knows no mirosd.service here",
    "install the package mirosd, or start one of your own and name its socket",
    ("mirosd --config FILE", "export MIROSD_SOCKET=PATH"),
)
FAILED = Ailment(
    "service.failed",
    "fault",
    "mirosd.service has failed ({result}, exit status {status})",
    "its last lines say why; then start it again",
    ("journalctl -u mirosd -n 20 --no-pager", "sudo systemctl restart mirosd"),
)
CREDENTIALS = Ailment(
    "service.credentials",
    "fault",
    "mirosd.service cannot be started: a file that its LoadCredential= names is missing",
    "put the file there, or take the line out",
    ("systemctl cat mirosd | grep LoadCredential", "sudo systemctl restart mirosd"),
)
CONFIG = Ailment(
    "service.config",
    "fault",
    "the configuration is wrong: {faults}",
    "correct it, and start mirosd",
    ("sudoedit /etc/mirosd/config.yaml", "mirosd --check && sudo systemctl restart mirosd"),
)
ELSEWHERE = Ailment(
    "service.elsewhere",
    "fault",
    "nobody answers at {socket}, which --socket or $MIROSD_SOCKET names",
    "start a daemon there, or let mirosctl look where they are by default",
    ("env -u MIROSD_SOCKET mirosctl status",),
)
HANGS = Ailment(
    "service.hangs",
    "fault",
    "mirosd is there, and does not answer",
    "restart it; if it hangs again, report what its log says",
    ("sudo systemctl restart mirosd", "journalctl -u mirosd -n 50 --no-pager"),
)
OTHER = Ailment(
    "service.other",
    "fault",
    "what answers at {socket} is no mirosd that this mirosctl can talk to: {reason}",
    "install mirosd and mirosctl of one version, or name another socket",
    ("mirosd --version", "dpkg -l 'mirosd*'"),
)
AILMENTS = (STOPPED, NOT_INSTALLED, FAILED, CREDENTIALS, CONFIG, ELSEWHERE, HANGS, OTHER)


def check_service(patient: Patient) -> Iterator[Finding]:
    """Say whether a daemon answers; if none does, why."""
    said, refusal = patient.said, patient.refusal
    where = ", ".join(patient.socket)
    if said is not None:
        yield well(f"mirosd {said.status['version']} answers, up {duration(said.status['uptime_s'])}")
    elif isinstance(refusal, NotPermittedError):
        yield well(f"there is a daemon at {where}")
    elif isinstance(refusal, SilentDaemonError):
        yield HANGS.found()
    elif isinstance(refusal, DaemonUnavailableError):
        yield _why_not_there(patient, where)
    else:
        yield OTHER.found(socket=where, reason=refusal)


def check_configuration(patient: Patient) -> Iterator[Finding]:
    """Say what is wrong with the configuration of a daemon that does not run; one that runs has read it."""
    if patient.said is not None:
        return
    if not patient.is_service_gone:
        yield skipped("a daemon that is there has read it; which one of your own reads is not known here")
        return
    faults = patient.machine.config_faults()
    if faults:
        yield CONFIG.found(faults="; ".join(faults))
    elif faults is None:
        yield skipped("this user cannot read it, or mirosd is not installed")
    else:
        yield well("mirosd --check finds no fault")


def check_daemon(patient: Patient) -> Iterator[Finding]:
    """Say why the daemon is degraded, as far as no other check does."""
    if patient.said is None:
        return
    state, reasons = patient.said.after["state"], patient.said.reasons
    others = [code for code in reasons if code not in CLAIMED and not code.startswith("broker")]
    for code in sorted(others):
        yield coded("daemon", code, f"{code}: {reasons[code]}" if reasons[code] else code)
    if not others:
        yield well(f"{patient.said.status['name']} is {state}" + (": see below" if reasons else ""))


def _why_not_there(patient: Patient, where: str) -> Finding:
    if patient.is_named:
        return ELSEWHERE.found(socket=where)
    unit = patient.machine.unit()
    if unit is None:
        return STOPPED.found(socket=where)
    if unit.get("LoadState") == "not-found":
        return NOT_INSTALLED.found(socket=where)
    if unit.get("ExecMainStatus") == CREDENTIALS_STATUS:
        return CREDENTIALS.found()
    if unit.get("ActiveState") == "failed":
        return FAILED.found(result=unit.get("Result", "failed"), status=unit.get("ExecMainStatus", "unknown"))
    return STOPPED.found(socket=where)
