"""Every error a caller of this library can meet, each with a stable `code`.

The code is what crosses the local socket, stands in logs and decides an exit
status; the text is for people and says what to do.
"""


class MirosdError(Exception):
    """Base of all errors of this project."""

    code = "error"


class LocalProtocolError(MirosdError):
    """This side asked for something that the protocol cannot say: a bug of the caller."""

    code = "local_protocol"


class RemoteProtocolError(MirosdError):
    """Bytes from the other side are not what the protocol allows.

    Every decoder of the project gives a value or raises this, whatever the bytes.
    """

    def __init__(self, message: str, *, code: str = "malformed") -> None:
        super().__init__(message)
        self.code = code


class DaemonUnavailableError(MirosdError):
    """No daemon answers at any of the sockets tried; the text lists them and says how to start one."""

    code = "daemon_unavailable"


class SilentDaemonError(DaemonUnavailableError):
    """The daemon is connected and said nothing for as long as it was waited for."""


class DaemonRefusedError(MirosdError):
    """The daemon answered a request, or the hello, with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def no_key(network: str) -> str:
    """Give why a host without its key takes no part in a network: the text that goes with the code `no_key`."""
    return f"this host has no {network} key (networks.{network}.key_file)"


class NotPermittedError(DaemonRefusedError):
    """The daemon does not permit this to the caller; the text says what would permit it."""

    code = "not_permitted"

    def __init__(self, message: str) -> None:
        super().__init__(self.code, message)


class PayloadTooLarge(MirosdError):  # noqa: N818 -- the name is part of the documented interface
    """A payload encodes to more than 256 KiB, or is more than 64 levels deep."""

    code = "payload_too_large"


class UnregisteredTypeError(MirosdError, TypeError):
    """A payload holds an object whose type cannot cross a wire; the text names the type."""

    code = "unregistered_type"


class WindowFullError(MirosdError):
    """The window holds `window_bytes` of events that are not yet safe, and `on_full` is "raise"."""

    code = "window_full"


class TooManyReceiptsError(MirosdError):
    """As many receipts as a client may have wait already; the event was not accepted."""

    code = "too_many_receipts"


class ClientClosedError(MirosdError):
    """The client was closed; it accepts no more events."""

    code = "client_closed"


class MirosApiException(MirosdError, TypeError):  # noqa: N818 -- the ancestor's name
    """What was given as a statechart cannot do what one must."""

    code = "miros_api"
