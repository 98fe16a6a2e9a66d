"""What the checks look at: what the daemon says, where one answers, and the machine beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from mirosctl.checks.ailment import Finding
from mirosd_client.errors import DaemonUnavailableError, MirosdError

Row = dict[str, Any]


class Greeting(NamedTuple):
    """What came of saying hello to a broker.

    `code`: "" it greeted, "slow" it took the connection and said nothing in time, "refused", "silent", "unreachable",
    "amqp" what answers is no broker. `took_s`: until then.
    """

    code: str
    took_s: float


class Machine(Protocol):
    """The machine, as far as a user may look at it. None: this machine cannot tell."""

    def unit(self) -> Mapping[str, str] | None:
        """Give what systemd says of mirosd.service, by its names of properties."""

    def config_faults(self) -> Sequence[str] | None:
        """Give what `mirosd --check` finds wrong with the configuration."""

    def access(self, path: str) -> "Access | None":
        """Give who may use a socket, and who asks."""

    def key_file(self, path: str) -> "KeyFile | None":
        """Give who may read a key; None: it is hidden from this user."""

    def greet(self, host: str, port: int) -> Greeting:
        """Say hello to a broker that the daemon knows, as AMQP does. Thread: any."""

    def is_wsl(self) -> bool:
        """Say whether this is a Linux of Windows' subsystem."""

    def clock_is_set(self) -> bool | None:
        """Say whether the clock is kept right by NTP."""


class Access(NamedTuple):
    """Who may use a socket, and who asks. `group` "" is one without a name; `is_hidden`: its directory is closed.

    `is_member`: the user is in the group by the user database, `holds_group` this login is.
    """

    user: str
    group: str
    mode: int
    is_member: bool
    holds_group: bool
    is_hidden: bool = False


class KeyFile(NamedTuple):
    """Who may read a key. `exists` False: nobody."""

    exists: bool
    mode: int = 0
    group: str = ""


@dataclass
class Said:
    """What a daemon said of itself, in the order in which it was asked.

    `search`: what each address answered to a search of the LAN; None when there was none, since `unsearched`.
    `after`: the status behind that search.
    """

    rights: frozenset[str]
    status: Row
    peers: list[Row]
    clients: list[Row]
    search: list[Row] | None
    unsearched: str
    after: Row

    def counted(self, counter: str) -> int:
        """Give what a counter has counted since the daemon's start."""
        return int(self.after["counters"].get(counter, 0))

    def rose(self, counter: str) -> int:
        """Give by how much a counter rose during the search."""
        return self.counted(counter) - int(self.status["counters"].get(counter, 0))

    @property
    def reasons(self) -> dict[str, str]:
        """Why the daemon is degraded: code and detail."""
        return {reason["code"]: reason.get("detail", "") for reason in self.after["reasons"]}

    @property
    def is_connected(self) -> bool:
        """Whether its own broker is there."""
        return bool(self.after["broker"]["state"] == "connected")


@dataclass
class Patient:
    """All that the checks look at.

    Attributes:
        socket: where a daemon was looked for.
        refusal: why no daemon answered; None when one did, and `said` is there.
        is_named: somebody has named the socket, so it need not be the service's.
        found: what the checks before found, by their names.
    """

    machine: Machine
    socket: tuple[str, ...]
    said: Said | None = None
    refusal: MirosdError | None = None
    is_named: bool = False
    found: dict[str, list[Finding]] = field(default_factory=dict)

    @property
    def is_service_gone(self) -> bool:
        """Whether no daemon is there where the service's would be, so that its files may say why."""
        return isinstance(self.refusal, DaemonUnavailableError) and not self.is_named

    def is_well(self, check: str) -> bool:
        """Say whether a check before this one found no fault."""
        return all(finding.level != "fault" for finding in self.found.get(check, []))


Check = Callable[[Patient], Sequence[Finding]]
