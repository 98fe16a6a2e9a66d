"""Opening a link: every failure has its code in time and leaves nothing behind; what only RabbitMQ does to a link."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_link import AmqpLink
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError
from tests.backends.broker_rig import eventually
from tests.lab.broker import PASSWORD, USER, Broker
from tests.lab.namespaces import Lan

DEADLINE_S = 0.5
LOOPBACK = "127.0.0.1"


def address_of(broker: Broker, user: str = USER, password: str = PASSWORD) -> BrokerAddress:
    """Give the broker's address."""
    return BrokerAddress(broker.host.address, broker.port, user=user, password=password)


async def opened(
    address: BrokerAddress,
    *,
    deadline_s: float = 10.0,
    tcp_deadline_s: float | None = None,
    tls: ssl.SSLContext | None = None,
) -> AmqpLink:
    """Give an open link."""
    connector = AmqpConnector() if tls is None else AmqpConnector(lambda: tls)
    return await connector.open(
        address, deadline_s=deadline_s, tcp_deadline_s=tcp_deadline_s, name="test", on_lost=lambda _: None
    )


def holdings() -> tuple[int, int]:
    """Give how many descriptors and tasks there are."""
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())  # noqa: PTH208 -- the listing's own is counted


async def refusal(
    address: BrokerAddress,
    *,
    deadline_s: float = DEADLINE_S,
    tcp_deadline_s: float | None = None,
    tls: ssl.SSLContext | None = None,
) -> BrokerError:
    """Give the error of an attempt to open a link, five times the same and leaving nothing behind."""
    before = holdings()
    errors: list[BrokerError] = []
    for _ in range(5):
        started_s = time.monotonic()
        with pytest.raises(BrokerError) as refused:
            await opened(address, deadline_s=deadline_s, tcp_deadline_s=tcp_deadline_s, tls=tls)
        errors.append(refused.value)
        print(refused.value.code, refused.value, f"{time.monotonic() - started_s:.3f} s")
        assert time.monotonic() - started_s < deadline_s + 1.0
    await eventually(lambda: holdings() == before, f"{before} descriptors and tasks again")
    assert len({error.code for error in errors}) == 1
    assert "geheim" not in str(errors[0])
    return errors[0]


