"""This host as a member of its system: its keys and node id, what it proves with them, and whom it shows its account.

One of these lives as long as the node id does.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence

from mirosd import __version__, alone
from mirosd.accounts import Accounts
from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_probe import AmqpProber
from mirosd.backends.guarded import Confirm, GuardedConnector
from mirosd.backends.key_files import read_key_files
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.clearance import Clearance
from mirosd.core.envelope import Envelope
from mirosd.core.interfaces import Prober
from mirosd.core.seal import Opener, Sealer, system_key
from mirosd.core.settings import Settings
from mirosd.names import NETWORK_NAMES, NETWORKS, SystemNames


class Member:
    """Thread: loop.

    Args:
        node, start: of the state directory.
        uptime_ms: for how long this daemon has run; wall_ms: the wall clock.
        on_clone: told why, when another daemon has our node id and we are to give it up.

    Attributes:
        confirms: ways to ask who is at a broker for a fresh sealed answer (backends.guarded); whoever has one adds it.
        envelopes: of the networks whose keys this host has.
        lan_addresses: gives this host's addresses on its LANs, at once: it is asked each second.

    Raises:
        StartError, ConfigError: a key or password cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        node: str,
        start: int,
        *,
        uptime_ms: Callable[[], int],
        wall_ms: Callable[[], int],
        on_clone: Callable[[str], None],
    ) -> None:
        self._system, self._peer_port = settings.system, settings.peers.port
        keys = read_key_files(settings.networks)
        self.accounts = Accounts(settings)
        self.names = SystemNames(settings.system)
        self.system_key = keys.system or system_key(keys.networks["mesh"])
        self.identity = Identity(
            node, settings.name or socket.gethostname(), start, __version__, instance=secrets.token_hex(8)
        )
        self.control_envelope = self._envelope(self.system_key, "system")
        self.envelopes = {NETWORKS[name]: self._envelope(key, name) for name, key in keys.networks.items()}
        self.lan_addresses: Callable[[], Sequence[str]] = tuple
        self.confirms: list[Confirm] = []
        self.clearance = Clearance(settings.peers.port, is_open=settings.discovery.lan.scout == "all")
        self.amqp = AmqpConnector()
        self.guarded = GuardedConnector(self.amqp, self.clearance, self.confirms, clock=time.monotonic)
        self.challenger = SealedChallenger(
            self.identity,
            self.control_envelope,
            keys.networks,
            nonce=lambda: self.clearance.draw(secrets.token_hex(16), time.monotonic()),
            wall_ms=wall_ms,
            brokers=lambda: self.accounts.told(self.lan_addresses()),
            uptime_ms=uptime_ms,
            on_proved=self.clearance.answered,
            on_clone=on_clone,
        )

    @property
    def node(self) -> str:
        """Our node id."""
        return self.identity.node

    @property
    def networks(self) -> list[str]:
        """The names of the networks whose keys this host has."""
        return [NETWORK_NAMES[network] for network in self.envelopes]

    def prober(self, *, is_guarded: bool) -> Prober:
        """Give a prober; one that is not guarded sends our account to any address that it is given."""
        if self.accounts.is_alone:
            return alone.LoneProber()
        return AmqpProber(
            asyncio.get_running_loop(),
            self.guarded if is_guarded else self.amqp,
            self.accounts.at,
            self.names,
            self.challenger,
            default_port=self._peer_port,
        )

    def _envelope(self, key: bytes, network: str) -> Envelope:
        me, clock = self.identity, time.monotonic
        sealer = Sealer(key, self._system, network, node=me.node, start=me.start, random=os.urandom, clock=clock)
        return Envelope(self._system, network, sealer, Opener(key, self._system, network))
