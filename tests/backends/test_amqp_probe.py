"""A probe against real brokers: every end that a scouting can have, with the account that other hosts know."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from mirosd.backends.amqp_probe import DEADLINE_S, PROGRESS_S, SLOW_GREETING_S
from mirosd.core.broker import Incoming
from mirosd.names import DIRECTORY_EXCHANGE, HINT_SYSTEM, HINT_UNKNOWN_KEY
from mirosd.signals import Private
from tests.backends.broker_rig import eventually
from tests.backends.probe_rig import BROKER_STAGES, NAMES, THERE, Daemon, Scout, plain, sealed
from tests.backends.test_amqp import pass_on
from tests.lab.broker import Broker


async def made_of(broker: Broker) -> str:
    """Give all exchanges, queues and bindings of the broker."""
    listing = (
        "[lists:sort([N || {_, _, _, N} <- [element(2, X) || X <- rabbit_exchange:list()]]),"
        ' length(rabbit_amqqueue:list()), length(rabbit_binding:list(<<"/">>))].'
    )
    return await asyncio.to_thread(broker.call, listing)


async def connections(broker: Broker) -> str:
    """Give how many connections the broker has."""
    return await asyncio.to_thread(broker.call, "length(rabbit_networking:local_connections()).")


async def until_alone(broker: Broker, count: int) -> None:
    """Return when the broker has `count` connections."""
    async with asyncio.timeout(30.0):
        while await connections(broker) != str(count):
            await asyncio.sleep(0.01)


class TestWithoutBroker:
    async def test_nobody_there(self) -> None:
        """A closed port ends the probe in its stage, with the time of each (D4)."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        scout = await Scout(None, f"127.0.0.1:{port}").connect()

        assert scout.result.code == "tcp(refused)"
        assert [report.stage for report in scout.result.stages] == ["resolve", "tcp"]
        assert scout.asked == [("127.0.0.1", port)]

    async def test_not_a_host(self) -> None:
        """A text that is no host ends the probe before anybody is asked who we are there."""
        scout = await Scout(None, "fe80::1").connect()

        assert (scout.result.code, scout.asked) == ("resolve", [])
        assert "[fe80::1]" in scout.result.stages[0].detail

    async def test_default_port(self) -> None:
        """A host without a port means AMQP's; brackets and zone are taken off."""
        scout = await Scout(None, "[::1%lo]").connect()

        assert scout.asked == [("::1%lo", 5672)]

    @pytest.mark.parametrize("turns", [0, 1])
    async def test_abandoned_at_once(self, turns: int) -> None:
        """A probe abandoned before it ran, or in the very moment of its answer, does not answer."""
        scout = Scout(None, "not a host")
        scout.probe.connect()
        for _ in range(turns):
            await asyncio.sleep(0)
        scout.probe.abandon()
        for _ in range(10):
            await asyncio.sleep(0)

        assert scout.heard == []


