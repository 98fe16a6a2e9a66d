"""Who may do what at the local socket: pure, from what the kernel says of the caller.

| caller                                              | read | transmit | operate |
|-----------------------------------------------------|------|----------|---------|
| root, the daemon's own user, group `mirosd-admin`    | yes  | yes      | yes     |
| group `mirosd`                                      | yes  | yes      |         |
| anyone else (only where the socket's mode lets them) |      |          |         |

The daemon's own user operates so that people can run a mirosd of their own. Members
of the group may bind `#` and so read each other's events: they trust each other.
"""

from dataclasses import dataclass
from enum import Flag, auto

from mirosd.core.interfaces import Credentials
from mirosd.errors import NotPermittedError

ROOT_UID = 0


class Rights(Flag):
    """What a caller may do; `Rights(0)` is nothing."""

    READ = auto()  # this host's status, peers and hosts
    TRANSMIT = auto()  # send events and subscribe to them
    OPERATE = auto()  # change what the daemon does

    @property
    def words(self) -> list[str]:
        """The rights as a Welcome says them."""
        return [str(right.name).lower() for right in self]


@dataclass(frozen=True, slots=True)
class Policy:
    """Which users and groups have rights. A group that does not exist on this machine has gid None."""

    own_uid: int
    member_gid: int | None
    operator_gid: int | None
    member_group: str = "mirosd"
    operator_group: str = "mirosd-admin"

    def rights_of(self, caller: Credentials) -> Rights:
        """Give what `caller` may do, by uid, primary group and supplementary groups."""
        groups = caller.groups | {caller.gid}
        if caller.uid in (ROOT_UID, self.own_uid) or self.operator_gid in groups:
            return Rights.READ | Rights.TRANSMIT | Rights.OPERATE
        if self.member_gid in groups:
            return Rights.READ | Rights.TRANSMIT
        return Rights(0)

    def require(self, right: Rights, held: Rights, what: str) -> None:
        """Raise NotPermittedError, saying what would permit `what`, unless `right` is among those held."""
        if right in held:
            return
        group = self.operator_group if right is Rights.OPERATE else self.member_group
        raise NotPermittedError(
            f'{what} needs group {group}: sudo usermod -aG {group} "$USER", and log in again '
            "(groups are read at login); or ask as root"
        )
