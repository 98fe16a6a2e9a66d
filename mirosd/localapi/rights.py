"""Who may do what at the local socket: pure, from what the kernel says of the caller.

| caller                                               | read | transmit | operate | hears        |
|------------------------------------------------------|------|----------|---------|--------------|
| root, the daemon's own user, group `mirosd-admin`    | yes  | yes      | yes     | all networks |
| group `mirosd`                                       | yes  | yes      |         | mesh         |
| anyone else (only where the socket's mode lets them) |      |          |         |              |

What the rules of the configuration give to a user, or to a group of his, comes on top.

The daemon's own user operates so that people can run a mirosd of their own. Members
of the group may bind `#` and so read each other's events: they trust each other.

Who transmits events hears those of others, so the mesh is one thing; a chart's own trace and spy lines may be sent by
whoever may transmit at all, since they tell of nobody else. Who hears a snoop network sees what the charts of all
hosts do: operators, and whom a rule gives just that network.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Flag, auto
from typing import NamedTuple

from mirosd.core.interfaces import Credentials
from mirosd.errors import NotPermittedError
from mirosd.names import NETWORK_NAMES, NETWORKS
from mirosd_client.wire import Network

ROOT_UID = 0
MESH = NETWORK_NAMES[Network.MESH]


class Rights(Flag):
    """What a caller may do; `Rights(0)` is nothing."""

    READ = auto()  # this host's status, peers and hosts
    TRANSMIT = auto()  # send events and subscribe to them
    OPERATE = auto()  # change what the daemon does

    @property
    def words(self) -> list[str]:
        """The rights as a Welcome says them."""
        return [str(right.name).lower() for right in self]


class Grant(NamedTuple):
    """What a caller may do, and which networks (names) it may subscribe to; on the mesh it may then send, too."""

    rights: Rights = Rights(0)
    hears: frozenset[str] = frozenset()

    def joined(self, other: "Grant") -> "Grant":
        """Give both together."""
        return Grant(self.rights | other.rights, self.hears | other.hears)

    def covers(self, other: "Grant") -> bool:
        """Tell whether nothing of `other` is missing here."""
        return other.rights in self.rights and other.hears <= self.hears

    def may_send(self, network: str) -> bool:
        """Tell whether records may be sent on a network."""
        return Rights.TRANSMIT in self.rights and (network != MESH or MESH in self.hears)


def grant(may: Iterable[str], networks: Collection[str] = ()) -> Grant:
    """Give what a rule grants. Its words are `read`, `transmit` and `operate`; without networks each means its own."""
    rights = Rights(0)
    for word in may:
        rights |= Rights[word.upper()]
    hears = set(networks or (NETWORKS if Rights.OPERATE in rights else {MESH}))
    if Rights.TRANSMIT not in rights:
        hears.discard(MESH)
    return Grant(rights, frozenset(hears))


EVERYTHING = grant(("read", "transmit", "operate"))
MEMBERS = grant(("read", "transmit"))


@dataclass(frozen=True, slots=True)
class Rule:
    """What one group (`gid`, with its name for people) or one user (`uid`) may do."""

    gives: Grant
    gid: int | None = None
    uid: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which users and groups have rights; what several give a caller adds up.

    A group that does not exist on this machine has gid None.
    """

    own_uid: int
    member_gid: int | None
    operator_gid: int | None
    member_group: str = "mirosd"
    operator_group: str = "mirosd-admin"
    rules: tuple[Rule, ...] = ()

    def grant_of(self, caller: Credentials) -> Grant:
        """Give what `caller` may do, by uid, primary group and supplementary groups."""
        groups = caller.groups | {caller.gid}
        if caller.uid in (ROOT_UID, self.own_uid) or self.operator_gid in groups:
            return EVERYTHING
        given = MEMBERS if self.member_gid in groups else Grant()
        for rule in self.rules:
            if rule.uid == caller.uid or rule.gid in groups:
                given = given.joined(rule.gives)
        return given

    def require(self, right: Rights, held: Grant, what: str) -> None:
        """Raise NotPermittedError, saying what would permit `what`, unless `right` is among those held."""
        if right not in held.rights:
            word = right.words[0]
            raise self._denial(what, Grant(right), f"may: [{word}]")

    def require_hearing(self, network: str, held: Grant, what: str) -> None:
        """The same, unless a network (its name) may be subscribed to."""
        if network not in held.hears:
            word = "transmit" if network == MESH else "read"
            raise self._denial(what, Grant(hears=frozenset({network})), f"may: [{word}], networks: [{network}]")

    def require_sending(self, network: str, held: Grant, what: str) -> None:
        """The same, unless records may be sent on a network (its name)."""
        if not held.may_send(network):
            missing = Grant(Rights.TRANSMIT, frozenset({network} & {MESH}))
            raise self._denial(what, missing, f"may: [transmit], networks: [{network}]")

    def _denial(self, what: str, missing: Grant, words: str) -> NotPermittedError:
        """Say what would permit it: a group to which a rule gives it, else one of the two; or another rule."""
        named = [rule.name for rule in self.rules if rule.name and rule.gives.covers(missing)]
        groups = dict.fromkeys((*named, self.member_group if MEMBERS.covers(missing) else "", self.operator_group))
        first, *others = filter(None, groups)
        also = f" (or {', '.join(others)})" if named else ""
        return NotPermittedError(
            f'{what} needs group {first}{also}: sudo usermod -aG {first} "$USER", and log in again (groups are read at '
            f"login); or a rule under `rights` in the daemon's configuration: {{user: NAME, {words}}}; or ask as root"
        )
