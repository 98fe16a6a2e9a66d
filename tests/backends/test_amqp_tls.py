"""Links by TLS to a real broker: only to one that proves who it is, and every reason against it has its code."""

import asyncio
import datetime
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.tls_files import TlsFiles
from mirosd.core.broker import BrokerAddress, Outcome
from mirosd.core.settings import TlsSettings
from mirosd.errors import BrokerError
from tests.backends.broker_rig import MESH, eventually
from tests.backends.test_amqp import address_of, holdings, opened, refusal
from tests.lab.broker import Broker
from tests.lab.certificates import Authority, Certificate
from tests.lab.namespaces import Lan

pytestmark = pytest.mark.lab

DEADLINE_S = 10.0
PAST = datetime.timedelta(minutes=-1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom this host trusts."""
    return Authority(tmp_path / "trusted")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """Whom it does not."""
    return Authority(tmp_path / "stranger")


@pytest.fixture
def secured(broker: Broker, authority: Authority) -> Iterator[BrokerAddress]:
    """The broker behind TLS, with a good certificate."""
    with broker.speaking_tls(authority.certificate("good", "127.0.0.1", "localhost")) as port:
        yield replace(address_of(broker), port=port, tls=True)


def context(authority: Authority, own: Certificate | None = None) -> ssl.SSLContext:
    """Give what a daemon with these files speaks TLS with."""
    files = {} if own is None else {"cert_file": str(own.cert_file), "key_file": str(own.key_file)}
    return TlsFiles(TlsSettings(ca_file=str(authority.ca_file), **files)).context()


async def refused(address: BrokerAddress, tls: ssl.SSLContext) -> str:
    """Give the code with which five openings are refused alike."""
    return (await refusal(address, deadline_s=DEADLINE_S, tls=tls)).code


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_broker_that_proves_itself(secured: BrokerAddress, authority: Authority, host: str) -> None:
    """By address and by name a link works, and nothing is left of one that is closed or dropped."""
    address, tls = replace(secured, host=host), context(authority)
    before = holdings()
    link = await opened(address, tls=tls)
    await link.declare_exchange(MESH)
    outcomes: list[Outcome] = []
    link.publish(MESH, "a", b"x" * 300_000, mandatory=True, on_outcome=outcomes.append)
    await eventually(lambda: outcomes)
    await link.close()
    (await opened(address, tls=tls)).abort()
    await eventually(lambda: holdings() == before, f"{before} descriptors and tasks again")

    assert outcomes == [Outcome.RETURNED]


async def test_what_a_broker_shows_is_judged(broker: Broker, authority: Authority, stranger: Authority) -> None:
    """Another authority, another name, another address, a time that is over: each has its code."""
    shown = {
        "tls(untrusted)": stranger.certificate("untrusted", "127.0.0.1"),
        "tls(name)": authority.certificate("named", "another.host", "10.9.9.9"),
        "tls(expired)": authority.certificate("expired", "127.0.0.1", holds=PAST),
    }
    for code, certificate in shown.items():
        with broker.speaking_tls(certificate) as port:
            assert code == await refused(replace(address_of(broker), port=port, tls=True), context(authority))


async def test_the_systems_authorities_are_asked_by_default(secured: BrokerAddress) -> None:
    """Without any setting a broker is verified too, and one that a private authority signed is not trusted."""
    assert "tls(untrusted)" == (await refusal(secured, deadline_s=DEADLINE_S)).code


async def test_neither_side_takes_the_other_for_what_it_is_not(
    broker: Broker, secured: BrokerAddress, authority: Authority
) -> None:
    """TLS to the plain port, and the reverse, are told apart from everything else."""
    assert "tls(no_tls)" == await refused(replace(address_of(broker), tls=True), context(authority))
    assert "amqp(tls)" == (await refusal(replace(secured, tls=False), deadline_s=DEADLINE_S)).code


async def test_a_broker_that_asks_for_our_certificate(
    broker: Broker, authority: Authority, stranger: Authority
) -> None:
    """It is shown; without one, or with one of an authority that it does not trust, the code says so."""
    mine, foreign = authority.certificate("mine"), stranger.certificate("foreign")
    with broker.speaking_tls(authority.certificate("good", "127.0.0.1"), is_mutual=True) as port:
        address = replace(address_of(broker), port=port, tls=True)
        await (await opened(address, tls=context(authority, mine))).close()

        assert "tls(client_cert)" == await refused(address, context(authority))
        assert "tls(client_cert)" == await refused(address, context(authority, foreign))


async def test_an_interface_is_no_part_of_a_name(lan: Lan, authority: Authority) -> None:
    """A certificate that names a link-local address holds for it on whatever interface it is reached."""
    lan.renumber("")
    shown = authority.certificate("local", lan["h2"].address.partition("%")[0])
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(shown.cert_file, shown.key_file)
    with lan["h2"].network():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "::", 0, ssl=server_side)
    with lan["h1"].network():
        address = BrokerAddress(lan["h2"].address, server.sockets[0].getsockname()[1], tls=True)
        code = await refused(address, context(authority))
    server.close()
    await server.wait_closed()

    assert "amqp" == code  # which comes behind TLS: it hung up


async def test_stages(secured: BrokerAddress, authority: Authority) -> None:
    """TLS is a stage of its own, passed with its version."""
    passed: list[tuple[str, str]] = []
    lost: list[BrokerError] = []
    link = await AmqpConnector(lambda: context(authority)).open(
        secured, deadline_s=DEADLINE_S, name="t", on_lost=lost.append, on_passed=lambda *stage: passed.append(stage)
    )
    await link.close()

    assert ["resolve", "tcp", "tls", "amqp", "auth"] == [stage for stage, _ in passed]
    assert ("tls", "TLSv1.3") in passed
    assert lost == []
