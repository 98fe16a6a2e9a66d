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
from mirosd.backends.ring_file import read_ring
from mirosd.backends.tls_files import TlsFiles
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.clearance import Clearance
from mirosd.core.envelope import Envelope
from mirosd.core.interfaces import Prober
from mirosd.core.key_ring import KeyRing
from mirosd.core.seal import Opener, Sealer
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
        keys: of all networks, the system's among them; whoever holds some of them follows their changes.
        lan_addresses: gives this host's addresses on its LANs, at once: it is asked each second.

    Raises:
        StartError, ConfigError: a key, the ring or a password cannot be read.
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
        self._system = settings.system
        self.keys = KeyRing(read_ring(settings.state_dir, settings.networks, wall_ms() / 1000))
        self.accounts = Accounts(settings)
        self.names = SystemNames(settings.system)
        self.identity = Identity(
            node, settings.name or socket.gethostname(), start, __version__, instance=secrets.token_hex(8)
        )
        members = {name: keys for name, keys in self.keys.keys.items() if name in NETWORKS}
        self.control_envelope = self._envelope("system")
        self.envelopes = {NETWORKS[name]: self._envelope(name) for name in members}
        self.lan_addresses: Callable[[], Sequence[str]] = tuple
        self.confirms: list[Confirm] = []
        self.clearance = Clearance(self.accounts.peer_port, is_open=settings.discovery.lan.scout == "all")
        self.amqp = AmqpConnector(TlsFiles(settings.tls).context) if self.accounts.is_tls else AmqpConnector()
        self.guarded = GuardedConnector(self.amqp, self.clearance, self.confirms, clock=time.monotonic)
        self.challenger = SealedChallenger(
            self.identity,
            self.control_envelope,
            members,
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
            default_port=self.accounts.peer_port,
        )

    def _envelope(self, network: str) -> Envelope:
        keys, me, clock = self.keys.keys[network], self.identity, time.monotonic
        sealer = Sealer(keys, self._system, network, node=me.node, start=me.start, random=os.urandom, clock=clock)
        return Envelope(self._system, network, sealer, Opener(keys, self._system, network))
