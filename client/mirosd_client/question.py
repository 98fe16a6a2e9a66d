"""An ask that waits for its answer."""

import threading
from typing import Any

from mirosd_client.errors import DaemonUnavailableError, MirosdError
from mirosd_client.messages import Ask


class Question:
    """An ask that waits for its answer. `rows` and `result` are valid once `answered` is set without `error`."""

    def __init__(self, request: Ask) -> None:
        self.request = request
        self.rows: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {}
        self.error: MirosdError | None = None
        self.answered = threading.Event()

    def wait(self, timeout_s: float) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Wait for the answer; gives its rows and its result.

        Raises:
            DaemonUnavailableError: it did not come in time.
            MirosdError: what the question failed with.
        """
        if not self.answered.wait(timeout_s):
            raise DaemonUnavailableError(f"mirosd did not answer {self.request.verb!r} within {timeout_s} s")
        if self.error is not None:
            raise self.error
        return self.rows, self.result

    def fail(self, error: MirosdError) -> None:
        """There will be no answer."""
        self.error = error
        self.answered.set()
