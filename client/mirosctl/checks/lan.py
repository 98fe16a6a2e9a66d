"""Whether this host finds others on its LAN, and is found by them: by port, and by direction.

A host hears its own broadcast, unless its firewall drops what comes in: that needs no other host. Who is a peer and
leaves searches unanswered has such a firewall. Rules themselves cannot be read without privileges.
"""

from collections.abc import Iterator

from mirosctl.checks.ailment import Ailment, Finding, skipped, well
from mirosctl.checks.broker import split
from mirosctl.checks.patient import Patient, Row, Said

TAKEN = Ailment(
    "lan.port_taken",
    "fault",
    "{detail}",
    "stop the other program, or set another discovery.lan.port on every host",
    ("sudo ss -ulpn 'sport = :{port}'",),
)
UDP_IN = Ailment(
    "lan.udp_in",
    "fault",
    "this host's own firewall drops UDP {port} inbound: not even its own broadcast comes back to it",
    "open the port inbound",
    (
        "sudo ufw allow {port}/udp",
        "sudo firewall-cmd --permanent --add-port={port}/udp && sudo firewall-cmd --reload",
        "sudo nft insert rule inet filter input udp dport {port} accept",
    ),
)
UDP_OUT = Ailment(
    "lan.udp_out",
    "fault",
    "this host filters its own UDP {port} outbound: {count} datagrams were refused just now",
    "open the port outbound, or take IPAddressDeny= out of mirosd's unit",
    (
        "systemctl show mirosd -p IPAddressDeny -p IPAddressAllow",
        "sudo nft insert rule inet filter output udp dport {port} accept",
    ),
)
BROADCASTS = Ailment(
    "lan.broadcasts",
    "warning",
    "hosts answer when they are asked one by one, and none answers a question to all: the network drops broadcasts, or "
    "their firewalls drop UDP {port} inbound",
    "ask the doctor there; if it finds no fault, let the switch or access point pass broadcasts (client isolation, "
    "storm control), list the hosts, or always sweep",
    (
        "mirosctl doctor  # there",
        "mirosctl hosts add ADDRESS",
        "sudoedit /etc/mirosd/config.yaml  # discovery.lan.sweep: always",
    ),
)
SILENT_PEER = Ailment(
    "lan.silent_peer",
    "warning",
    "{name} at {address} is a peer, and leaves searches of the LAN unanswered: its firewall drops UDP {port} inbound, "
    "or its discovery.lan.enabled is false",
    "open the port on that host",
    ("sudo ufw allow {port}/udp  # at {address}",),
)
WSL = Ailment(
    "lan.wsl",
    "warning",
    "this is WSL: unless its network is mirrored, the LAN is not seen from here, and nobody there sees this host",
    "set networkingMode=mirrored in .wslconfig, and open the ports in Windows; or list the hosts",
    ("wslinfo --networking-mode", "mirosctl hosts add ADDRESS"),
)
AILMENTS = (TAKEN, UDP_IN, UDP_OUT, BROADCASTS, SILENT_PEER, WSL)


def check_lan(patient: Patient) -> Iterator[Finding]:
    """Say what a search of the LAN showed."""
    said = patient.said
    if said is None:
        return
    if said.status["lan"]["off"]:
        yield skipped(said.status["lan"]["off"])
        return
    port = said.status["lan"]["port"]
    findings = list(_faults(said, port))
    if patient.machine.is_wsl():
        findings.append(WSL.found())
    if not findings:
        findings.append(_well(said))
    yield from findings


def _faults(said: Said, port: int) -> Iterator[Finding]:
    if "lan_port_taken" in said.reasons:
        yield TAKEN.found(detail=said.reasons["lan_port_taken"], port=port)
        return
    if said.search is None:
        if _asks_all(said) and said.counted("lan_sent") and not said.counted("lan_own"):
            yield UDP_IN.found(port=port)
        return
    if count := said.rose("lan_filtered_here"):
        yield UDP_OUT.found(port=port, count=count)
    elif _asks_all(said) and said.rose("lan_sent") and not said.rose("lan_own"):
        yield UDP_IN.found(port=port)
    elif _answered_one_by_one(said):
        yield BROADCASTS.found(port=port)
    else:
        for peer, row in _silent_peers(said):
            yield SILENT_PEER.found(name=peer["name"], address=row["address"], port=port)


def _well(said: Said) -> Finding:
    if said.search is None:
        return skipped(f"no search was made: {said.unsearched}")
    answered = len({row["node"] for row in said.search} - {""})
    return well(f"{answered or 'no'} host{'' if answered == 1 else 's'} answered; own broadcasts are heard")


def _asks_all(said: Said) -> bool:
    """Say whether there is an IPv4 network to broadcast to: by IPv6 nobody hears himself."""
    told = [*said.status["broker"]["told"], *(row["address"] for row in said.search or ())]
    return any(address.count(":") < 2 for address in told)


def _answered_one_by_one(said: Said) -> bool:
    on_lan = any(row["node"] and row["mac"] for row in said.search or ())
    return on_lan and not said.rose("lan_broadcast_answers")


def _silent_peers(said: Said) -> Iterator[tuple[Row, Row]]:
    rows = {row["address"]: row for row in said.search or ()}
    for peer in said.peers:
        addresses = [split(address)[0] for address in peer["address"].split(", ")]
        silent = [rows[at] for at in addresses if at in rows and rows[at]["mac"] and not rows[at]["node"]]
        answers = any(row["node"] == peer["node"] for row in rows.values())
        if peer["state"] == "alive" and silent and not answers:
            yield peer, silent[0]
