"""The daemon: the only place that knows everyone. Builds the parts, starts them in order, stops them in reverse.

state directory, keys -> board -> charts -> bridge -> local API -> ready
"""

import asyncio
import os
import queue
import random
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog

from mirosd import __version__, alone, logs
from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_probe import AmqpProber
from mirosd.backends.files import DiskFileStore
from mirosd.backends.key_files import read_key_files, read_password
from mirosd.backends.local_socket import bind, group_id, peer_credentials
from mirosd.backends.memory import MemoryBroker, MemoryConnector
from mirosd.backends.state_directory import StateDirectory
from mirosd.backends.systemd import Notifier
from mirosd.bridge.bridge import Bridge
from mirosd.bridge.control import Control
from mirosd.core.addresses import parse_host
from mirosd.core.broker import BrokerAddress
from mirosd.core.control_messages import Identity, SealedChallenger
from mirosd.core.envelope import Envelope
from mirosd.core.seal import Opener, Sealer, system_key
from mirosd.core.setting_checks import broker_address
from mirosd.core.settings import Settings
from mirosd.discovery import Discovery
from mirosd.errors import BrokerError, ConfigError
from mirosd.localapi.board import Board
from mirosd.localapi.census import Census
from mirosd.localapi.desk import Desk
from mirosd.localapi.desk import Identity as Welcome
from mirosd.localapi.rights import Policy
from mirosd.localapi.server import LocalServer
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd.payloads import ProducerQueue
from mirosd.view import View
from mirosd_client.wire import Network

log = structlog.get_logger()


