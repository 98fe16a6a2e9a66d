"""Read and write one JSON file that many processes use.

    file_access_waiting ----------------------------------------------------------------------+
    |  ENTRY / subscribe CACHE_FILE_READ, CACHE_FILE_WRITE, CACHE_FILE_DESTROY                |
    |  CACHE_FILE_READ [everyone's, or mine] / a read is wanted; seek access                  |
    |  CACHE_FILE_WRITE [mine] / this text is to be written; seek access                      |
    |  CACHE_FILE_DESTROY [everyone's, or mine] / unsubscribe; want nothing                   |
    |  file_read, file_write [a text is to be written] -> file_write                          |
    |  file_read, file_write [else, a read is wanted]  -> file_read                           |
    |  +- file_accessed -------------------------------------------------------------------+  |
    |  |  EXIT / seek access, if anything is wanted                                        |  |
    |  |  file_read, file_write: later                                                     |  |
    |  |  file_access_failed [busy] / want it again   -> file_access_waiting               |  |
    |  |  file_access_failed [else] / publish CACHE with the problem -> f._a._waiting      |  |
    |  |   +- file_read: ENTRY / ask; read_successful / publish CACHE -> f._a._waiting     |  |
    |  |   +- file_write: ENTRY / ask; write_successful -> f._a._waiting                   |  |
    |  +-----------------------------------------------------------------------------------+  |
    +-----------------------------------------------------------------------------------------+

Seeking access posts file_read or file_write: at once, or, while other processes keep
the file busy, after a random time whose limit grows to 5 s.

Takes:  CACHE_FILE_READ (None or a file name), CACHE_FILE_WRITE (CacheWritePayload),
        CACHE_FILE_DESTROY (None or a file name); read_successful, write_successful,
        file_access_failed (FileStore)
Gives:  CACHE (CacheReadPayload): one after each wanted read, and one with the problem
        when a read or write fails; a problem's dict is empty and expired
Always: at most one access and one timer at a time. Of several texts that wait the last
        is written. A read that is asked for after a write sees it, or hears why not.
"""

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.core.backoff import Dice, cache_retry_s
from mirosd.core.cache_document import Document, DocumentError, is_expired, parse_object
from mirosd.core.interfaces import FileContent, FileFailure, FileStore
from mirosd.payloads import CacheReadPayload
from mirosd.signals import Private, Public
from mirosd_client.shell import Chart, Event


class CacheFileChart(Chart):
    """One file, in the hands of one chart.

    Args:
        file_path: the file; also what it is called in payloads.
        files: does the reading and writing.
        parse: gives the document of a text, or raises DocumentError.
    """

    def __init__(
        self,
        file_path: str,
        files: FileStore,
        *,
        parse: Callable[[str], Document] = parse_object,
        dice: Dice = random.random,
        live_trace: bool = False,
        live_spy: bool = False,
    ) -> None:
        super().__init__(file_path, instrumented=live_spy)
        self.live_trace, self.live_spy = live_trace, live_spy
        self.file_path = file_path
        self.files = files
        self.is_read_wanted = False
        self.to_write: str | None = None
        self.being_written = ""
        self._parse = parse
        self._dice = dice
        self._busy_attempts = 0
        self._retry: str | None = None

    def start(self) -> None:
        """Start the chart and its thread."""
        self.start_at(file_access_waiting)

    def seek_access(self) -> None:
        """Post the event that opens the file, for a write first; later if it was busy, never twice."""
        if self._retry is not None or (self.to_write is None and not self.is_read_wanted):
            return
        event = Event(signal=Private.file_read if self.to_write is None else Private.file_write)
        if self._busy_attempts:
            wait_s = cache_retry_s(self._busy_attempts - 1, random=self._dice)
            self._retry = self.post_fifo(event, period=wait_s, times=1)
        else:
            self.post_fifo(event)

    def begin_access(self) -> None:
        """The event on its way has come: whatever is wanted next needs another."""
        self.cancel_event(self._retry)
        self._retry = None

    def note_access(self, *, is_busy: bool) -> None:
        """Count how often in a row the file was busy."""
        self._busy_attempts = self._busy_attempts + 1 if is_busy else 0

    def want_nothing(self) -> None:
        """Let go of the file for good."""
        self.unsubscribe_all()
        self.begin_access()
        self.is_read_wanted, self.to_write = False, None

    def take_answer(self, signal: int, payload: Any) -> None:
        """Take an answer of the file store. Thread: any."""
        self.post_fifo(Event(signal=signal, payload=payload))

    def publish_content(self, content: FileContent) -> None:
        """Say what the file holds."""
        try:
            document = self._parse(content.text)
        except DocumentError as exc:
            self.publish_problem(f"{self.file_path} {exc}")
            return
        self._publish(
            CacheReadPayload(
                dict=document,
                last_modified=content.modified_s,
                created_at=datetime.fromtimestamp(content.changed_s).ctime() if content.changed_s else "",
                expired=is_expired(document, modified_s=content.modified_s, now_s=content.now_s),
                file_name=self.file_path,
                age_s=content.now_s - content.modified_s if content.modified_s else 0.0,
            )
        )

    def publish_problem(self, problem: str) -> None:
        """Say why the file could not be read or written."""
        self._publish(CacheReadPayload({}, 0.0, "", True, self.file_path, problem))

    def _publish(self, payload: CacheReadPayload) -> None:
        self.publish(Event(signal=Public.CACHE, payload=payload))


