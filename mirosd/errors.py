"""Errors of the daemon beside those it shares with its clients (mirosd_client.errors)."""

from mirosd_client.errors import LocalProtocolError, MirosdError, NotPermittedError, RemoteProtocolError

__all__ = [
    "BrokerError",
    "ConfigError",
    "LocalProtocolError",
    "MirosdError",
    "NotPermittedError",
    "RemoteProtocolError",
    "StartError",
]


class BrokerError(MirosdError):
    """A broker could not be reached, refused us, or was lost.

    Attributes:
        code: a scouting stage with its detail, as in `mirosctl peers --why`:
            resolve, tcp(refused), tcp(silent), tls, amqp, amqp(slow), auth, guest_remote,
            vhost, exchange, lost, closed, blocked; unproved before all of them (backends.guarded).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ConfigError(MirosdError):
    """The configuration file cannot be used; `faults` lists every reason, each with its line."""

    code = "config"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class StartError(MirosdError):
    """The daemon cannot start here; the text says what stands in the way and what to do."""

    code = "start"
