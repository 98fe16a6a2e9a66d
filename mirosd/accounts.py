"""Who this daemon is at brokers, and where its own broker is for others."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from mirosd import alone
from mirosd.backends.key_files import read_password
from mirosd.core.addresses import AMQP_PORT, HostPort, amqp_url, parse_host
from mirosd.core.broker import BrokerAddress
from mirosd.core.setting_checks import AMQPS_PORT, broker_address
from mirosd.core.settings import Settings


class Accounts:
    """The account at the own broker, which never leaves this host, and the one towards others.

    Attributes:
        peer_port: of another host's broker that is written without one.
        told_port: of the own broker, for others: what `broker.url` says, unless they come by TLS and we do not, or the
            reverse; it then listens for them where all brokers of the mesh do.

    Raises:
        StartError: a password file cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        broker, peers = settings.broker, settings.peers
        self.own = broker_address(broker.url, user=broker.user, password=read_password(broker) or "") or alone.OWN
        is_tls = self.own.tls if peers.tls == "auto" else peers.tls == "on"
        self.peer_port = peers.port or (AMQPS_PORT if is_tls else AMQP_PORT)
        self.told_port = self.own.port if self.own.tls == is_tls else self.peer_port
        self._peers = BrokerAddress("", self.peer_port, peers.vhost, peers.user, read_password(peers) or "", tls=is_tls)
        self._advertise = broker.advertise

    @property
    def is_alone(self) -> bool:
        """Say whether the own broker is in this process."""
        return self.own is alone.OWN

    @property
    def is_tls(self) -> bool:
        """Say whether any broker is reached by TLS."""
        return self.own.tls or self._peers.tls

    def at(self, host: str, port: int) -> BrokerAddress:
        """Give where and as whom to reach a peer's broker; `host` is bare."""
        return replace(self._peers, host=host, port=port)

    def at_host(self, text: str) -> BrokerAddress:
        """Give where and as whom to reach a peer's broker, from a hosts-file entry."""
        host, port = parse_host(text)
        return self.at(host, port or self.peer_port)

    def url_at(self, host: str) -> str:
        """Give the URL of a peer's broker, from a hosts-file entry, for people: without the account."""
        return amqp_url(host, self.peer_port, tls=self._peers.tls)

    def told(self, lan_addresses: Sequence[str]) -> tuple[str, ...]:
        """Give where others reach the own broker, as sealed answers and heartbeats tell it.

        What the operator advertises; else where it is, if that is not loopback; else each of this
        host's addresses on its LANs, where a broker listens as it comes. IPv6 link-local ones are left out: nobody
        else can know by which of its own links they are reached.
        """
        if self.is_alone:
            return ()
        hosts = [parse_host(text) for text in self._advertise] or [HostPort(self.own.host)]
        if not self._advertise and _is_loopback(self.own.host):
            hosts = [HostPort(address) for address in lan_addresses if _is_known_everywhere(address)]
        return tuple(str(HostPort(host, port or self.told_port)) for host, port in hosts)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name


def _is_known_everywhere(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # with a zone, as a rule
        return False
    return not (parsed.is_loopback or (parsed.version == 6 and parsed.is_link_local))
