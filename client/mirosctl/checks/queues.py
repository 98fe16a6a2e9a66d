"""Whether events are lost or held up: at charts that do not keep up, and at brokers that take nothing."""

from collections.abc import Iterator

from mirosctl.checks.ailment import Ailment, Finding, well
from mirosctl.checks.patient import Patient, Said
from mirosctl.output import duration

UNREAD_BYTES = 1 << 20
"""A program that reads leaves nothing waiting; this is a sixteenth of what its user may leave (limits)."""

LOSSES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "overflow_in_queue": (
        "were dropped here: more than delivery.queue_bytes waited for a chart that does not keep up",
        "see which program leaves events unacknowledged, make it faster or split it, or give queues more room",
        ("mirosctl clients", "sudo rabbitmqctl list_queues name messages message_bytes"),
    ),
    "expired_in_queue": (
        "expired here: a chart's program did not take them in time (delivery.ttl_s)",
        "see which program leaves events unacknowledged: it hangs, is stopped, or is too slow",
        ("mirosctl clients", "sudo rabbitmqctl list_queues name messages"),
    ),
    "dead_lettered": (
        "were dropped here by the broker",
        "its log says why",
        ("sudo journalctl -u rabbitmq-server -n 50 --no-pager",),
    ),
    "overflow": (
        "were not sent: more than delivery.pending_bytes was owed to a broker that is away",
        "bring the broker back, forget a peer that will not come back, or keep more",
        ("mirosctl peers --why", "mirosctl peers forget NODE"),
    ),
    "expired": (
        "were not sent: a broker was away for longer than events live (delivery.ttl_s)",
        "bring the broker back, or forget a peer that will not come back",
        ("mirosctl peers --why", "mirosctl peers forget NODE"),
    ),
    "nacked": (
        "were refused by a broker",
        "its log says why: a full disk, or a queue that it cannot write",
        ("mirosctl status", "sudo rabbitmqctl status"),
    ),
}
"""Counters of events that are gone: what befell them, the cure, and commands. docs/counters.md has all counters."""

LOST = {
    counter: Ailment(f"queues.{counter}", "warning", "{count} events " + what + "{lately}", advice, commands)
    for counter, (what, advice, commands) in LOSSES.items()
}
STUCK = Ailment(
    "queues.stuck",
    "fault",
    "{chart} of {program} (pid {pid}) has taken none of its events for a minute: it hangs, or is stopped",
    "see what the program does: a handler that never returns, a breakpoint, Ctrl-Z",
    ("ps -o pid,stat,wchan:20,cmd -p {pid}", "mirosctl clients"),
)
UNREAD = Ailment(
    "queues.unread",
    "warning",
    "{program} (pid {pid}) leaves {count} bytes unread: it hangs, is stopped, or is too slow",
    "see what the program does",
    ("ps -o pid,stat,wchan:20,cmd -p {pid}", "mirosctl clients"),
)
ALARM = Ailment(
    "queues.alarm",
    "fault",
    "the broker {broker} has taken no messages for {time}: {reason}; {count} bytes wait for it",
    "free memory or disk on that host",
    ("sudo rabbitmqctl status  # at {broker}", "df -h /var/lib/rabbitmq; free -h  # there too"),
)
AILMENTS = (STUCK, UNREAD, ALARM, *LOST.values())


def check_queues(patient: Patient) -> Iterator[Finding]:
    """Say what is lost, and who holds events up."""
    said = patient.said
    if said is None:
        return
    findings = [*_losses(said), *_slow_programs(said), *_alarms(said)]
    yield from findings
    if not findings:
        yield well("no event was lost since the daemon's start, and none waits")


def _losses(said: Said) -> Iterator[Finding]:
    for counter, ailment in LOST.items():
        if count := said.counted(counter):
            lately = said.rose(counter)
            yield ailment.found(count=count, lately=f"; {lately} of them just now" if lately else "")


def _slow_programs(said: Said) -> Iterator[Finding]:
    for row in said.clients:
        who = {"program": row["program"] or row["client"][:8], "pid": row["pid"]}
        for chart in row["charts"]:
            if chart["state"] == "stuck":
                yield STUCK.found(chart=chart["chart"] or chart["binding_key"], **who)
        if row["unsent_bytes"] > UNREAD_BYTES:
            yield UNREAD.found(count=row["unsent_bytes"], **who)


def _alarms(said: Said) -> Iterator[Finding]:
    for each in said.after["producer_sets"]:
        if (alarm := each["alarm"]) and not each["is_own"]:
            yield ALARM.found(
                broker=each["broker"],
                time=duration(alarm["for_s"]),
                reason=alarm["reason"],
                count=each["pending_bytes"],
            )
