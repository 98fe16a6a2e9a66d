"""What was published and is not confirmed: each body has its one outcome, and nothing is kept after that."""

from pika.frame import Method
from pika.spec import Basic

from mirosd.backends.amqp_channel import Confirms
from mirosd.core.broker import Outcome


def test_a_broker_that_confirms_several_at_once_leaves_nothing_behind() -> None:
    """100,000 bodies, confirmed by tens, by ones and out of order: each once, and the list is empty again (D45)."""
    confirms = Confirms()
    outcomes: list[tuple[int, Outcome]] = []
    most = 0
    for number in range(1, 100_001):
        tag = confirms.next_tag(lambda outcome, number=number: outcomes.append((number, outcome)))  # type: ignore[misc]
        assert number == tag
        most = max(most, len(confirms._waiting))
        if number % 20 == 10:
            confirms.on_confirm(Method(1, Basic.Ack(number, multiple=True)))
        elif number % 20 == 0:
            confirms.on_confirm(Method(1, Basic.Nack(number - 3)))
            confirms.on_confirm(Method(1, Basic.Ack(number, multiple=True)))

    assert sorted(outcomes) == [
        (number, Outcome.NACKED if number % 20 == 17 else Outcome.CONFIRMED) for number in range(1, 100_001)
    ]
    assert (10, 0) == (most, len(confirms._waiting))