@pytest.mark.lab
class TestDoors:
    async def test_refused_account(self, broker: Broker) -> None:
        """A refused log-in ends the probe in stage auth."""
        scout = await Scout(broker, user="nobody").connect()

        assert scout.result.code == "auth"
        assert [report.stage for report in scout.result.stages] == BROKER_STAGES

    async def test_no_mirosd_ever(self, broker: Broker) -> None:
        """A broker without our exchange says so and stays as it was; nothing is ever created on it (D4)."""
        before = await made_of(broker)
        scout = await Scout(broker).connect()
        await until_alone(broker, 0)

        assert scout.result.code == "exchange"
        assert [report.stage for report in scout.result.stages] == [*BROKER_STAGES, "exchange"]
        assert await made_of(broker) == before

    @pytest.mark.parametrize(
        ("answers", "code", "detail"),
        [
            pytest.param([plain(HINT_SYSTEM + b"garden")], "system", "garden", id="another system"),
            pytest.param([plain(HINT_SYSTEM + b"\x1b[31m\xff\n" * 99)], "system", "?[31m", id="hostile label"),
            pytest.param([plain(b"junk"), plain(HINT_SYSTEM + b"garden")], "system", "garden", id="junk first"),
            pytest.param([plain(b"junk")], "exchange", "", id="junk"),
            pytest.param([], "exchange", "", id="silence"),
        ],
    )
    async def test_directory(
        self, broker: Broker, answers: list[Callable[[Incoming], bytes]], code: str, detail: str
    ) -> None:
        """Without our exchange the directory is asked, and its word is a hint that can be printed."""
        daemon = await Daemon.at(broker, *answers, exchange=DIRECTORY_EXCHANGE)
        scout = await Scout(broker).connect()
        await daemon.link.close()

        assert scout.result.code == code
        assert detail in scout.result.stages[-1].detail
        assert scout.result.stages[-1].detail.isprintable()
        assert [question.body for question in daemon.questions] == [b""]

    async def test_directory_without_daemons(self, broker: Broker) -> None:
        """A directory exchange that nobody listens to costs no wait."""
        daemon = await Daemon.at(broker, exchange=DIRECTORY_EXCHANGE)
        await daemon.link.close()
        scout = await Scout(broker).connect()

        assert scout.result.code == "exchange"
        assert scout.result.stages[-1].took_ms < 250  # the wait for hints is 300


