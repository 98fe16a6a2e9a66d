"""Tells systemd how the service is: started, reloading, stopping, alive, and one line for `systemctl status`.

Without a service manager (no $NOTIFY_SOCKET) it is silent. It goes through systemd-python,
an extra because it has no wheel; where the manager listens and the module is missing, one
warning says so, as `Type=notify` would wait in vain.
"""

import importlib
import os
from collections.abc import Mapping
from types import ModuleType

import structlog

from mirosd_client.printable import printable

log = structlog.get_logger()


class Notifier:
    """The way to the service manager. Thread: any; a message is one datagram and never waits for an answer.

    `watchdog_s` is for how many seconds it waits for keep_alive() before it ends us; None: for ever.
    """

    def __init__(self) -> None:
        self._daemon = _systemd_daemon() if os.environ.get("NOTIFY_SOCKET") else None
        self.watchdog_s = _watchdog_s(os.environ) if self._daemon else None
        self._shown = ""

    def ready(self, text: str = "") -> None:
        """The service works, for the first time or again after reloading()."""
        self._notify("READY=1", text)

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`; again the same costs nothing."""
        if text != self._shown:
            self._notify("", text)

    def keep_alive(self) -> None:
        """The service does its work, at this moment."""
        self._notify("WATCHDOG=1")

    def reloading(self) -> None:
        """The configuration is read again; ready() must follow."""
        self._notify("RELOADING=1")

    def stopping(self, text: str = "") -> None:
        """The service begins to stop."""
        self._notify("STOPPING=1", text)

    def _notify(self, state: str, text: str = "") -> None:
        if self._daemon is None:
            return
        self._shown = text or self._shown
        lines = [line for line in (state, f"STATUS={printable(text)}" if text else "") if line]
        try:
            self._daemon.notify("\n".join(lines))
        except OSError as exc:
            # The manager is a listener, not a condition: without it the service still serves.
            self._daemon = None
            log.warning("systemd_not_notified", reason=str(exc))


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Give what the manager announced to this very process (sd_watchdog_enabled(3)); a child inherits it in vain."""
    usec = environ.get("WATCHDOG_USEC", "")
    is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(usec) / 1e6 if is_ours and usec.isdecimal() and int(usec) else None


def _systemd_daemon() -> ModuleType | None:
    try:
        return importlib.import_module("systemd.daemon")
    except ImportError as exc:
        log.warning(
            "systemd_module_missing",
            reason=str(exc),
            cure="apt install python3-systemd, or pip install mirosd[systemd]; the unit needs it for Type=notify",
        )
        return None
