"""The search of the LAN as this host is set up for it."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

import structlog

from mirosd import alone
from mirosd.backends.lan import Lan
from mirosd.backends.lan_ground import Ground
from mirosd.core.interfaces import LanSearch
from mirosd.core.settings import Settings
from mirosd.localapi.board import Board
from mirosd.member import Member

log = structlog.get_logger()


def lan_search(
    whole: Settings, member: Member, board: Board, exits: ExitStack, *, wall_ms: Callable[[], int]
) -> LanSearch:
    """Build the search, or what stands for it; either way others are told our addresses there. Thread: loop."""
    settings, accounts = whole.discovery.lan, member.accounts
    if accounts.is_alone:
        return alone.SilentLan()
    if not settings.enabled:
        try:
            ground = Ground(settings)
        except OSError as exc:
            log.warning("addresses_not_read", reason=str(exc))  # others are told what is advertised, or nothing
        else:
            exits.callback(ground.close)
            member.lan_addresses = ground.read_addresses
        return alone.SilentLan()
    fixed = accounts.told(())  # where the own broker is, unless that is wherever this host is
    lan = Lan(
        asyncio.get_running_loop(),
        system_keys=member.keys.keys["system"],
        system=whole.system,
        node=member.node,
        instance=member.identity.instance,
        broker_port=0 if fixed else accounts.told_port,
        advertise=fixed,
        settings=settings,
        board=board,
        wall_ms=wall_ms,
        on_answer=lambda broker, asked_s: member.clearance.clear([broker], asked_s),
    )
    exits.callback(lan.close)
    member.lan_addresses = lambda: lan.addresses
    member.confirms.append(lan.confirm)
    return lan
