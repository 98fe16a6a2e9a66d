"""How the daemon speaks to its operator: one event a line, its data in keys.

An event is a constant name in the past tense ("peer_lost"), never a sentence with values
in it, so that it can be searched for. JSON for machines, columns for a terminal, fields for
systemd's journal (`journalctl MIROSD_PEER=h2`). Messages of libraries that use `logging` come
out the same way. The level says who is called: by an error somebody, who must do something; by
a warning whoever looks after it, as it may need something; by what is only life, nobody (info).
"""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Hashable, Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from mirosd.backends.amqp_errors import is_reported
from mirosd.backends.journal import leads_to_journal, open_journal, prefixed
from mirosd_client.printable import printable, printable_deep, without_account


def configure(
    format: str = "auto",
    level: str = "info",
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Send every log line of this process to `stream` (default: standard error); again replaces what was set.

    Args:
        format: `json`, `console`, or `auto`: into systemd's journal where `stream` leads there, console on a terminal
            that is not systemd's, else json. The journal takes the level of each line in every form.
        level: `debug`, `info`, `warning` or `error`; lines below it cost next to nothing.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    journal = open_journal(stream, environ) if format == "auto" else None
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_accounts,
            *([_make_printable, _as_entry] if journal else _rendering(format, stream, environ)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=(lambda *_name: journal) if journal else _outlet(stream),
        cache_logger_on_first_use=False,  # so that a reload's level reaches loggers that are in use
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Forward)]
    root.addHandler(_Forward())
    root.setLevel(number)
    logging.getLogger("pika").setLevel(max(number, logging.WARNING))  # below, it tells every frame and its parameters
    logging.getLogger("pika.channel").setLevel(logging.ERROR)  # below, what a broker refuses, which is an error of ours


def _outlet(stream: TextIO) -> structlog.WriteLoggerFactory:
    return structlog.WriteLoggerFactory(_Outlet(stream))  # type: ignore[arg-type]  # which only writes and flushes


class _Outlet:
    """A stream that can be written to, always: a line that a full disk does not take must not fail who has a say."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, if it can be."""
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Have it written, if it can be: what a buffer keeps is tried again with the next line."""
        with contextlib.suppress(OSError):
            self._stream.flush()


class LogOnChange:
    """Logs an event when the value of its key is another than the last time: for what is tried again and again.

    Thread: any; two at once may log the same change twice.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        self._last: dict[Hashable, Hashable] = {}

    def log(self, level: int, event: str, *, key: Hashable, value: Hashable, **data: Any) -> None:
        """Log `event` with `data` unless `value` is what `key` had before. Levels are those of `logging`."""
        if key in self._last and self._last[key] == value:
            return
        self._last[key] = value
        self._log.log(level, event, **data)

    def forget(self, key: Hashable) -> None:
        """Let go of a key that is over: its next value is a change."""
        self._last.pop(key, None)


def _rendering(format: str, stream: TextIO, environ: Mapping[str, str]) -> list[Processor]:
    under_systemd = "JOURNAL_STREAM" in environ or "INVOCATION_ID" in environ
    if format == "auto":
        format = "json" if under_systemd or not stream.isatty() else "console"
    processors: list[Processor] = (
        [structlog.processors.JSONRenderer()]
        if format == "json"
        else [_make_printable, structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    )
    return [*processors, _with_priority] if leads_to_journal(stream, environ) else processors


def _with_priority(_logger: Any, method: str, rendered: Any) -> str:
    """Have the journal know the level of what comes to it as a text."""
    return prefixed(method, str(rendered))


def _without_accounts(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    """Take user and password out of every URL, tracebacks included: the last guard, not the only one."""
    return {key: _account_free(value) for key, value in event_dict.items()}


def _account_free(value: Any) -> Any:
    if isinstance(value, str):
        return without_account(value)
    if isinstance(value, dict):
        return {key: _account_free(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_account_free(item) for item in value]
    return value


def _as_entry(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    """Give what the journal takes: the line as people read it, and each key of it as a field."""
    level, event, traceback = (str(event_dict.pop(key, "")) for key in ("level", "event", "exception"))
    event_dict.pop("timestamp")  # the journal has its own
    message = " ".join([event, *(f"{key}={_quoted(value)}" for key, value in event_dict.items())])
    return {
        "level": level,
        "message": f"{message}\n{traceback}" if traceback else message,
        "fields": {"event": event} | {key: _text(value) for key, value in event_dict.items()},
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _quoted(value: object) -> str:
    is_word = isinstance(value, str) and value and " " not in value
    return str(value) if is_word else json.dumps(value, default=str, ensure_ascii=False)


def _make_printable(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    """Replace control characters; a traceback keeps its lines. JSON needs none of this: it escapes them."""
    traceback = str(event_dict.pop("exception", ""))
    clean = {printable(key): printable_deep(value) for key, value in event_dict.items()}
    if traceback:
        clean["exception"] = "\n".join(printable(line) for line in traceback.splitlines())
    return clean


class _Forward(logging.Handler):
    """Takes what libraries log into structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record's message under its logger's name; what is told by us as well is for debugging."""
        if record.name.partition(".")[0] == "pika":
            record.args = tuple(_harmless(arg) for arg in record.args) if isinstance(record.args, tuple) else ()
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # a library's format and arguments do not fit: its text is all there is
            message = str(record.msg)
        data: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0]:
            data["exc_info"] = record.exc_info
        structlog.get_logger().log(logging.DEBUG if is_reported(record) else record.levelno, message, **data)


def _harmless(arg: object) -> object:
    """Give a number or text as it is and anything else by its type: an object may print what it holds."""
    return arg if isinstance(arg, int | float | str | BaseException) else f"<{type(arg).__name__}>"
