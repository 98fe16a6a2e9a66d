"""The keys of this host as they are stored, rotated and shown: put together for the daemon."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack

from mirosd.backends.ring_file import RingFile
from mirosd.bridge.control import Control
from mirosd.bridge.key_desk import KeyDesk
from mirosd.bridge.rotation import Rotation
from mirosd.core.interfaces import FileStore
from mirosd.core.key_holders import Holders
from mirosd.core.settings import Settings
from mirosd.core.shown import Board
from mirosd.member import Member
from mirosd.state_file import StateFile


def key_desk(
    settings: Settings,
    member: Member,
    control: Control,
    *,
    files: FileStore,
    board: Board,
    exits: ExitStack,
    wall_ms: Callable[[], int],
) -> KeyDesk:
    """Build what rotates the keys, and give what people see of it. Thread: loop."""
    stored = StateFile(settings.state_dir, "key_holders.json", files)
    clocks = {"clock": time.monotonic, "wall_s": lambda: wall_ms() / 1000}
    holders = Holders()
    stored.read(holders.restore, None)
    rotation = Rotation(
        member.keys,
        control,
        system=settings.system,
        store=RingFile(settings.state_dir, files).write,
        holders=holders,
        keep=stored.write,
        takes=settings.keys.accept_remote,
        expire_s=settings.delivery.ttl_s + settings.delivery.queue_expires_s,
        board=board,
        random=os.urandom,
        **clocks,
    )
    exits.callback(rotation.close)
    return KeyDesk(member.keys, rotation, member.identity, random=os.urandom, **clocks)
