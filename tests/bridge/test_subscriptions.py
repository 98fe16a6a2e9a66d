"""What may be heard on this host, while queues of an earlier start may be there and after."""

import asyncio
from types import SimpleNamespace

from mirosd.bridge.subscriptions import Subscriptions
from mirosd.core.settings import DeliverySettings
from mirosd_client.messages import Subscribe
from tests.bridge.inbound_play import Scene, play

HEIRS_S = DeliverySettings().queue_expires_s


class Clock:
    """Stands until it is moved."""

    now_s = 1000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now_s


def heard_by_one(clock: Clock, heirs_s: float) -> Subscriptions:
    """Give the subscriptions of a host with one chart, which is bound to `a.#`."""
    subscriptions = Subscriptions(clock, heirs_s)
    subscriptions.take(SimpleNamespace(client="c" * 32), Subscribe(1, "mesh", "a.#"))
    return subscriptions


def test_a_first_start_has_no_heirs() -> None:
    """What no chart here is bound to need not be sent, from the first moment."""
    subscriptions = heard_by_one(Clock(), 0.0)

    assert not subscriptions.may_have_heirs
    assert (True, False) == (subscriptions.may_hear("a.b"), subscriptions.may_hear("b"))
    subscriptions.opened()
    assert not subscriptions.may_have_heirs


def test_queues_of_an_earlier_start_may_hear_anything_until_they_expired() -> None:
    """A broker that is not there yet keeps them however long that takes; they go when it was there for a while."""
    clock = Clock()
    subscriptions = heard_by_one(clock, HEIRS_S)
    clock.now_s += 10 * HEIRS_S
    assert subscriptions.may_have_heirs
    assert subscriptions.may_hear("b")

    subscriptions.opened()
    clock.now_s += HEIRS_S - 1
    assert subscriptions.may_hear("b")
    clock.now_s += 1

    assert not subscriptions.may_have_heirs
    assert (True, False) == (subscriptions.may_hear("a.b"), subscriptions.may_hear("b"))


def test_a_broker_that_restarts_keeps_them_for_longer_and_brings_none_back() -> None:
    """Their age begins anew with it; those that were gone stay gone."""
    clock = Clock()
    subscriptions = heard_by_one(clock, HEIRS_S)
    subscriptions.opened()
    clock.now_s += HEIRS_S / 2
    subscriptions.opened()
    clock.now_s += HEIRS_S - 1
    assert subscriptions.may_have_heirs
    clock.now_s += 1
    assert not subscriptions.may_have_heirs

    subscriptions.opened()

    assert not subscriptions.may_have_heirs


def test_a_later_start_has_heirs_while_its_broker_keeps_them() -> None:
    """They are counted from when the broker was first there, by the settings' own time."""

    async def test(scene: Scene) -> None:
        subscriptions = scene.inbound.subscriptions
        assert subscriptions.may_have_heirs
        await asyncio.sleep(HEIRS_S)

        assert not subscriptions.may_have_heirs

    play("allow", test, start=2)
