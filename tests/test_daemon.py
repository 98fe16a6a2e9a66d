"""The composer's own few decisions; what it composes is seen in tests/e2e."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mirosd import logs
from mirosd.core.settings import DiscoverySettings, LogSettings, RightsRule, Settings
from mirosd.daemon import Daemon
from mirosd.errors import ConfigError


def test_a_reload_says_what_takes_effect_with_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log's level and the rules change at once; every other section that was changed is named."""
    levels: list[str] = []
    monkeypatch.setattr(logs, "configure", lambda _format, level: levels.append(level))
    edited = replace(
        Settings(),
        system="other",
        discovery=DiscoverySettings(aliens="deny"),
        log=LogSettings(level="debug"),
        rights=(RightsRule(user="0", may=("read",)),),
    )
    with capture_logs() as lines:
        Daemon(Settings()).reload(lambda: edited)

    assert ["debug"] == levels
    assert [["system", "discovery"]] == [line["restart_needed_for"] for line in lines if line["event"] == "reloaded"]


def test_a_reload_that_is_refused_is_an_error() -> None:
    """What is wrong with the file is in no effect yet, and would be at the next start: somebody must correct it."""

    def load() -> Settings:
        raise ConfigError(["line 1: no"])

    with capture_logs() as lines:
        Daemon(Settings()).reload(load)

    assert [("error", "reload_refused", ["line 1: no"])] == [
        (line["log_level"], line["event"], line["faults"]) for line in lines
    ]
