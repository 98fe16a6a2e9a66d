"""Who is connected: one live connection per client id, and bounds per user.

The bounds keep one user's programs from taking the daemon away from others; they are
counted over all connections of a uid, those that are still closing included.
"""

from typing import Protocol

from mirosd_client.errors import DaemonRefusedError

REMEMBERED_OWNERS = 4096
"""Client ids whose uid is remembered after their connection: 64 bytes or so each, so a quarter of a megabyte."""

LINES_PER_PERIOD = 20
"""Lines of log about one uid's connections: nobody reads more, and a loop that is refused fills no disk."""

PERIOD_S = 60.0
"""A minute, after which a uid has as many lines again."""

REMEMBERED_TALKS = 1024
"""Uids whose lines are counted: more than a host has users."""


class Member(Protocol):
    """What the census must know of a session."""

    uid: int

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait for the client to read."""

    @property
    def subscription_count(self) -> int:
        """Subscriptions asked for and not refused or ended."""

    def is_peer_gone(self) -> bool:
        """True when the other end has closed, though the loop may not have heard of it yet."""

    def drop(self) -> None:
        """Drop the connection at once, unsent bytes and all."""

    def overrun(self, message: str) -> None:
        """Drop the connection because its client does not read."""


class _Talk:
    """How much was said of a uid of late."""

    def __init__(self, began_s: float) -> None:
        self.began_s, self.lines, self.unsaid = began_s, 0, 0


class Census:
    """All sessions, by uid and by client id. Thread: loop."""

    def __init__(self, *, connections_per_uid: int, queues_per_uid: int, unsent_bytes_per_uid: int) -> None:
        self._connections_per_uid = connections_per_uid
        self._queues_per_uid = queues_per_uid
        self._unsent_bytes_per_uid = unsent_bytes_per_uid
        self._members: dict[int, set[Member]] = {}
        self._holders: dict[bytes, Member] = {}
        self._owners: dict[bytes, int] = {}  # oldest first
        self._talks: dict[int, _Talk] = {}  # oldest first

    def enter(self, member: Member) -> None:
        """Count a connection in, until `leave`; DaemonRefusedError("too_many_connections") above the bound."""
        company = self._members.setdefault(member.uid, set())
        company.add(member)
        if len(company) > self._connections_per_uid:
            raise DaemonRefusedError(
                "too_many_connections",
                f"uid {member.uid} has {self._connections_per_uid} connections already (limits.connections_per_uid); "
                "close some, or share one Client among the charts of a program",
            )

    def leave(self, member: Member) -> None:
        """Count a connection out when its transport is gone."""
        company = self._members[member.uid]
        company.discard(member)
        if not company:
            del self._members[member.uid]

    def claim(self, member: Member, client_id: bytes) -> None:
        """Make `member` the one live connection of `client_id`.

        An old connection whose other end is gone makes room: a client may be back
        before the loop has read the end of its last connection.

        Raises:
            DaemonRefusedError: `already_connected` while another connection lives, or
                `foreign_client` when the id belongs to another user.
        """
        if self._owners.get(client_id, member.uid) != member.uid:
            raise DaemonRefusedError("foreign_client", "this client id belongs to another user; draw a new secret")
        holder = self._holders.get(client_id)
        if holder is not None:
            if not holder.is_peer_gone():
                raise DaemonRefusedError(
                    "already_connected",
                    "this client id has a live connection; each process draws its own secret, and again after fork",
                )
            holder.drop()
        self._holders[client_id] = member
        self._owners.pop(client_id, None)
        self._owners[client_id] = member.uid
        if len(self._owners) > REMEMBERED_OWNERS:
            del self._owners[next(iter(self._owners))]

    def release(self, member: Member, client_id: bytes) -> None:
        """Give a client id back, if `member` holds it."""
        if self._holders.get(client_id) is member:
            del self._holders[client_id]

    def check_queues(self, member: Member) -> None:
        """Raise DaemonRefusedError("too_many_subscriptions") when the uid may not have one more."""
        if sum(one.subscription_count for one in self._members[member.uid]) >= self._queues_per_uid:
            raise DaemonRefusedError(
                "too_many_subscriptions",
                f"uid {member.uid} has {self._queues_per_uid} subscriptions already (limits.queues_per_uid)",
            )

    def check_unsent(self, member: Member) -> None:
        """Drop the uid's slowest readers until what waits for the others is within the bound."""
        company = self._members[member.uid]
        unsent_bytes = sum(one.unsent_bytes for one in company)
        for slowest in sorted(company, key=lambda one: one.unsent_bytes, reverse=True):
            if unsent_bytes <= self._unsent_bytes_per_uid:
                return
            unsent_bytes -= slowest.unsent_bytes
            slowest.overrun(
                f"uid {member.uid} leaves more than {self._unsent_bytes_per_uid} bytes unread "
                "(limits.unsent_bytes_per_uid); this connection had the most"
            )

    def say(self, uid: int, now_s: float) -> int | None:
        """Count a line of log about a uid's connections; None: it is one too many, else how many were unsaid before.

        Args:
            now_s: monotonic.
        """
        talk = self._talks.pop(uid, None) or _Talk(now_s)
        self._talks[uid] = talk
        if len(self._talks) > REMEMBERED_TALKS:
            del self._talks[next(iter(self._talks))]
        if now_s - talk.began_s >= PERIOD_S:
            talk.began_s, talk.lines = now_s, 0
        if talk.lines >= LINES_PER_PERIOD:
            talk.unsaid += 1
            return None
        unsaid, talk.unsaid = talk.unsaid, 0
        talk.lines += 1
        return unsaid

    def members(self) -> list[Member]:
        """Every connection whose transport is not gone."""
        return [member for company in self._members.values() for member in company]
