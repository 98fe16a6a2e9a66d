"""mirosctl hosts."""

import json

import pytest

from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

FILES = {"file": "/etc/mirosd/hosts.json", "local": "/var/lib/mirosd/hosts.json"}
ROWS = [
    {"host": host, "source": source, "file": FILES[source]}
    for host, source in (("b", "local"), ("a", "local"), ("a", "file"))
]


def test_the_list_is_sorted(daemon: FakeDaemon, run: Run) -> None:
    """Hosts are listed with the file in which they stand, sorted, for people and for machines."""
    daemon.answers["hosts_list"] = (ROWS, {})
    hosts = [("a", "file", FILES["file"]), ("a", "local", FILES["local"]), ("b", "local", FILES["local"])]
    columns = ("HOST", "SOURCE", "FILE")

    assert [tuple(line.split()) for line in run("hosts", "list").stdout.splitlines()] == [columns, *hosts]
    assert json.loads(run("hosts", "list", "--json").stdout) == {
        "schema": "mirosctl.hosts/1",
        "hosts": [{"host": host, "source": source, "file": file} for host, source, file in hosts],
    }


@pytest.mark.parametrize(
    ("words", "asked", "said", "told"),
    [
        (["add", "10.0.0.7"], ("hosts_add", {"host": "10.0.0.7"}), "added 10.0.0.7", {"host": "10.0.0.7"}),
        (["remove", "a"], ("hosts_remove", {"host": "a"}), "removed a", {"host": "a"}),
        (["reload"], ("hosts_reload", {}), "reloaded", {}),
    ],
)
def test_a_change_is_asked_for_and_told(
    daemon: FakeDaemon,
    run: Run,
    words: list[str],
    asked: tuple[str, dict[str, str]],
    said: str,
    told: dict[str, str],
) -> None:
    """Each change asks its verb once, and says what was done."""
    daemon.answers[asked[0]] = ([], {})

    assert run("hosts", *words).stdout == said + "\n"
    assert daemon.asked == [asked]
    assert json.loads(run("hosts", "--json", *words).stdout) == {"schema": f"mirosctl.{asked[0]}/1", **told}


def test_a_host_with_control_characters_is_echoed_without_them(daemon: FakeDaemon, run: Run) -> None:
    """The daemon gets the text as it was written; the terminal does not."""
    daemon.answers["hosts_add"] = ([], {})

    assert run("hosts", "add", "a\x1bb").stdout == "added a\ufffdb\n"
    assert daemon.asked == [("hosts_add", {"host": "a\x1bb"})]
