"""Each ailment has a patient that has it, and nothing else; a patient that is well has none."""

from collections.abc import Callable
from threading import Barrier
from typing import Any

import pytest

from mirosctl.checks import access, broker, clock, keys, lan, peers, queues, service
from mirosctl.checks.ailment import Finding
from mirosctl.checks.examination import CHECKS, run
from mirosctl.checks.patient import Access, Greeting, KeyFile, Patient
from mirosd_client.errors import DaemonUnavailableError, NotPermittedError, RemoteProtocolError, SilentDaemonError
from tests.mirosctl.checks.play import SOCKET, FakeMachine, alone, heard, patient, peer

MODULES = (access, broker, clock, keys, lan, peers, queues, service)
GONE = DaemonUnavailableError("no mirosd answers")
DENIED = NotPermittedError("may not be used")
NOBODY_ASKED = {"lan_sent": 9, "lan_own": 5}


def unit(**fields: str) -> FakeMachine:
    return FakeMachine({"LoadState": "loaded", "ActiveState": "inactive", "ExecMainStatus": "0"} | fields)


def may(mode: int = 0o660, group: str = "mirosd", **fields: bool) -> FakeMachine:
    facts = {"is_member": False, "holds_group": False} | fields
    return FakeMachine(access_=Access("alice", group, mode, **facts))


def greets(host: str, code: str, took_s: float = 2.0) -> FakeMachine:
    return FakeMachine(greetings={host: Greeting(code, took_s)})


def degraded(code: str, detail: str = "") -> dict[str, Any]:
    return {"after": {"state": "degraded", "reasons": [{"code": code, "detail": detail}]}}


def counting(**counters: int) -> dict[str, Any]:
    return {"after": {"counters": counters}}


def chart(**fields: Any) -> list[dict[str, Any]]:
    row = {"chart": "archer", "network": "mesh", "binding_key": "#", "state": "bound", "unacknowledged": 0}
    return [{"client": "ef" * 16, "program": "p", "pid": 7, "unsent_bytes": 0, "charts": [row]} | fields]


def slow_peer() -> dict[str, Any]:
    return peer(stages=[{"stage": "amqp", "code": "ok", "detail": "", "took_ms": 4000.0}])


def failing(code: str, state: str = "refused", **fields: Any) -> dict[str, Any]:
    return peer(
        state=state, reason=code, stages=[{"stage": "x", "code": code, "detail": "why", "took_ms": 1.0}], **fields
    )


ALARM = {"broker": "10.0.0.2:5672", "is_own": False, "pending_bytes": 9, "alarm": {"reason": "low on disk", "for_s": 3}}

PATIENTS: dict[str, Patient] = {
    "service.stopped": alone(GONE, unit()),
    "service.not_installed": alone(GONE, unit(LoadState="not-found")),
    "service.failed": alone(GONE, unit(ActiveState="failed", Result="exit-code", ExecMainStatus="1")),
    "service.credentials": alone(GONE, unit(ActiveState="failed", ExecMainStatus="243")),
    "service.elsewhere": alone(GONE, is_named=True),
    "service.hangs": alone(SilentDaemonError("silent"), is_named=True),
    "service.other": alone(RemoteProtocolError("speaks another protocol"), is_named=True),
    "socket.hidden": alone(DENIED, FakeMachine(access_=Access("a", "", 0, False, False, is_hidden=True))),
    "socket.no_group": alone(DENIED, may(group="")),
    "socket.private": alone(DENIED, may(0o600)),
    "socket.not_a_member": alone(DENIED, may()),
    "socket.log_in_again": alone(DENIED, may(is_member=True)),
    "socket.no_rights": alone(DENIED, may(holds_group=True, is_member=True)),
    "keys.open": patient(FakeMachine(key=KeyFile(True, 0o644, "mirosd"))),
    "keys.no_mesh": patient(status_={"networks": ["snoop_trace"]}),
    "broker.connecting": patient(peers=[], search=[], after={"broker": {"state": "connecting"}}),
    "broker.slow": patient(greets("127.0.0.1", "slow", 4.0)),
    "broker.loopback_only": patient(greets("10.0.0.1", "refused")),
    "broker.tcp_in": patient(greets("10.0.0.1", "silent")),
    "broker.nowhere": patient(after={"broker": {"told": []}}),
    "lan.port_taken": patient(**degraded("lan_port_taken", "UDP port 27672 is another program's")),
    "lan.udp_in": patient(search=[heard(node="")], **counting(lan_own=0)),
    "lan.udp_out": patient(search=[], **counting(lan_filtered_here=4, lan_own=0)),
    "lan.broadcasts": patient(**counting(lan_broadcast_answers=0)),
    "lan.silent_peer": patient(search=[heard(node="")]),
    "lan.wsl": patient(FakeMachine(wsl=True)),
    "clock.far": patient(peers=[peer(clock_ahead_s=-61.0)]),
    "clock.off": patient(peers=[peer(clock_ahead_s=2.1)]),
    "clock.unset": patient(FakeMachine(clock=False)),
    "identity.conflict": patient(**degraded("node_conflict", "two hosts")),
    "identity.renewed": patient(status_={"renewed": "'h2' runs on a copy"}),
    "peers.none": patient(peers=[]),
    "peers.tcp_in": patient(peers=[failing("tcp(silent)", "scouting")]),
    "peers.unheard": patient(peers=[peer(state="failed", reason="silent")]),
    "peers.slow": patient(greets("10.0.0.2", "", 2.5), peers=[slow_peer()]),
    "queues.stuck": patient(clients=chart(charts=[{"chart": "archer", "binding_key": "#", "state": "stuck"}])),
    "queues.unread": patient(clients=chart(unsent_bytes=2 << 20)),
    "queues.alarm": patient(after={"producer_sets": [ALARM]}),
    **{
        code: patient(**counting(**{code.partition(".")[2]: 3}))
        for code in (each.code for each in queues.LOST.values())
    },
}
"""By ailment, who has it alone."""