class Daemon:
    """One mirosd. Thread: loop.

    Args:
        settings: as read from the configuration file.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._notifier = Notifier()
        self._discovery: Discovery | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then stop in order; StartError when it cannot start here."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        with ExitStack() as exits:
            state = exits.enter_context(StateDirectory(settings.state_dir))
            keys = read_key_files(settings.networks)
            name = settings.name or socket.gethostname()
            own, peers = self._accounts()
            names = SystemNames(settings.system)
            is_alone = own is alone.OWN
            board = alone.LoneBoard(loop) if is_alone else Board(loop)
            board.on_reasons = lambda: self._show_state(view)
            producers: queue.Queue[ProducerQueue] = queue.Queue(maxsize=1)
            amqp = AmqpConnector()
            control_envelope = _envelope(keys.system or system_key(keys.mesh), settings.system, "system")
            challenger = SealedChallenger(
                Identity(state.node, name, state.start, __version__, settings.broker.advertise),
                control_envelope,
                {"mesh": keys.mesh, "snoop_trace": keys.snoop_trace, "snoop_spy": keys.snoop_spy},
                nonce=lambda: secrets.token_hex(16),
                wall_ms=self._wall_ms,
            )
            files = DiskFileStore()
            exits.callback(files.close)
            discovery = self._discovery = Discovery(
                prober=alone.LoneProber()
                if is_alone
                else AmqpProber(loop, amqp, lambda host, port: _at(peers, host, port), names, challenger),
                files=files,
                board=board,
                names=names,
                producers=producers,
                wake=lambda: _hand_over(loop, bridge.wake),
                retire=lambda node: _hand_over(loop, bridge.retire, node),
                hosts_file=settings.discovery.hosts_file,
                local_hosts_file=str(Path(settings.state_dir) / "hosts.json"),
            )
            control = Control(
                names,
                control_envelope,
                challenger,
                post_peer=discovery.post_peer,
                board=board,
                clock=time.monotonic,
                wall_ms=self._wall_ms,
            )
            bridge = Bridge(
                MemoryConnector({own.host: MemoryBroker(loop)}) if is_alone else amqp,
                names,
                own=own,
                peer_address=lambda host: _peer_broker(peers, host, settings.peers.port),
                envelopes={
                    network: _envelope(key, settings.system, NETWORK_NAMES[network])
                    for network, key in (
                        (Network.MESH, keys.mesh),
                        (Network.SNOOP_TRACE, keys.snoop_trace),
                        (Network.SNOOP_SPY, keys.snoop_spy),
                    )
                },
                control=control,
                settings=settings.delivery,
                producers=producers,
                board=board,
                post_peer=discovery.post_peer,
                on_own_state=lambda error: _show_broker(board, error),
                random=random.random,
            )
            who = {"node": state.node, "name": name, "system": settings.system, "version": __version__}
            view = View(board, discovery, bridge, who)
            bound = bind(Path(settings.socket.path), mode=settings.socket.mode, group=settings.socket.group)
            server = LocalServer(
                self._desk(bridge, view, board, Welcome(state.node, name, settings.system, __version__))
            )
            view.sessions = server.sessions
            log.info("starting", node=state.node, name=name, start=state.start, version=__version__, broker=own.display)
            bridge.start()
            discovery.start()
            await server.start(bound.listening)
            self._notifier.ready(f"{view.state}")
            try:
                await stop.wait()
            finally:
                log.info("stopping")
                view.is_stopping = True
                self._notifier.stopping("closing connections")
                bound.remove()
                await server.stop()
                await bridge.stop()
                discovery.stop()
                log.info("stopped")

    def reload(self, load: Callable[[], Settings]) -> None:
        """Read the configuration again: log level and hosts files take effect, the rest is told to need a restart."""
        self._notifier.reloading()
        try:
            settings = load()
        except ConfigError as error:
            log.warning("reload_refused", faults=error.faults)
        else:
            logs.configure(settings.log.format, settings.log.level)
            changed = [
                section
                for section in (
                    "system",
                    "name",
                    "state_dir",
                    "socket",
                    "broker",
                    "peers",
                    "networks",
                    "delivery",
                    "limits",
                )
                if getattr(settings, section) != getattr(self._settings, section)
            ]
            log.info("reloaded", restart_needed_for=changed)
            if self._discovery is not None:
                self._discovery.evaluate()
        self._notifier.ready("reloaded")

    def _accounts(self) -> tuple[BrokerAddress, BrokerAddress]:
        """Give the own broker, and the account towards others (its host is filled in per peer)."""
        settings = self._settings
        own = (
            broker_address(
                settings.broker.url, user=settings.broker.user, password=read_password(settings.broker) or ""
            )
            or alone.OWN
        )
        peers = settings.peers
        account = BrokerAddress("", peers.port, peers.vhost, peers.user, read_password(peers) or "", tls=own.tls)
        return own, account

    def _desk(self, bridge: Bridge, view: View, board: Board, identity: Welcome) -> Desk:
        settings, limits = self._settings.socket, self._settings.limits
        members = settings.group or ""
        return Desk(
            sink=bridge,
            view=view,
            board=board,
            identity=identity,
            policy=Policy(
                own_uid=os.getuid(),
                member_gid=group_id(members) if members else None,
                operator_gid=group_id(settings.operators),
                member_group=members,
                operator_group=settings.operators,
            ),
            census=Census(
                connections_per_uid=limits.connections_per_uid,
                queues_per_uid=limits.queues_per_uid,
                unsent_bytes_per_uid=limits.unsent_bytes_per_uid,
            ),
            credentials_of=peer_credentials,
        )

    def _show_state(self, view: View) -> None:
        log.info("state_changed", state=view.state, reasons=view.reasons)
        self._notifier.status(view.state + "".join(f"; {code}: {detail}" for code, detail in view.reasons.items()))

    def _wall_ms(self) -> int:
        return int((time.time() + self._settings.clock.offset_s) * 1000)


def _envelope(key: bytes, system: str, network: str) -> Envelope:
    sealer = Sealer(key, system, network, random=os.urandom, clock=time.monotonic)
    return Envelope(system, network, sealer, Opener(key, system, network))


def _at(account: BrokerAddress, host: str, port: int) -> BrokerAddress:
    return BrokerAddress(host, port, account.vhost, account.user, account.password, account.tls)


def _peer_broker(account: BrokerAddress, host: str, default_port: int) -> BrokerAddress:
    parsed = parse_host(host)
    return _at(account, parsed.host, parsed.port or default_port)


def _hand_over(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: str) -> None:
    """From a chart's thread to the loop: the one crossing in this direction."""
    loop.call_soon_threadsafe(function, *args)


def _show_broker(board: Board, error: BrokerError | None) -> None:
    if error is None:
        board.clear_reason("broker")
    else:
        board.raise_reason("broker", f"{error.code}: {error}")
