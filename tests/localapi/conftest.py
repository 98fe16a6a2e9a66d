"""The server that most tests of the local API talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.localapi.live import Live, Raw, running


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server whose every caller may do everything: the tests run as the user that it runs as."""
    with running(tmp_path / "mirosd.sock") as server:
        yield server


@pytest.fixture
def witness(live: Live) -> Iterator[Raw]:
    """A session that must be unharmed whatever another does: checked when the test ends."""
    with live.client("witness") as raw:
        yield raw
        assert raw.is_well()
        assert ("detached",) not in live.sink.of(raw.id)