@pytest.mark.lab
class TestProof:
    async def test_proved(self, broker: Broker) -> None:
        """A daemon that answers with our key is introduced; the probe's connection is gone, and it made nothing."""
        daemon = await Daemon.at(broker, sealed("ok"))
        before = await made_of(broker)
        scout = Scout(broker)
        result = await scout.challenge()
        after = await made_of(broker)
        await until_alone(broker, 1)
        await daemon.link.close()

        assert (result.code, result.introduction) == ("", THERE)
        assert [r.stage for r in result.stages] == [*BROKER_STAGES, "exchange", "daemon", "key", "version"]
        assert before == after
        print(", ".join(f"{r.stage} {r.took_ms:.1f} ms ({r.detail})" for r in result.stages))

    @pytest.mark.parametrize(
        ("answers", "code", "last"),
        [
            pytest.param([plain(HINT_UNKNOWN_KEY + b" 17")], "key", "key", id="unknown key"),
            pytest.param([sealed("key")], "key", "key", id="does not open"),
            pytest.param([sealed("version")], "version", "version", id="version"),
            pytest.param([sealed("self")], "self", "daemon", id="self"),
            pytest.param([sealed("stale")], "daemon(silent)", "daemon", id="stale"),
            pytest.param([sealed("malformed")], "daemon(silent)", "daemon", id="junk"),
            pytest.param([], "daemon(silent)", "daemon", id="silence"),
            pytest.param([sealed("version"), plain(HINT_UNKNOWN_KEY)], "version", "version", id="hint after more"),
            pytest.param([plain(HINT_UNKNOWN_KEY), sealed("self")], "self", "daemon", id="more after a hint"),
        ],
    )
    async def test_not_proved(
        self, broker: Broker, answers: list[Callable[[Incoming], bytes]], code: str, last: str
    ) -> None:
        """Each answer that is no proof has its code and its stage, within the deadline."""
        daemon = await Daemon.at(broker, *answers)
        started_s = time.monotonic()
        result = await Scout(broker).challenge()
        took_s = time.monotonic() - started_s
        await until_alone(broker, 1)
        await daemon.link.close()

        assert (result.code, result.introduction) == (code, None)
        assert result.stages[-1].stage == last
        assert took_s < DEADLINE_S + 1.0

    @pytest.mark.parametrize("first", [plain(HINT_UNKNOWN_KEY), sealed("self"), sealed("key"), sealed("stale")])
    async def test_proof_wins(self, broker: Broker, first: Callable[[Incoming], bytes]) -> None:
        """Several daemons may share a broker: a bad answer does not hide the good one behind it."""
        daemon = await Daemon.at(broker, first, sealed("ok"))
        result = await Scout(broker).challenge()
        await daemon.link.close()

        assert result.code == ""

    async def test_slow_broker(self, broker: Broker) -> None:
        """A broker that takes more than a second to greet leaves its daemon time to answer too."""
        daemon = await Daemon.at(broker)

        async def greet_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(SLOW_GREETING_S * 1.1)  # as RabbitMQ does while it looks up a name
            inner_reader, inner_writer = await asyncio.open_connection(broker.host.address, broker.port)
            await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

        server = await asyncio.start_server(greet_late, "127.0.0.1", 0)
        scout = await Scout(None, f"127.0.0.1:{server.sockets[0].getsockname()[1]}").connect()
        scout.probe.challenge()
        question = (await eventually(lambda: daemon.questions))[0]
        answer = sealed("ok")(question)
        asyncio.get_running_loop().call_later(DEADLINE_S, daemon.link.publish, "", question.reply_to, answer)
        await eventually(lambda: len(scout.heard) > 1)
        server.close()
        await server.wait_closed()
        await daemon.link.close()

        assert scout.result.code == ""
        assert scout.result.stages[2].took_ms > SLOW_GREETING_S * 1000

    async def test_progress_earns_time(self, broker: Broker) -> None:
        """Where frames are lost every stage takes longer; while stages are passed the probe goes on."""
        daemon = await Daemon.at(broker)

        async def greet_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(SLOW_GREETING_S * 0.9)
            inner_reader, inner_writer = await asyncio.open_connection(broker.host.address, broker.port)
            await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

        server = await asyncio.start_server(greet_late, "127.0.0.1", 0)
        scout = await Scout(None, f"127.0.0.1:{server.sockets[0].getsockname()[1]}").connect()
        scout.probe.challenge()
        question = (await eventually(lambda: daemon.questions))[0]
        answer = sealed("ok")(question)
        asyncio.get_running_loop().call_later(PROGRESS_S * 0.8, daemon.link.publish, "", question.reply_to, answer)
        await eventually(lambda: len(scout.heard) > 1)
        server.close()
        await server.wait_closed()
        await daemon.link.close()

        assert scout.result.code == ""

    async def test_daemon_gone(self, broker: Broker) -> None:
        """With nobody behind the exchange the challenge is returned: known at once, not by silence."""
        daemon = await Daemon.at(broker)
        await daemon.link.close()
        result = await Scout(broker).challenge()

        assert result.code == "daemon"
        assert result.stages[-1].took_ms < 1000

    async def test_broker_goes_away(self, broker: Broker) -> None:
        """A connection that ends while the answer is awaited ends the probe with what was seen."""
        daemon = await Daemon.at(broker)
        scout = await Scout(broker).connect()
        scout.probe.challenge()
        await eventually(lambda: daemon.questions)
        await asyncio.to_thread(broker.call, "[exit(P, kill) || P <- rabbit_networking:local_connections()], ok.")
        await eventually(lambda: len(scout.heard) > 1)
        await daemon.link.close()

        assert scout.result.code == "lost"
        assert scout.result.stages[-1].stage == "daemon"

    @pytest.mark.parametrize("challenged", [False, True])
    async def test_abandoned(self, broker: Broker, challenged: bool) -> None:
        """An abandoned probe leaves the broker, and nothing more is heard of it."""
        daemon = await Daemon.at(broker)
        scout = await Scout(broker).connect()
        if challenged:
            scout.probe.challenge()
            await eventually(lambda: daemon.questions)
        scout.probe.abandon()
        await until_alone(broker, 1)
        for question in daemon.questions:
            daemon.link.publish("", question.reply_to or "", sealed("ok")(question))
        await daemon.link.check_exchange(NAMES.control)
        await daemon.link.close()

        assert [number for number, _ in scout.heard] == [Private.try_to_connect_to_consumer]
