"""Hosts whose brokers are reached by TLS: they meet, events cross, and what is wrong is told with its cure."""

import datetime
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mirosctl.cures import cure
from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.certificates import Authority, Certificate
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

CODES = ("tls(untrusted)", "tls(name)", "tls(expired)", "tls(client_cert)", "tls(no_tls)")


@pytest.fixture
def stage(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    with staged(lan, brokers) as made:
        yield made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom all hosts trust."""
    return Authority(tmp_path / "authority")


def settings_of(own: Certificate, **sections: dict[str, Any]) -> dict[str, Any]:
    """Give the settings of a host that has this certificate."""
    files = {"ca_file": str(own.ca_file), "cert_file": str(own.cert_file), "key_file": str(own.key_file)}
    return {"tls": files, **sections}


def send_both_ways(stage: Stage) -> None:
    """Have one event cross from h1 to h2, and one back."""
    one, two = stage.actor("h1", "one"), stage.actor("h2", "two")
    for actor in (one, two):
        assert actor.do("wait_subscribed")["subscribed"]
    one.do("send", count=1)
    two.do("send", count=1)
    until(lambda: two.numbers("one") == [1], what="an event from h1 to h2")
    until(lambda: one.numbers("two") == [1], what="an event from h2 to h1")


def test_two_hosts_over_amqps(stage: Stage, authority: Authority) -> None:
    """Brokers that take nobody without a certificate of their authority, by passwords that no URL takes (D56).

    Listed hosts meet, and an event goes each way.
    """
    with ExitStack() as exits:
        for name, other in (("h1", "h2"), ("h2", "h1")):
            own = authority.certificate(name, stage.lan[name].address)
            exits.enter_context(stage.brokers[name].speaking_tls(own, is_mutual=True))
            url = f"amqps://{stage.lan[name].address}"
            stage.daemon(name, [other], broker=url, settings=settings_of(own)).start()
        for name in ("h1", "h2"):
            stage.wait_alive(name)
        send_both_ways(stage)
        told = stage.daemons["h1"].ask("scout", stage.lan["h2"].address)

        assert [("tcp", "ok"), ("tls", "ok")] == [(said["stage"], said["code"]) for said in told["stages"]][1:3]
        assert told["proved"]


def test_hosts_that_find_each_other_speak_tls(stage: Stage, authority: Authority) -> None:
    """Each speaks to its own broker in clear on loopback, and tells the others the port where theirs speaks TLS."""
    with ExitStack() as exits:
        for name in ("h1", "h2"):
            own = authority.certificate(name, stage.lan[name].address)
            exits.enter_context(stage.brokers[name].speaking_tls(own))
            settings = settings_of(own, peers={"tls": "on"}, discovery={"lan": {"enabled": True}})
            stage.daemon(name, [], broker="amqp://127.0.0.1:5672", settings=settings).start()
        for name in ("h1", "h2"):
            stage.wait_alive(name)
        send_both_ways(stage)


def bad_ports(stage: Stage, authority: Authority, tmp_path: Path, exits: ExitStack) -> dict[str, int]:
    """Give for each code a port of h2's broker at which it is found."""
    address, broker = stage.lan["h2"].address, stage.brokers["h2"]
    past = datetime.timedelta(minutes=-1)
    shown = {
        "tls(untrusted)": Authority(tmp_path / "stranger").certificate("untrusted", address),
        "tls(name)": authority.certificate("named", "another.host"),
        "tls(expired)": authority.certificate("expired", address, holds=past),
        "tls(client_cert)": authority.certificate("good", address),
    }
    ports = {
        code: exits.enter_context(
            broker.speaking_tls(certificate, port=5681 + number, is_mutual=code == "tls(client_cert)")
        )
        for number, (code, certificate) in enumerate(shown.items())
    }
    return ports | {"tls(no_tls)": broker.port}


def test_scout_tells_what_is_wrong(stage: Stage, authority: Authority, tmp_path: Path) -> None:
    """Each fault of a broker's TLS has its code, found in stage tls, and its cure; so has TLS greeted in clear."""
    with ExitStack() as exits:
        ports = bad_ports(stage, authority, tmp_path, exits)
        trusting = {"tls": {"ca_file": str(authority.ca_file)}, "peers": {"tls": "on"}}
        daemon = stage.daemon("h1", [], settings=trusting)
        daemon.start()
        daemon.wait_ready()
        for code in CODES:
            told = daemon.ask("scout", f"{stage.lan['h2'].address}:{ports[code]}")

            assert (code, cure(code)) == (told["code"], told["cure"])
            assert ("tls", code) == (told["stages"][-1]["stage"], told["stages"][-1]["code"])
            assert cure(code)
        daemon.stop()
        plain = stage.daemon("h1", [])
        plain.start()
        plain.wait_ready()
        told = plain.ask("scout", f"{stage.lan['h2'].address}:{ports['tls(name)']}")

        assert ("amqp(tls)", cure("amqp(tls)")) == (told["code"], told["cure"])


@pytest.mark.parametrize("code", CODES)
def test_status_tells_what_is_wrong(stage: Stage, authority: Authority, tmp_path: Path, code: str) -> None:
    """The same of a host's own broker: the daemon is degraded, and `mirosctl status` shows code and cure."""
    with ExitStack() as exits:
        port = bad_ports(stage, authority, tmp_path, exits)[code]
        url = f"amqps://{stage.lan['h2'].address}:{port}"
        daemon = stage.daemon("h1", [], broker=url, settings={"tls": {"ca_file": str(authority.ca_file)}})
        daemon.start()
        until(lambda: daemon.ask("status")["broker"]["state"] == code, what=code)
        shown = daemon.ctl("status", check=False).stdout

        assert code in shown
        assert cure(code) in " ".join(shown.split())


def test_a_wrong_file_is_told_at_the_start(stage: Stage, authority: Authority) -> None:
    """The daemon does not start with a key that is not its certificate's, and says which file."""
    one, two = authority.certificate("one"), authority.certificate("two")
    files = {"ca_file": str(one.ca_file), "cert_file": str(one.cert_file), "key_file": str(two.key_file)}
    daemon = stage.daemon("h1", [], settings={"tls": files, "peers": {"tls": "on"}})
    daemon.start()

    assert 1 == daemon.wait()
    assert str(two.key_file) in daemon.log()
