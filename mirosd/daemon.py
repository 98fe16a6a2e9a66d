"""The daemon: the only place that knows everyone. Builds the parts, starts them in order, stops them in reverse.

state directory, keys -> board -> charts -> bridge -> local API -> ready
"""

import asyncio
import queue
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import structlog

from mirosd import __version__, alone, logs
from mirosd.backends.file_watch import FileWatch
from mirosd.backends.files import DiskFileStore
from mirosd.backends.local_socket import bind
from mirosd.backends.memory import MemoryBroker, MemoryConnector
from mirosd.backends.state_directory import StateDirectory
from mirosd.backends.systemd import Notifier
from mirosd.bridge.bridge import Bridge
from mirosd.bridge.control import Control
from mirosd.bridge.replay_table import ReplayTable
from mirosd.bulletin import Bulletin
from mirosd.core.aliens import Aliens
from mirosd.core.delivery_set import delivery_set_text, parse_delivery_set
from mirosd.core.settings import Settings
from mirosd.discovery import Discovery
from mirosd.errors import BrokerError, ConfigError, StartError
from mirosd.front_desk import desk_of, policy_of
from mirosd.key_keeping import key_desk
from mirosd.lan_search import lan_search
from mirosd.lan_view import why_off
from mirosd.localapi.board import Board
from mirosd.localapi.desk import Identity as Welcome
from mirosd.localapi.server import LocalServer
from mirosd.member import Member
from mirosd.own_charts import OwnCharts
from mirosd.payloads import ProducerQueue
from mirosd.state_file import StateFile
from mirosd.view import View
from mirosd.watchdog import Watchdog

log = structlog.get_logger()