@asynccontextmanager
async def listener(answer: bytes, *, hang_up: bool = False) -> AsyncIterator[BrokerAddress]:
    """Give the address of something that takes connections and says `answer` to the first bytes."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await reader.read(8)
            writer.write(answer)
            if not hang_up:
                await reader.read()
        except ConnectionError:
            pass  # reset, as it should be
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    yield BrokerAddress(LOOPBACK, server.sockets[0].getsockname()[1], password="geheim")
    server.close()
    await server.wait_closed()
    for writer in writers:
        writer.close()
        await eventually(writer.transport.is_closing)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until an end closes."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except (ConnectionError, ssl.SSLError):
        pass  # reset, as it should be
    writer.close()


class TestFailures:
    """Everything that is not a broker."""

    async def test_port_closed(self) -> None:
        """Nobody listens: refused, at once."""
        with socket.create_server((LOOPBACK, 0)) as taken:
            port = taken.getsockname()[1]

        assert (await refusal(BrokerAddress(LOOPBACK, port))).code == "tcp(refused)"

    async def test_tcp_is_silent(self) -> None:
        """A host that drops the SYN is given up at the deadline of TCP, before that of the whole."""
        with socket.socket() as full, socket.socket() as one, socket.socket() as two:
            full.bind((LOOPBACK, 0))
            full.listen(0)  # Linux drops the SYN when the queue of those not accepted is full
            for client in (one, two):
                client.setblocking(False)
                client.connect_ex(full.getsockname())
            started_s = time.monotonic()
            error = await refusal(BrokerAddress(LOOPBACK, full.getsockname()[1]), deadline_s=30.0, tcp_deadline_s=0.2)

        assert error.code == "tcp(silent)"
        assert time.monotonic() - started_s < 15.0

    async def test_no_host_name(self) -> None:
        """A text that no resolver could take says so without asking one."""
        assert (await refusal(BrokerAddress("a..b"))).code == "resolve"

    @pytest.mark.lab
    async def test_unknown_host(self) -> None:
        """A name that nobody knows."""
        assert (await refusal(BrokerAddress("no.such.host"))).code == "resolve"

    @pytest.mark.parametrize(
        ("answer", "hang_up", "code"),
        [
            pytest.param(b"", False, "amqp(slow)", id="silent"),
            pytest.param(b"", True, "amqp", id="hangs up"),
            pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "amqp", id="http"),
            pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", True, "amqp", id="http that hangs up"),
            pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", False, "amqp", id="ssh"),
            pytest.param(b"AMQP\0\0\x09\x00", True, "amqp", id="another version"),
            pytest.param(b"AMQP\0\0\x09\x00", False, "amqp(slow)", id="another version, open"),
            pytest.param(b"\1\0\0\0\0\0\4\0\12\0\1\xce", False, "amqp", id="unknown method"),
            pytest.param(b"\1\0\0\0\0\0\4\0\12\0\12\xce", False, "amqp", id="start without its fields"),
            pytest.param(b"\1\0\0\xff\xff\xff\xff", False, "amqp(slow)", id="endless frame"),
            pytest.param(b"\x03\0\0" * 100, False, "amqp", id="frame of no kind"),
        ],
    )
    async def test_no_broker(self, answer: bytes, hang_up: bool, code: str) -> None:
        """Whatever else answers behind the port has a code, and leaves no descriptor and no task."""
        async with listener(answer, hang_up=hang_up) as address:
            error = await refusal(address)
            assert error.code == code

    async def test_cancelled(self) -> None:
        """An opening that is cancelled, at whatever moment, leaves nothing behind."""
        async with listener(b"") as address:
            before = holdings()
            for turns in range(12):
                attempt = asyncio.create_task(opened(address))
                for _ in range(turns):
                    await asyncio.sleep(0)
                attempt.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await attempt
            await eventually(lambda: holdings() == before, f"{before} descriptors and tasks again")

    async def test_silent_tls(self) -> None:
        """A listener that never answers the TLS handshake."""
        async with listener(b"") as address:
            assert (await refusal(replace(address, tls=True))).code == "tls"


@pytest.mark.lab
class TestBroker:
    """Everything that a RabbitMQ can say."""

    async def test_refusals(self, broker: Broker) -> None:
        """Wrong password, unknown user and unknown virtual host have codes of their own."""
        good = address_of(broker)

        assert (await refusal(replace(good, password="geheim"))).code == "auth"
        assert (await refusal(replace(good, user="nobody", password="geheim"))).code == "auth"
        assert (await refusal(replace(good, vhost="none"))).code == "vhost"

    async def test_guest(self, broker: Broker, brokers: dict[str, Broker], lan: Lan) -> None:
        """RabbitMQ's guest may come over loopback; from elsewhere the error is not that of a wrong password."""
        link = await opened(address_of(broker, "guest", "guest"))
        await link.close()

        with lan["h2"].network():
            # a bridge that was just plugged in may lose a SYN, and the next comes after a second
            error = await refusal(address_of(brokers["h1"], "guest", "guest"), deadline_s=10.0)
        assert error.code == "guest_remote"

    async def test_stopped_broker(self, broker: Broker) -> None:
        """A broker that hangs takes the connection and never greets."""
        broker.pause()

        assert (await refusal(address_of(broker))).code == "amqp(slow)"

    async def test_stages_and_name(self, broker: Broker) -> None:
        """Each stage is told when it is passed; the broker shows the connection's name."""
        passed: list[str] = []
        link = await AmqpConnector().open(
            BrokerAddress("localhost", broker.port, user=USER, password=PASSWORD),
            deadline_s=10.0,
            name="a name to find",
            on_lost=lambda _: None,
            on_passed=lambda stage, _: passed.append(stage),
        )
        await eventually(lambda: "a name to find" in broker.log(), "the name in the broker's log")
        await link.close()

        assert passed == ["resolve", "tcp", "amqp", "auth"]
