"""A broker that is not cleared never sees a byte: a fake one, which asks for credentials, records what it is sent."""

import asyncio
from collections.abc import Collection

import pytest

from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_probe import AmqpProber
from mirosd.backends.guarded import Confirm, GuardedConnector
from mirosd.core.broker import BrokerAddress
from mirosd.core.clearance import FRESH_S, Clearance
from mirosd.core.interfaces import ProbeResult
from mirosd.errors import BrokerError
from mirosd.signals import Private
from tests.backends.broker_rig import eventually
from tests.backends.fake_broker import FakeBroker
from tests.backends.probe_rig import NAMES, PlainChallenger

PASSWORD = "peersecret"
HUNG_UP = "amqp"
"""What the fake broker comes to, once it has what it wants."""


def account(host: str, port: int) -> BrokerAddress:
    """Give our account at a broker."""
    return BrokerAddress(host, port, user="peers", password=PASSWORD)


class Asked:
    """A way to confirm that gives what it is told to, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = answers, list[str]()

    async def __call__(self, broker: str) -> Collection[str]:
        """Answer."""
        self.asked.append(broker)
        return self.answers


async def never(_broker: str) -> Collection[str]:
    """Give no answer at all."""
    await asyncio.Event().wait()
    return ()


class Guarded:
    """A guarded connector on a clock that the test moves."""

    def __init__(self, *confirms: Confirm) -> None:
        self.now_s = 100.0
        self.clearance = Clearance(5672)
        self.connector = GuardedConnector(AmqpConnector(), self.clearance, confirms, clock=lambda: self.now_s)

    async def open(self, broker: FakeBroker, host: str = "") -> str:
        """Try to open a link, and give the code that ended it."""
        with pytest.raises(BrokerError) as caught:
            await self.connector.open(
                account(host or broker.address, broker.port), deadline_s=30.0, name="t", on_lost=lambda _: None
            )
        return caught.value.code


class TestRefused:
    async def test_nobody_says_that_its_broker_is_there(self) -> None:
        """Without a clearance or an answer nothing is sent, and the error says what to do."""
        silent = Asked()
        guarded = Guarded(silent)
        with FakeBroker() as broker, pytest.raises(BrokerError, match=r"mirosctl hosts add 127\.0\.0\.1") as caught:
            await guarded.connector.open(
                account(broker.address, broker.port), deadline_s=30.0, name="t", on_lost=lambda _: None
            )

        assert ("unproved", [f"127.0.0.1:{broker.port}"]) == (caught.value.code, silent.asked)
        assert [] == broker.received

    async def test_another_broker_was_named(self) -> None:
        """An answer that names somebody else (it was relayed, or the address is another's now) clears not this one."""
        with FakeBroker() as broker:
            codes = [
                await Guarded(Asked(*named)).open(broker)
                for named in (("10.0.0.7:5672",), (f"127.0.0.1:{broker.port + 1}", "127.0.0.1"), ("localhost",))
            ]

        assert (["unproved"] * 3, []) == (codes, broker.received)

    async def test_a_name_is_not_its_address(self) -> None:
        """That a listed name resolves to an address lists not the address, nor the other way round."""
        guarded = Guarded()
        with FakeBroker() as broker:
            guarded.clearance.list_hosts([f"localhost:{broker.port}"])
            assert "unproved" == await guarded.open(broker)
            guarded.clearance.list_hosts([f"127.0.0.1:{broker.port}"])
            assert "unproved" == await guarded.open(broker, host="localhost")

        assert [] == broker.received

    async def test_a_clearance_ends(self) -> None:
        """What was cleared 5 s ago is asked for again, also when a connection to it was open meanwhile."""
        with FakeBroker() as broker:
            here = f"127.0.0.1:{broker.port}"
            guarded = Guarded()
            guarded.clearance.clear([here], guarded.now_s)
            assert HUNG_UP == await guarded.open(broker)
            before = len(broker.received)
            guarded.now_s += FRESH_S
            assert "unproved" == await guarded.open(broker)

        assert (1, 1) == (before, len(broker.received))

    async def test_silence_is_bounded(self) -> None:
        """Who is asked and never answers holds nothing up for longer than it may take to ask."""
        with FakeBroker() as broker:
            assert "unproved" == await asyncio.wait_for(Guarded(never).open(broker), 25)

        assert [] == broker.received


class TestOpened:
    async def test_listed(self) -> None:
        """A listed host is connected to, and nobody is asked; the fake does see what it is sent."""
        asked = Asked()
        guarded = Guarded(asked)
        with FakeBroker() as broker:
            guarded.clearance.list_hosts([f"127.0.0.1:{broker.port}"])
            assert HUNG_UP == await guarded.open(broker)
            broker.wait_for(PASSWORD.encode())

        assert [] == asked.asked

    async def test_confirmed(self) -> None:
        """One answer that names the broker is enough, whoever else is silent; the clearance counts from the asking."""
        with FakeBroker() as broker:
            here = f"127.0.0.1:{broker.port}"
            guarded = Guarded(never, Asked("10.0.0.7", here))
            assert HUNG_UP == await guarded.open(broker)

        assert guarded.clearance.is_cleared("127.0.0.1", broker.port, guarded.now_s + FRESH_S - 0.1)
        assert not guarded.clearance.is_cleared("127.0.0.1", broker.port, guarded.now_s + FRESH_S)


async def test_a_scout_is_guarded() -> None:
    """A probe of an address that is not cleared ends at once, with the one stage that failed and its advice."""
    heard: list[tuple[int, object]] = []
    prober = AmqpProber(asyncio.get_running_loop(), Guarded(Asked()).connector, account, NAMES, PlainChallenger())
    with FakeBroker() as broker:
        probe = prober.probe(f"127.0.0.1:{broker.port}", lambda *said: heard.append(said))
        probe.connect()
        await eventually(lambda: heard, "the result")

    [(signal, result)] = heard
    assert isinstance(result, ProbeResult)
    assert Private.consumer_test_complete == signal
    assert ("unproved", ["probe"]) == (result.code, [stage.stage for stage in result.stages])
    assert [] == broker.received
