"""An event from another chart or client, as a plain program gets it."""

from typing import Any, NamedTuple

from mirosd_client.record import Record


class Received(NamedTuple):
    """What a subscription's callback is given.

    `source` is "client id:chart number"; `hlc` as in hlc.py; `age_ms` is how old the
    event was when its sender handed it to the sender's daemon.
    """

    signal: str
    payload: Any
    source: str
    hlc: int
    age_ms: int


def received(record: Record, payload: Any) -> Received:
    """Give a record with its payload decoded."""
    return Received(record.signal, payload, source_text(record), record.hlc, record.age_ms)


def source_text(record: Record) -> str:
    """Give an event's source for people and programs: `client id:chart number`."""
    return f"{record.client.hex()}:{record.chart}"
