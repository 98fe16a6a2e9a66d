"""What people have the daemon do about hosts with mirosctl, on real hosts: scout one, forget one, allow one, search."""

import json
from collections.abc import Iterator

import pytest

from mirosctl.cures import cure
from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

NOBODY = "10.77.0.200"


@pytest.fixture
def stage(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    with staged(lan, brokers) as made:
        yield made


def ready(stage: Stage, *names: str, **options: object) -> list[Daemon]:
    """Start daemons that list nobody, and give them when they are ready."""
    daemons = [stage.daemon(name, [], **options) for name in names]
    for daemon in daemons:
        daemon.start()
    for daemon in daemons:
        daemon.wait_ready()
    return daemons


def test_a_host_that_nobody_listed_is_scouted(stage: Stage) -> None:
    """Every stage is passed, it says who it is, and it is not kept: no peer comes of it."""
    h1, h2 = ready(stage, "h1", "h2")
    address = h2.host.address
    scouted = h1.ctl("scout", address)
    answer = h1.ask("scout", address)
    status = h2.ask("status")

    assert scouted.returncode == 0
    assert f"{address} is h2 (node {status['node']})" in scouted.stdout
    assert (answer["proved"], answer["code"], answer["peer"]["node"]) == (True, "", status["node"])
    assert [stage["stage"] for stage in answer["stages"]] == [
        *("resolve", "tcp", "amqp", "auth", "exchange", "daemon", "key", "version")
    ]
    assert {stage["code"] for stage in answer["stages"]} == {"ok"}
    assert h1.peers() == {}


def test_a_scouting_that_fails_names_the_stage_and_the_cure(stage: Stage) -> None:
    """A host without a daemon, a broker that is stopped, nobody at all, and this host itself; exit status 1."""
    (h1,) = ready(stage, "h1")
    h2, h3 = stage.lan["h2"], stage.lan["h3"]
    stage.brokers["h3"].stop()
    for address, code in (
        (h2.address, "exchange"),
        (h3.address, "tcp(refused)"),
        (NOBODY, "tcp(silent)"),
        (h1.host.address, "self"),
    ):
        scouted = h1.ctl("scout", address, check=False)

        assert (scouted.returncode, scouted.stderr) == (1, "")
        assert scouted.stdout.splitlines()[-1] == f"{address} is not proved: {code}"
        assert cure(code) in scouted.stdout


def test_a_forgotten_peer_stays_away_until_it_is_allowed(stage: Stage) -> None:
    """Though it lists us and goes on talking; by its name, then by its whole id. A listed one cannot be forgotten."""
    (h1,) = ready(stage, "h1")
    stage.daemon("h2", ["h1"]).start()
    h2 = stage.daemons["h2"]
    stage.wait_alive("h1")
    node = h2.ask("status")["node"]

    assert h2.ctl("peers", "forget", "h1", check=False).returncode == 1
    assert "`mirosctl hosts remove" in h2.ctl("peers", "forget", "h1", check=False).stderr
    assert h1.ctl("peers", "forget", "h2").stdout == f"h2 (node {node}) is forgotten for 24 hours\n"
    assert h1.peers() == {}
    until(lambda: h2.peers()["h1"] != "alive", what="h2 hears nothing of h1")
    assert h1.peers() == {}
    assert "no peer is called 'h2'" in h1.ctl("peers", "allow", "h2", check=False).stderr
    assert h1.ctl("peers", "allow", node).returncode == 0
    stage.wait_alive("h1")
    stage.wait_alive("h2")


def test_hosts_are_listed_with_their_files(stage: Stage) -> None:
    """The operator's file, and the state directory's."""
    h1 = stage.daemon("h1", ["h2"])
    h1.start()
    h1.wait_ready()
    h1.ctl("hosts", "add", NOBODY)
    state = json.loads((h1.host.directory / "state" / "hosts.json").read_text())

    assert state == {"hosts": [NOBODY]}
    assert [(row["host"], row["file"]) for row in h1.ask("hosts", "list")["hosts"]] == [
        (stage.lan["h2"].address, str(h1.hosts_path)),
        (NOBODY, str(h1.host.directory / "state" / "hosts.json")),
    ]


def test_where_the_search_is_off_it_is_said_what_to_set(stage: Stage) -> None:
    """By each command that would need it, with exit status 1."""
    (h1,) = ready(stage, "h1")
    for words in (("recce",), ("cache", "show"), ("cache", "flush")):
        refused = h1.ctl(*words, check=False)

        assert (refused.returncode, refused.stdout) == (1, "")
        assert "`discovery.lan.enabled: true`" in refused.stderr


def test_a_search_finds_who_is_there(stage: Stage) -> None:
    """A daemon is proved and named, a host without one is alive at the most, and nobody gives no sign."""
    own_broker = "amqp://127.0.0.1:5672"
    h1, h2 = ready(stage, "h1", "h2", broker=own_broker, settings={"discovery": {"lan": {"enabled": True}}})
    stage.wait_alive("h1")
    answer = h1.ask("recce")
    rows = {row["address"]: row for row in answer["addresses"]}
    found = rows[h2.host.address]

    assert (answer["complete"], answer["found"]) == (True, 1)
    assert (found["name"], found["verdict"], found["node"]) == ("h2", "proved", h2.ask("status")["node"])
    assert found["took_ms"] > 0
    assert {row["node"] for row in rows.values() if row["verdict"] == "proved"} == {found["node"]}
    shown = h1.ctl("recce").stdout
    print(shown)
    assert shown.splitlines()[-1].startswith("found 1 host")
    assert h2.host.address in h1.ask("cache", "show")["addresses"]
    assert h1.ctl("cache", "flush").returncode == 0
    until(lambda: h2.host.address in h1.ask("cache", "show")["addresses"], what="the cache filled again")
    print(h1.ctl("cache", "show").stdout, h1.ctl("peers", "--why").stdout)
    assert h1.peers() == {"h2": "alive"}
