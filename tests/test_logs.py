"""Log lines: one an event, safe to show, in the form that its reader wants."""

import asyncio
import contextlib
import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest
import structlog

from mirosd import logs
from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_errors import REPORTED
from mirosd.backends.journal import Journal
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError
from mirosd.logs import LogOnChange, configure
from tests.backends.fake_broker import FakeBroker


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_put_back() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    for name in ("pika", "pika.channel"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def raise_(error: Exception) -> None:
    """Give a traceback something to show."""
    raise error


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    """Give the JSON lines that were written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("stream", "environ", "is_json"),
    [
        (Terminal(), {}, False),
        (io.StringIO(), {}, True),
        (Terminal(), {"JOURNAL_STREAM": "8:1"}, True),
        (Terminal(), {"INVOCATION_ID": "a"}, True),
    ],
)
def test_auto_is_json_unless_a_person_looks(stream: io.StringIO, environ: dict[str, str], is_json: bool) -> None:
    """Columns go to a terminal that is not systemd's, JSON everywhere else."""
    configure("auto", stream=stream, environ=environ)
    structlog.get_logger().info("peer_lost", peer="h2")

    assert stream.getvalue().startswith("{") == is_json
    assert "peer_lost" in stream.getvalue()


def test_a_json_line_holds_event_level_time_and_data() -> None:
    """A line for machines has the event's name, its level, its time and its keys."""
    stream = io.StringIO()
    configure("json", stream=stream)
    structlog.get_logger().warning("peer_lost", peer="h2", after_s=1.5)

    (line,) = lines_of(stream)
    assert line.pop("timestamp")
    assert line == {"event": "peer_lost", "level": "warning", "peer": "h2", "after_s": 1.5}


def test_lines_below_the_level_are_not_written() -> None:
    """The level holds for our lines and for those of libraries."""
    stream = io.StringIO()
    configure("json", "warning", stream=stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("mirosd_client.shell").info("quiet")
    logging.getLogger("mirosd_client.shell").warning("loud %d", 1)

    assert [(line["event"], line["logger"]) for line in lines_of(stream)] == [("loud 1", "mirosd_client.shell")]


def test_a_full_disk_fails_nobody_who_logs() -> None:
    """What it does not take is lost, and who had it to say goes on with its work."""
    with Path("/dev/full").open("w", buffering=1) as full:
        configure("json", stream=full)
        structlog.get_logger().warning("peer_lost", peer="h2")
        with contextlib.suppress(OSError):
            full.close()


def test_configuring_again_replaces() -> None:
    """After a second configure each line is written once, to the new stream, also by loggers in use."""
    old, new = io.StringIO(), io.StringIO()
    log = structlog.get_logger()
    configure("json", "warning", stream=old)
    log.warning("one")
    configure("json", "debug", stream=new)
    log.debug("two")
    logging.getLogger("x").warning("three")

    assert [line["event"] for line in lines_of(old)] == ["one"]
    assert [line["event"] for line in lines_of(new)] == ["two", "three"]


def test_control_characters_do_not_reach_a_terminal() -> None:
    """What another host says cannot move the cursor of whoever reads the log; a traceback keeps its lines."""
    stream = io.StringIO()
    configure("console", stream=stream)
    try:
        raise_(ValueError("evil\x1b[2J"))
    except ValueError:
        structlog.get_logger().exception("peer\x1b_lost", name="a\x1b]0;x\x07\n\u202eb", names=["\x1b"])

    assert stream.getvalue().count("\N{REPLACEMENT CHARACTER}") == 7
    assert all(char.isprintable() or char == "\n" for char in stream.getvalue())
    assert "\nTraceback" in stream.getvalue()


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Have standard error lead to a journal, and give its entries: the value of each field."""
    made: list[dict[str, str]] = []

    def send(*fields: str) -> None:
        made.append(dict(field.partition("=")[::2] for field in fields))

    monkeypatch.setattr(logs, "open_journal", lambda stream, _environ: Journal(send, stream))
    configure("auto", "debug", stream=io.StringIO())
    return made


def test_the_journal_gets_a_line_for_people_and_each_key_apart(entries: list[dict[str, str]]) -> None:
    """Texts stay as they are, whatever else is JSON; the time is the journal's own."""
    structlog.get_logger().warning("peer_changed", peer="h2", after_s=1.5, why="it is gone", hosts=["a", "b"], was="")

    assert [
        {
            "MESSAGE": 'peer_changed peer=h2 after_s=1.5 why="it is gone" hosts=["a", "b"] was=""',
            "PRIORITY": "4",
            "SYSLOG_IDENTIFIER": "mirosd",
            "MIROSD_EVENT": "peer_changed",
            "MIROSD_PEER": "h2",
            "MIROSD_AFTER_S": "1.5",
            "MIROSD_WHY": "it is gone",
            "MIROSD_HOSTS": '["a", "b"]',
            "MIROSD_WAS": "",
        }
    ] == entries


def test_the_journal_gets_tracebacks_and_no_control_characters(entries: list[dict[str, str]]) -> None:
    """A traceback follows the line; what another host says can move no cursor of `journalctl -a`."""
    try:
        raise_(ValueError("evil\x1b[2J"))
    except ValueError:
        structlog.get_logger().exception("failed", peer="a\x1b]0;x\x07")
    logging.getLogger("pika").error("gone")

    assert ["3", "3"] == [entry["PRIORITY"] for entry in entries]
    assert entries[0]["MESSAGE"].startswith(
        "failed peer=a\N{REPLACEMENT CHARACTER}]0;x\N{REPLACEMENT CHARACTER}\nTraceback"
    )
    assert "\x1b" not in "".join(entries[0].values())
    assert ("gone", "pika") == (entries[1]["MIROSD_EVENT"], entries[1]["MIROSD_LOGGER"])


def test_no_account_comes_into_the_journal(entries: list[dict[str, str]]) -> None:
    """URLs lose their accounts wherever they stand: in a list, in a traceback, in a field and in the line."""
    try:
        raise_(OSError("amqp://bob:hunter2@h"))
    except OSError:
        structlog.get_logger().exception("failed", urls=["amqp://bob:hunter2@h", {"url": "amqps://bob:hunter2@h"}])

    assert "hunter2" not in json.dumps(entries)
    assert '["amqp://***@h", {"url": "amqps://***@h"}]' == entries[0]["MIROSD_URLS"]


def test_a_format_that_was_asked_for_is_kept(entries: list[dict[str, str]]) -> None:
    """`log.format: json` is JSON, whatever standard error leads to."""
    stream = io.StringIO()
    configure("json", stream=stream)
    structlog.get_logger().info("peer_lost")

    assert [] == entries
    assert "peer_lost" == lines_of(stream)[0]["event"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_journal_knows_the_level_of_a_text(tmp_path: Path, form: str) -> None:
    """Where a form was asked for, each line begins with its priority, which journald takes off (sd-daemon(3))."""
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        configure(form, stream=stream, environ={"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        structlog.get_logger().warning("peer_lost", peer="h2")
        try:
            raise_(ValueError("evil"))
        except ValueError:
            structlog.get_logger().exception("failed")
    warned, *failed = (tmp_path / "stream").read_text().splitlines()

    assert warned.startswith("<4>") and "peer_lost" in warned
    assert {"<3>"} == {line[:3] for line in failed}
    assert (form == "console") == (len(failed) > 1)


def test_what_pika_reports_is_told_once() -> None:
    """A broker that hangs up is a BrokerError, told of by who gets it; pika's words for it are for debugging."""
    told, debugged = io.StringIO(), io.StringIO()
    for level, stream in (("info", told), ("debug", debugged)):
        configure("json", level, stream=stream)
        with FakeBroker() as broker:
            address = BrokerAddress(broker.address, broker.port, user="bob", password="hunter2")
            opening = AmqpConnector().open(address, deadline_s=30.0, name="t", on_lost=lambda _: None)
            with pytest.raises(BrokerError):
                asyncio.run(opening)
    levels = [line["level"] for line in lines_of(debugged) if str(line["logger"]).startswith("pika.")]

    assert [] == lines_of(told)
    assert {"debug"} == set(levels)


def test_what_pika_reports_is_still_there() -> None:
    """Each function that is named has something to say in the pika that is installed."""
    kinds = (pika.channel.Channel, pika.connection.Connection, pika.adapters.base_connection.BaseConnection)

    assert [] == [name for name in REPORTED if not any(hasattr(kind, name) for kind in kinds)]


def test_pika_tells_no_parameters_and_no_password() -> None:
    """Nothing below a warning; objects show as their types, URLs and tracebacks without their accounts."""
    stream = io.StringIO()
    configure("json", "debug", stream=stream)
    log = logging.getLogger("pika.adapters")
    log.info("quiet %s", "amqp://bob:hunter2@h")
    log.error("failed %r %s %i", {"password": "hunter2"}, "amqp://bob:hunter2@h/x", 7)
    log.error("failed %r", pika.ConnectionParameters(credentials=pika.PlainCredentials("bob", "hunter2")))
    try:
        raise_(OSError("amqp://bob:hunter2@h"))
    except OSError:
        log.exception("failed")

    assert [line["event"] for line in lines_of(stream)] == [
        "failed '<dict>' amqp://***@h/x 7",
        "failed '<ConnectionParameters>'",
        "failed",
    ]
    assert "hunter2" not in stream.getvalue()


def test_a_channel_that_a_broker_closes_is_told_by_who_used_it() -> None:
    """Whether a queue is there is asked by a call that closes a channel if it is not: no warning in the journal."""
    stream = io.StringIO()
    configure("json", stream=stream)
    log = logging.getLogger(pika.channel.__name__)
    log.warning("Received remote Channel.Close (404): 'NOT_FOUND - no queue'")
    log.error("Unexpected delivery")

    assert [line["event"] for line in lines_of(stream)] == ["Unexpected delivery"]


def test_a_library_whose_format_does_not_fit_is_still_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong log call of a library ends nothing and loses nothing but its arguments."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own raises at such a call
    stream = io.StringIO()
    configure("json", stream=stream)
    logging.getLogger("pika").error("got %d", "seven")

    assert [line["event"] for line in lines_of(stream)] == ["got %d"]


def test_a_repetition_is_not_logged() -> None:
    """An event is logged when its key's value changes, and again after the key was forgotten."""
    stream = io.StringIO()
    configure("json", stream=stream)
    changes = LogOnChange()
    for key, value in [("h2", "refused"), ("h2", "refused"), ("h3", "refused"), ("h2", "silent"), ("h2", "silent")]:
        changes.log(logging.WARNING, "broker_unreachable", key=key, value=value, host=key, code=value)
    changes.forget("h2")
    changes.log(logging.INFO, "broker_unreachable", key="h2", value="silent", host="h2", code="silent")

    assert [(line["level"], line["host"], line["code"]) for line in lines_of(stream)] == [
        ("warning", "h2", "refused"),
        ("warning", "h3", "refused"),
        ("warning", "h2", "silent"),
        ("info", "h2", "silent"),
    ]