@state
def file_access_waiting(cache: CacheFileChart, e: Event) -> Status:
    """Nobody has the file open."""
    match e.signal:
        case Engine.ENTRY:
            for signal in (Public.CACHE_FILE_READ, Public.CACHE_FILE_WRITE, Public.CACHE_FILE_DESTROY):
                cache.subscribe(signal)
            return HANDLED
        case Public.CACHE_FILE_READ if e.payload in (None, cache.file_path):
            cache.is_read_wanted = True
            cache.seek_access()
            return HANDLED
        case Public.CACHE_FILE_WRITE if e.payload.file_name == cache.file_path:
            cache.to_write = e.payload.json
            cache.seek_access()
            return HANDLED
        case Public.CACHE_FILE_DESTROY if e.payload in (None, cache.file_path):
            cache.want_nothing()
            return HANDLED
        case Private.file_read | Private.file_write:
            cache.begin_access()
            if cache.to_write is not None:
                return cache.trans(file_write)
            return cache.trans(file_read) if cache.is_read_wanted else HANDLED
    return cache.parent(cache.top)


@state
def file_accessed(cache: CacheFileChart, e: Event) -> Status:
    """The file store has been asked, and will answer."""
    match e.signal:
        case Engine.EXIT:
            cache.seek_access()
            return HANDLED
        case Private.file_read | Private.file_write:
            cache.begin_access()  # this was the one on its way; what is wanted is sought again at EXIT
            return HANDLED
        case Private.file_access_failed:
            failure: FileFailure = e.payload
            cache.note_access(is_busy=failure.code == "busy")
            if failure.code != "busy":
                cache.is_read_wanted = False  # whoever asked is answered with the problem
                cache.publish_problem(failure.message)
            return cache.trans(file_access_waiting)
    return cache.parent(file_access_waiting)


@state
def file_read(cache: CacheFileChart, e: Event) -> Status:
    """The file is being read."""
    match e.signal:
        case Engine.ENTRY:
            cache.is_read_wanted = False
            cache.files.read(cache.file_path, cache.take_answer)
            return HANDLED
        case Private.file_access_failed if e.payload.code == "busy":
            cache.is_read_wanted = True
        case Private.read_successful:
            cache.note_access(is_busy=False)
            cache.publish_content(e.payload)
            return cache.trans(file_access_waiting)
    return cache.parent(file_accessed)


@state
def file_write(cache: CacheFileChart, e: Event) -> Status:
    """The file is being replaced."""
    match e.signal:
        case Engine.ENTRY:
            cache.being_written, cache.to_write = cache.to_write or "", None
            cache.files.write(cache.file_path, cache.being_written, cache.take_answer)
            return HANDLED
        case Private.file_access_failed if e.payload.code == "busy" and cache.to_write is None:
            cache.to_write = cache.being_written  # unless a newer text came meanwhile
        case Private.write_successful:
            cache.note_access(is_busy=False)
            return cache.trans(file_access_waiting)
    return cache.parent(file_accessed)