TOGETHER: dict[str, tuple[set[str], Patient]] = {
    "service.config": ({"service.stopped"}, alone(GONE, FakeMachine(config=["line 3: no such setting"]))),
    "keys.missing": ({"service.stopped"}, alone(GONE, FakeMachine(key=KeyFile(False)))),
    "keys.unreadable": ({"service.stopped"}, alone(GONE, FakeMachine(key=KeyFile(True, 0o600, "mirosd")))),
}
"""Those that are looked for only where something else is wrong."""


def ill(patient: Patient) -> dict[str, list[Finding]]:
    """Give what is wrong, by code."""
    found: dict[str, list[Finding]] = {}
    for finding in (finding for group in run(patient).values() for finding in group):
        if finding.level in ("warning", "fault"):
            found.setdefault(finding.code, []).append(finding)
    return found


def ailments() -> dict[str, str]:
    """Give the level of each ailment by its code."""
    return {ailment.code: ailment.level for module in MODULES for ailment in module.AILMENTS}


def test_who_is_well_has_nothing() -> None:
    """Every check is made that a running daemon allows, and each says by what it knows."""
    found = run(patient())

    assert set(CHECKS) - {"config"} == set(found)
    assert {"ok"} == {finding.level for group in found.values() for finding in group}
    assert [] == [finding for group in found.values() for finding in group if not finding.cause]


@pytest.mark.parametrize("code", PATIENTS)
def test_an_ailment_is_found_alone(code: str) -> None:
    """With its cause, its cure, commands to paste, and as bad as it is; nothing else is called wrong."""
    found = ill(PATIENTS[code])

    assert [code] == list(found)
    (finding,) = found[code]
    assert ailments()[code] == finding.level
    assert finding.cause and finding.cure and finding.commands
    assert [] == [text for text in (finding.cause, finding.cure, *finding.commands) if "{" in text or "}" in text]


@pytest.mark.parametrize("code", TOGETHER)
def test_an_ailment_behind_another(code: str) -> None:
    """Why the daemon is not there is found beside that it is not."""
    others, sick = TOGETHER[code]

    assert {code, *others} == set(ill(sick))


def test_every_ailment_has_its_patient() -> None:
    """What nobody can have is not looked for."""
    assert set(ailments()) == {*PATIENTS, *TOGETHER}


@pytest.mark.parametrize(
    ("state", "code"), [("tcp(refused)", "tcp(refused)"), ("auth", "auth"), ("guest_remote", "guest_remote")]
)
def test_a_broker_that_fails_is_the_one_fault(state: str, code: str) -> None:
    """Peers that are not heard for it, and what the daemon says of it besides, are not called wrong."""
    reasons = [{"code": "broker", "detail": f"{state}: x"}, {"code": "broker_deaf", "detail": "y"}]
    after = {"state": "degraded", "reasons": reasons, "broker": {"state": state, "detail": "x", "user": "me"}}
    found = ill(patient(peers=[peer(state="failed", reason="silent")], after=after))

    assert [f"broker.{code}"] == list(found)
    assert found[f"broker.{code}"][0].commands


def test_a_broker_that_brings_nothing_is_a_fault() -> None:
    """Though it is connected."""
    assert ["broker.broker_deaf"] == list(ill(patient(**degraded("broker_deaf", "brings back nothing"))))


@pytest.mark.parametrize(("code", "state"), [("auth", "refused"), ("key", "refused"), ("daemon", "scouting")])
def test_a_peer_that_fails_has_its_codes_cure(code: str, state: str) -> None:
    """With a command for the host that it is about."""
    (finding,) = ill(patient(peers=[peer("h3"), failing(code, state)]))[f"peers.{code}"]

    assert "h2 at 10.0.0.2 is" in finding.cause
    assert "10.0.0.2" in finding.commands[0]


def test_peers_that_need_nothing() -> None:
    """One that left, one about to be scouted, and this host itself in its own list."""
    rows = [peer(state="left"), peer(state="candidate"), failing("self")]

    assert {} == ill(patient(peers=rows))


