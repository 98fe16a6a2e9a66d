"""Whether this host's own broker is there, greets at once, and can be reached by others."""

from collections.abc import Iterator

from mirosctl.checks.ailment import Ailment, Finding, skipped, well
from mirosctl.checks.at_once import at_once
from mirosctl.checks.patient import Patient
from mirosctl.checks.remedies import coded

SLOW_S = 2.0
"""A broker greets within milliseconds; one that looks a name up in vain needs seconds. A busy machine needs one."""

AMQP_PORT = 5672

CONNECTING = Ailment(
    "broker.connecting",
    "warning",
    "mirosd is connecting to {address}",
    "ask again in a moment; a broker takes some ten seconds to start",
    ("mirosctl wait && mirosctl doctor",),
)
SLOW = Ailment(
    "broker.slow",
    "fault",
    "{address} takes {took} to greet: RabbitMQ looks a name up at each connection, and no DNS answers",
    "write this host's own address and name into /etc/hosts",
    ('echo "{host} $(hostname)" | sudo tee -a /etc/hosts',),
)
LOOPBACK_ONLY = Ailment(
    "broker.loopback_only",
    "fault",
    "other hosts are told to reach our broker at {address}, and nothing listens there",
    "let RabbitMQ listen on the LAN (without a `listeners` line it does), or correct broker.advertise",
    ("grep -rn listeners /etc/rabbitmq/", "sudo systemctl restart rabbitmq-server"),
)
CLOSED = Ailment(
    "broker.tcp_in",
    "fault",
    "this host's own firewall drops TCP {port} inbound: our broker at {address} does not answer even here",
    "open the port inbound",
    (
        "sudo ufw allow {port}/tcp",
        "sudo firewall-cmd --permanent --add-port={port}/tcp && sudo firewall-cmd --reload",
        "sudo nft insert rule inet filter input tcp dport {port} accept",
    ),
)
NOWHERE = Ailment(
    "broker.nowhere",
    "warning",
    "other hosts are told no address of our broker, so their events do not come here",
    "name one in the configuration (broker.advertise), and restart mirosd",
    ("sudoedit /etc/mirosd/config.yaml", "sudo systemctl restart mirosd"),
)
AILMENTS = (CONNECTING, SLOW, LOOPBACK_ONLY, CLOSED, NOWHERE)


def check_broker(patient: Patient) -> Iterator[Finding]:
    """Say whether the daemon is connected to its broker; if not, at which stage it fails."""
    if patient.said is None:
        return
    broker = patient.said.after["broker"]
    state = str(broker["state"])
    whose = {"user": broker["user"], "address": broker["address"]}
    if state == "connected":
        yield well(f"{broker['address']} as {broker['user']}")
        for code, detail in patient.said.reasons.items():
            if code.startswith("broker"):
                yield coded("broker", code, detail, **whose)
    elif state == "connecting":
        yield CONNECTING.found(address=broker["address"])
    else:
        yield coded("broker", state, f"{state}: {broker['detail'] or broker['address']}", **whose)


def check_greeting(patient: Patient) -> Iterator[Finding]:
    """Say whether the own broker greets at once."""
    said = patient.said
    if said is None:
        return
    broker = said.after["broker"]
    host, port = split(broker["address"])
    if not port or broker["tls"]:
        yield skipped("it is in this process" if not port else "it greets behind TLS alone")
        return
    greeting = patient.machine.greet(host, port)
    if greeting.code == "slow" or (not greeting.code and greeting.took_s >= SLOW_S):
        took = f"more than {greeting.took_s:.0f} s" if greeting.code else f"{greeting.took_s:.1f} s"
        yield SLOW.found(address=broker["address"], host=_own(said.after["broker"]["told"], host), took=took)
    elif greeting.code:
        yield skipped("it does not greet: see `broker`")
    else:
        yield well(f"after {greeting.took_s * 1000:.0f} ms")


def check_reach(patient: Patient) -> Iterator[Finding]:
    """Say whether the own broker answers where other hosts are told that it is."""
    if patient.said is None:
        return
    broker = patient.said.after["broker"]
    if not split(broker["address"])[1]:
        yield skipped("broker.url is memory://: this host is alone")
        return
    if not patient.is_well("broker") or not patient.is_well("greeting"):
        yield skipped("first the broker")
        return
    if not broker["told"]:
        yield NOWHERE.found()
        return
    reached = []
    greetings = at_once(lambda address: patient.machine.greet(*split(address)), broker["told"])
    for address, greeting in zip(broker["told"], greetings, strict=True):
        code, port = greeting.code, split(address)[1]
        if code in ("refused", "unreachable"):
            yield LOOPBACK_ONLY.found(address=address)
        elif code == "silent":
            yield CLOSED.found(address=address, port=port)
        else:
            reached.append(address)
    if reached:
        yield well(f"others reach it at {', '.join(reached)}")


def split(address: str) -> tuple[str, int]:
    """Give host and port of "10.0.0.7:5672", "[fe80::1%eth0]:5672"; port 0 where there is none."""
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else (address.strip("[]"), 0)


def _own(told: list[str], host: str) -> str:
    """Give the address under which this host looks itself up: one that others are told, if there is any."""
    return split(told[0])[0] if told else host