class Daemon:
    """One mirosd. Thread: loop.

    Args:
        settings: as read from the configuration file.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._began_s = time.monotonic()
        self._notifier = Notifier()
        self._discovery: Discovery | None = None
        self._server: LocalServer | None = None
        self._renewed = ""  # why this daemon drew a new node id, if it did

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then stop in order; StartError when it cannot start here."""
        with StateDirectory(self._settings.state_dir) as state:
            while await self._serve(state, stop):
                pass  # once more, as another node

    async def _serve(self, state: StateDirectory, stop: asyncio.Event) -> bool:
        """Build all parts, run them until `stop` is set, stop them in order; True: until a clone had to be evaded."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        renewed = asyncio.Event()
        with ExitStack() as exits:
            member = Member(
                settings,
                state.node,
                state.start,
                uptime_ms=lambda: int((time.monotonic() - self._began_s) * 1000),
                wall_ms=self._wall_ms,
                on_clone=lambda why: self._renew(state, why, renewed, board),
            )
            node, name, own = member.node, member.identity.name, member.accounts.own
            is_alone = member.accounts.is_alone
            board = alone.LoneBoard(loop) if is_alone else Board(loop)
            producers: queue.Queue[ProducerQueue] = queue.Queue(maxsize=1)
            files = DiskFileStore()
            exits.callback(files.close)
            discovery = self._discovery = Discovery(
                prober=member.prober(is_guarded=True),
                lan=lan_search(settings, member, board, exits, wall_ms=self._wall_ms),
                lan_settings=settings.discovery.lan,
                files=files,
                board=board,
                names=member.names,
                producers=producers,
                wake=lambda: _hand_over(loop, bridge.wake),
                retire=lambda node: _hand_over(loop, bridge.retire, node),
                on_listed=lambda hosts: _hand_over(loop, member.clearance.list_hosts, hosts),
                on_standing=lambda *standing: _hand_over(loop, bridge.stand, *standing),
                hosts_file=settings.discovery.hosts_file,
                local_hosts_file=str(Path(settings.state_dir) / "hosts.json"),
                lan_cache_file=str(Path(settings.state_dir) / "lan_cache.json"),
                peer_port=member.accounts.peer_port,
                url_of=member.accounts.url_at,
                peers_file=str(Path(settings.state_dir) / "peers.json"),
                aliens=settings.discovery.aliens,
                wall_s=lambda: self._wall_ms() / 1000,
            )
            control = Control(
                member.names,
                member.control_envelope,
                member.challenger,
                post_peer=discovery.post_peer,
                board=board,
                clock=time.monotonic,
                wall_ms=self._wall_ms,
            )
            delivery_set = StateFile(settings.state_dir, "delivery_set.json", files)
            replay = StateFile(settings.state_dir, "replay.json", files)
            bridge = Bridge(
                MemoryConnector({own.host: MemoryBroker(loop)}) if is_alone else member.amqp,
                member.names,
                peer_connector=member.guarded,
                own=own,
                peer_address=member.accounts.at_host,
                envelopes=member.envelopes,
                control=control,
                aliens=Aliens(settings.discovery.aliens, node),
                settings=settings.delivery,
                snoop_remote=settings.snoop.remote,
                producers=producers,
                board=board,
                post_peer=discovery.post_peer,
                on_own_state=lambda error: _show_broker(board, error),
                random=random.random,
                former=delivery_set.read(parse_delivery_set, {}),
                on_delivery_set=lambda brokers: delivery_set.write(delivery_set_text(brokers)),
                on_behind=state.skip_to,
            )
            replay.read(lambda text: bridge.replay.restore(text, loop.time()), None)
            table = ReplayTable(bridge.replay, replay.write)
            OwnCharts(discovery.charts, bridge.snooping, name, lambda: self._wall_ms() / 1000)
            member.confirms.append(bridge.confirm)
            me = Welcome(node, name, settings.system, __version__, tuple(member.networks))
            # people may have any address scouted: their prober is not held to what was cleared
            lan_off = why_off(settings, is_alone=is_alone)
            view = View(
                board,
                discovery,
                bridge,
                asdict(me) | {"lan": {"port": settings.discovery.lan.port, "off": lan_off}, "renewed": self._renewed},
                prober=member.prober(is_guarded=False),
                lan_off=lan_off,
                keys=key_desk(settings, member, control, files=files, board=board, exits=exits, wall_ms=self._wall_ms),
                told=member.challenger.brokers,
            )
            bound = bind(Path(settings.socket.path), mode=settings.socket.mode, group=settings.socket.group)
            desk = desk_of(settings, sink=bridge, view=view, board=board, identity=me)
            server = self._server = LocalServer(desk)
            view.sessions = server.sessions
            log.info("starting", node=node, name=name, start=state.start, version=__version__, broker=own.display)
            bridge.start()
            hosts_files = (settings.discovery.hosts_file, str(Path(settings.state_dir) / "hosts.json"))
            exits.callback(FileWatch(loop, hosts_files, self._follow_hosts_file).close)
            discovery.start()
            await server.start(bound.listening)
            self._notifier.ready()
            try:
                with Bulletin(board, view, self._notifier), Watchdog(discovery.charts, self._notifier, board):
                    await _first(stop, renewed)
            finally:
                log.info("stopping")
                view.is_stopping = True
                if not renewed.is_set():
                    self._notifier.stopping("closing connections")
                bound.remove()
                await server.stop()
                await bridge.stop(is_farewell=not renewed.is_set())
                table.close()
                discovery.stop()
                log.info("stopped")
        return renewed.is_set() and not stop.is_set()

    def reload(self, load: Callable[[], Settings]) -> None:
        """Read the configuration again: log, rights and hosts files take effect, the rest is told to need a restart."""
        self._notifier.reloading()
        try:
            settings = load()
        except ConfigError as error:
            log.error("reload_refused", faults=error.faults)  # noqa: TRY400 -- a fault of the file, not of ours
        else:
            logs.configure(settings.log.format, settings.log.level)
            self._settings = replace(self._settings, rights=settings.rights)
            if self._server is not None:
                self._server.enforce(policy_of(self._settings.socket, settings.rights))
            sections = (field.name for field in fields(Settings) if field.name != "log")
            changed = [
                section for section in sections if getattr(settings, section) != getattr(self._settings, section)
            ]
            log.info("reloaded", restart_needed_for=changed)
            if self._discovery is not None:
                self._discovery.evaluate()
        self._notifier.ready("reloaded")

    def _follow_hosts_file(self, path: str) -> None:
        log.info("hosts_file_changed", path=path)
        if self._discovery is not None:
            self._discovery.evaluate()

    def _renew(self, state: StateDirectory, why: str, renewed: asyncio.Event, board: Board) -> None:
        """Give the node id up to the daemon that lives by a copy of our state directory."""
        if renewed.is_set():
            return
        was = state.node
        try:
            state.renew()
        except StartError as error:
            board.raise_reason("node_conflict", f"{why}; no new node id: {error}")
            return
        log.warning("node_id_renewed", node=state.node, was=was, why=why)
        self._renewed = why
        renewed.set()

    def _wall_ms(self) -> int:
        return int((time.time() + self._settings.clock.offset_s) * 1000)


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def _hand_over(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    """From a chart's thread to the loop: the one crossing in this direction."""
    loop.call_soon_threadsafe(function, *args)


def _show_broker(board: Board, error: BrokerError | None) -> None:
    if error is None:
        board.clear_reason("broker")
    else:
        board.raise_reason("broker", f"{error.code}: {error}")
