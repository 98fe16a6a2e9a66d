"""An ask that waits for its answer."""

import threading
from typing import Any

from mirosd_client.errors import MirosdError
from mirosd_client.messages import Ask


class Question:
    """An ask that waits for its answer. `rows` and `result` are valid once `answered` is set without `error`."""

    def __init__(self, request: Ask) -> None:
        self.request = request
        self.rows: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {}
        self.error: MirosdError | None = None
        self.answered = threading.Event()

    def fail(self, error: MirosdError) -> None:
        """There will be no answer."""
        self.error = error
        self.answered.set()
