"""An event from another chart or client, as a plain program gets it."""

import logging
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from mirosd_client import codec
from mirosd_client.cause import HANDLING
from mirosd_client.errors import RemoteProtocolError
from mirosd_client.event_id import Addressee, EventId
from mirosd_client.fault import as_fault
from mirosd_client.record import Record

log = logging.getLogger("mirosd_client.client")


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


_make_received: Callable[[tuple[Any, ...]], Received] = partial(tuple.__new__, Received)
"""Makes a Received of its fields, in half the time of the call of its class."""


def source_text(record: Record) -> str:
    """Give an event's source for people and programs: `client id:chart number`."""
    return _source_text(record.client, record.chart)


@lru_cache(maxsize=1024)
def _source_text(client: bytes, chart: int) -> str:
    return f"{client.hex()}:{chart}"


def taker(
    callback: Callable[[Received], object], count: Callable[[str], None], me: Addressee
) -> Callable[[Record], None]:
    """Give what decodes a record and calls back with it; what goes wrong is counted by reason, and raises nothing.

    While the callback runs this thread handles the event. What is meant for another than `me` is left out.
    """

    def take(record: Record) -> None:
        client, chart, sequence, hlc, age_ms, content_type, signal, extension, data = record
        if extension and record.addressee not in {None, me}:
            count("not_addressed")
            return
        if content_type != codec.CONTENT_TYPE:
            count("no_deserializer")
            return
        try:
            payload = codec.decode(data)
        except RemoteProtocolError:
            count("undecodable")
            return
        HANDLING.event = EventId(client, chart, sequence)
        try:
            callback(_make_received((signal, payload, _source_text(client, chart), hlc, age_ms)))
        except (Exception, SystemExit) as error:  # the program's own code may raise anything
            count("callback_failed")
            log.exception("the callback for %a failed", record.signal, exc_info=as_fault(error))
        finally:
            HANDLING.event = None  # nothing is taken while another event is

    return take