def test_who_cannot_be_reached_says_nothing_of_others() -> None:
    """A firewall of ours is told once, and not as silent peers."""
    sick = patient(greets("10.0.0.1", "silent"), peers=[peer(state="failed", reason="silent")])

    assert ["broker.tcp_in"] == list(ill(sick))


def test_a_name_from_elsewhere_is_no_command() -> None:
    """What is pasted holds it in quotes, as the shell wants them; what is shown moves no cursor."""
    name = "$(reboot)\x1b[2J"
    (finding,) = ill(patient(peers=[peer(state="quarantined", node=name, name=name)]))["peers.quarantined"]

    assert ("mirosctl peers allow '$(reboot)\N{REPLACEMENT CHARACTER}[2J'",) == finding.commands
    assert "\x1b" not in finding.cause


def test_without_the_right_to_operate_the_counters_tell() -> None:
    """No search is made; a firewall is seen from what was counted since the daemon's start."""
    plain: dict[str, Any] = {"rights": frozenset({"read"}), "search": None, "unsearched": "needs operate"}

    assert {} == ill(patient(**plain))
    assert ["lan.udp_in"] == list(ill(patient(**plain, **counting(lan_own=0))))


def test_by_ipv6_nobody_hears_himself() -> None:
    """So that nothing follows where there is no IPv4."""
    told = {"broker": {"told": ["[2001:db8::1]:5672"]}}
    here = {"search": [heard("2001:db8::2")], "peers": [peer(address="[2001:db8::2]:5672")]}
    sick = patient(after={**told, "counters": {"lan_own": 0}}, status_=told, **here)

    assert {} == ill(sick)


def test_a_peer_that_answers_at_one_of_its_addresses_is_not_silent() -> None:
    """Though it has several."""
    rows = [heard(node=""), heard("10.0.0.3")]

    assert {} == ill(patient(peers=[peer(address="10.0.0.2, 10.0.0.3:5672")], search=rows))


def test_a_peers_broker_that_was_slow_once_is_well() -> None:
    """It may have been starting when it was scouted."""
    assert {} == ill(patient(peers=[slow_peer()]))


def test_a_broker_that_greets_late_is_slow() -> None:
    """Also when it greets before nobody waits any more."""
    (finding,) = ill(patient(greets("127.0.0.1", "", 2.5)))["broker.slow"]

    assert "127.0.0.1:5672 takes 2.5 s to greet" in finding.cause


def test_brokers_are_said_hello_to_only_where_the_daemon_knows_them() -> None:
    """The own one, where others are told that it is, and a peer's that was slow when it was scouted."""
    machine = FakeMachine()
    run(patient(machine, peers=[peer(), slow_peer() | {"address": "10.0.0.9:5673, 10.0.0.8"}]))

    assert ["127.0.0.1:5672", "10.0.0.1:5672", "10.0.0.9:5673"] == machine.greeted


@pytest.mark.parametrize(
    ("check", "fields"),
    [
        (peers.check_peers, {"peers": [peer(f"h{n}", state="suspect", reason="broker") for n in range(10)]}),
        (broker.check_reach, {"after": {"broker": {"told": [f"10.0.0.{n}:5672" for n in range(10)]}}}),
    ],
)
def test_several_brokers_are_waited_for_side_by_side(check: Callable[[Patient], Any], fields: dict[str, Any]) -> None:
    """Those of all peers, and all addresses of the own one: ten that say nothing take no longer than one."""
    machine = FakeMachine(gate=Barrier(10, timeout=30.0))
    list(check(patient(machine, **fields)))

    assert 10 == len(machine.greeted)


def test_events_that_go_on_being_lost_are_told_as_such() -> None:
    """How many it were during the search."""
    (finding,) = ill(patient(status_={"counters": {"expired": 1}}, **counting(expired=4)))["queues.expired"]

    assert "4 events" in finding.cause
    assert "; 3 of them just now" in finding.cause


def test_a_key_of_another_group_is_as_good_as_closed() -> None:
    """Though its group may read it."""
    assert "keys.unreadable" in ill(alone(GONE, FakeMachine(key=KeyFile(True, 0o640, "root"))))


@pytest.mark.parametrize(
    ("greeting", "code"), [("silent", "tcp_in"), ("refused", "tcp(refused)"), ("slow", "amqp(slow)"), ("", "broker")]
)
def test_a_peers_broker_that_was_lost_is_looked_at(greeting: str, code: str) -> None:
    """What its last scouting saw was before that."""
    sick = patient(greets("10.0.0.2", greeting), peers=[peer(state="suspect", reason="broker")])

    assert [f"peers.{code}"] == list(ill(sick))


def test_a_host_that_is_meant_to_be_alone_is_well() -> None:
    """Its broker is in its daemon, and greets nobody."""
    machine = FakeMachine()
    off = {"lan": {"port": 27672, "off": "broker.url is memory://"}}
    own = {"broker": {"address": "memory", "told": []}}

    assert {} == ill(patient(machine, peers=[], search=None, status_=off | own, after=own))
    assert [] == machine.greeted


def test_where_a_daemon_was_looked_for() -> None:
    """The places are named."""
    assert SOCKET in ill(alone(GONE))["service.stopped"][0].cause
