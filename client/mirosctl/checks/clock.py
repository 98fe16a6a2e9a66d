"""Whether this host's clock is right, and agrees with those of its peers."""

from collections.abc import Iterator

from mirosctl.checks.ailment import Ailment, Finding, skipped, well
from mirosctl.checks.patient import Patient

NEAR_S = 2.0
"""NTP keeps clocks within milliseconds; a heartbeat may be a second late where machines are busy."""
FAR_S = 60.0
"""Further ahead than this a clock is not followed (clock_skew): the order of traces is then wrong."""

FAR = Ailment(
    "clock.far",
    "fault",
    "{name}'s clock is {seconds} s {way} this host's: traces of both are out of order",
    "set the wrong one by NTP; events are delivered all the same",
    ("timedatectl  # here and at {address}", "sudo timedatectl set-ntp true"),
)
NEAR = Ailment(
    "clock.off",
    "warning",
    "{name}'s clock is {seconds} s {way} this host's: times in traces differ by so much, their order holds",
    "set the wrong one by NTP",
    ("timedatectl  # here and at {address}", "sudo timedatectl set-ntp true"),
)
UNSET = Ailment(
    "clock.unset",
    "warning",
    "this host's clock is not kept by NTP",
    "switch NTP on",
    ("sudo timedatectl set-ntp true",),
)
AILMENTS = (FAR, NEAR, UNSET)


def check_clock(patient: Patient) -> Iterator[Finding]:
    """Say whose clock differs from ours."""
    findings = []
    is_set = patient.machine.clock_is_set()
    if is_set is False:
        findings.append(UNSET.found())
    heard = [peer for peer in patient.said.peers if peer["state"] == "alive"] if patient.said is not None else []
    for peer in heard:
        ahead_s = peer["clock_ahead_s"] or 0.0
        if abs(ahead_s) > NEAR_S:
            findings.append(
                (FAR if abs(ahead_s) > FAR_S else NEAR).found(
                    name=peer["name"],
                    seconds=f"{abs(ahead_s):.0f}",
                    way="ahead of" if ahead_s > 0 else "behind",
                    address=peer["address"],
                )
            )
    if findings:
        yield from findings
    elif heard:
        yield well(f"{len(heard)} peer{'' if len(heard) == 1 else 's'} agree{'s' if len(heard) == 1 else ''}")
    elif is_set:
        yield well("NTP keeps it")
    else:
        yield skipped("there is no peer to compare it with")
