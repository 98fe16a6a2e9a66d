"""mirosctl cache."""

import json
from typing import Any

import pytest

from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

CACHE: dict[str, Any] = {
    "addresses": ["10.0.0.7", "[fe80::1%eth0]"],
    "amqp_urls": ["amqp://10.0.0.7:5672/", "amqp://[fe80::1%25eth0]:5672/"],
    "time_out_in_minutes": 30,
    "age_s": 720.0,
    "expires_s": 1080.0,
    "problem": "",
}


def shown(daemon: FakeDaemon, run: Run, **fields: Any) -> list[str]:
    """Give what is shown of a cache, each run of spaces as one."""
    daemon.answers["cache_show"] = ([], CACHE | fields)
    return [" ".join(line.split()) for line in run("cache", "show").stdout.splitlines()]


def test_a_cache_is_shown_with_its_age_and_expiry(daemon: FakeDaemon, run: Run) -> None:
    """And with where the broker of each address is."""
    assert shown(daemon, run) == [
        "cache 2 addresses",
        "age 12 min",
        "expires in 18 min",
        "kept for 30 min",
        "",
        "ADDRESS BROKER",
        "10.0.0.7 amqp://10.0.0.7:5672/",
        "[fe80::1%eth0] amqp://[fe80::1%25eth0]:5672/",
    ]


def test_an_expired_cache_with_a_problem(daemon: FakeDaemon, run: Run) -> None:
    """What follows is said; addresses without a broker have a dash."""
    assert shown(daemon, run, expires_s=0.0, time_out_in_minutes=0, amqp_urls=[], problem="line 1 column 2: x") == [
        "cache 2 addresses",
        "age 12 min",
        "expires now: the LAN is searched at the next start",
        "kept for not at all (time_out_in_minutes is 0)",
        "problem line 1 column 2: x",
        "",
        "ADDRESS BROKER",
        "10.0.0.7 -",
        "[fe80::1%eth0] -",
    ]


def test_an_empty_cache_has_no_table(daemon: FakeDaemon, run: Run) -> None:
    """Its age alone; and one that has not been read says so."""
    assert shown(daemon, run, addresses=[], amqp_urls=[])[0] == "cache 0 addresses"
    assert len(shown(daemon, run, addresses=[], amqp_urls=[])) == 4
    assert shown(daemon, run, addresses=[], amqp_urls=[], age_s=None, expires_s=None) == ["cache not read yet"]


def test_json_is_what_the_daemon_says(daemon: FakeDaemon, run: Run) -> None:
    """Under the schema of the cache."""
    daemon.answers["cache_show"] = ([], CACHE)

    assert json.loads(run("cache", "show", "--json").stdout) == {"schema": "mirosctl.cache/1", **CACHE}


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_cache_file_cannot_move_the_cursor(daemon: FakeDaemon, run: Run, as_json: list[str]) -> None:
    """Whoever wrote it."""
    hostile = {"addresses": ["10.0.0.7\x1b[2J"], "amqp_urls": ["amqp://\x07/"], "problem": "\u202eline"}
    daemon.answers["cache_show"] = ([], CACHE | hostile)
    stdout = run("cache", "show", *as_json).stdout

    assert all(char.isprintable() or char == "\n" for char in stdout)
    assert "10.0.0.7\ufffd[2J" in (json.dumps(json.loads(stdout), ensure_ascii=False) if as_json else stdout)


def test_a_flush_says_that_the_search_has_begun(daemon: FakeDaemon, run: Run) -> None:
    """One question, and its answer."""
    daemon.answers["cache_flush"] = ([], {"number": 3})

    assert run("cache", "flush").stdout.startswith("flushed; the search has begun")
    assert json.loads(run("cache", "flush", "--json").stdout) == {"schema": "mirosctl.cache_flush/1", "number": 3}
    assert daemon.asked == [("cache_flush", {})] * 2


@pytest.mark.parametrize("word", ["show", "flush"])
def test_where_the_search_is_off_it_is_said_what_to_set(daemon: FakeDaemon, run: Run, word: str) -> None:
    """Exit status 1, with the daemon's advice."""
    daemon.answers[f"cache_{word}"] = ("lan_off", "set `discovery.lan.enabled: true`")
    result = run("cache", word)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: set `discovery.lan.enabled: true`\n"
