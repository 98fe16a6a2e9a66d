"""What a verb of the local API is: the right it needs, its arguments, and a coroutine over what the daemon shows.

It hands over its rows one by one, each when the client has room for it, and returns the
result that ends the answer. The table of all verbs is verbs.py's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import msgspec

from mirosd.localapi.rights import Rights
from mirosd_client.dial import Dial, SnoopNetwork
from mirosd_client.messages import Recall

Display = dict[str, Any]
"""A copy made for people: no internal object crosses the socket."""

RowTaker = Callable[[Display], Awaitable[None]]
"""Sends one row, waiting until the client has room."""


class LanView(Protocol):
    """The LAN as people see it. Errors are MirosdErrors; `lan_off` where the search is off. Thread: loop."""

    async def recce(self, addresses: list[str], timeout_s: float, row: RowTaker) -> Display:
        """Search now, `addresses` besides, and show each state and address as it changes: the result of `recce`."""

    def cache(self) -> Display:
        """The LAN cache as it is: the result of `cache_show`."""

    async def flush_cache(self) -> Display:
        """Empty the LAN cache, and return when the search that follows has begun: the result of `cache_flush`."""


class SnoopView(Protocol):
    """What is watched of the charts of all hosts. Errors are MirosdErrors: no_key, too_many_*. Thread: loop."""

    def hold(self, network: SnoopNetwork, dial: Dial) -> AbstractContextManager[None]:
        """Watch by a dial for as long as this is open."""

    def hosts(self, network: SnoopNetwork, dial: Dial) -> list[Display]:
        """The rows of `watch`."""

    def next_change(self) -> asyncio.Event:
        """What is set when those rows may have changed next."""

    async def recall(self, recall: Recall) -> list[Display]:
        """Have the programs of all hosts that the dial takes send what they have: the rows of `recall`."""


class KeysView(Protocol):
    """The networks' keys. Errors are MirosdErrors (key_ring.KeysError). Thread: loop."""

    def rows(self) -> list[Display]:
        """The rows of `keys_list`."""

    async def rotate(self, network: str, *, is_forced: bool) -> Display:
        """Make a new key and hand it on, or go on with the one that is on its way: the result of `keys_rotate`."""

    async def replace(self, network: str, text: str) -> Display:
        """Take a key, and retire all others of its network: the result of `keys_replace`."""


class DaemonView(Protocol):
    """What the daemon shows and lets people change. Errors are MirosdErrors with stable codes. Thread: loop."""

    @property
    def lan(self) -> LanView:
        """The LAN, its search and its cache."""

    @property
    def snoop(self) -> SnoopView:
        """The charts of all hosts, watched."""

    @property
    def keys(self) -> KeysView:
        """The networks' keys, and who has them."""

    def status(self) -> Display:
        """The result of `status`."""

    def metrics(self) -> Display:
        """The result of `metrics`."""

    def peers(self) -> list[Display]:
        """The peers table, sorted."""

    def next_change(self) -> asyncio.Event:
        """What is set when something that is shown here changes next."""

    async def forget_peer(self, node: str) -> Display:
        """Let go of the peer that `node` (a name, or the beginning of an id) means: the result of `peers_forget`."""

    async def allow_peer(self, node: str) -> Display:
        """Take the peer that `node` means, forgotten or quarantined as it may be: the result of `peers_allow`."""

    async def scout(self, address: str, row: RowTaker) -> Display:
        """Scout one address and show each stage: the result of `scout`."""

    def clients(self) -> list[Display]:
        """The connected programs, sorted."""

    async def matching(self, routing_key: str) -> Display:
        """Whom a routing key reaches: the result of `matching`."""

    def hosts(self) -> list[Display]:
        """The manual hosts in force, sorted."""

    async def add_host(self, host: str) -> None:
        """List a host in the state directory's file; returns when it is written."""

    async def remove_host(self, host: str) -> None:
        """Take a host off the state directory's file; returns when it is written."""

    async def reload_hosts(self) -> None:
        """Read the hosts files again and scout what is in them."""

    async def wait_ready(self, peers: int | None, timeout_s: float) -> tuple[bool, str]:
        """Wait until ready, or until `peers` peers are alive both ways: (True, "") or (False, what is missing)."""


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """For verbs that take none."""


class Verb(NamedTuple):
    """One line of the table. `right` None: the network that its arguments name must be open to the caller."""

    right: Rights | None
    arguments: type[msgspec.Struct]
    run: Callable[[DaemonView, Any, RowTaker], Awaitable[Display]]
