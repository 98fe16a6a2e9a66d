"""One seed: its world made, lived through, and judged."""

import hashlib
import logging
import random as global_random
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any, NamedTuple
from unittest import mock

import structlog

from mirosd.bridge.lane import Lane
from mirosd_client import connection, outlet, session
from tests.simulation import oracle
from tests.simulation.history import History
from tests.simulation.processes import SimLoop, current
from tests.simulation.scenario import Scenario, draw
from tests.simulation.world import World


class Result(NamedTuple):
    """What a run has shown."""

    scenario: Scenario
    history: History
    trace: list[str]
    violations: list[str]

    @property
    def digest(self) -> str:
        """Tell traces apart."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


def run(seed: int) -> Result:
    """Give what became of a seed."""
    loop = SimLoop()
    try:
        return loop.run_until_complete(_run(draw(seed)))
    finally:
        loop.close()


async def _run(scenario: Scenario) -> Result:
    world = World(scenario)
    world.loop.set_exception_handler(lambda _, context: world.history.faults.append(_told(context)))
    with _silence(), _patched(world):
        try:
            await world.live()
        finally:
            world.close()
    return Result(scenario, world.history, world.trace, oracle.judge(world.history))


@contextmanager
def _patched(world: World) -> Iterator[None]:
    """Have the client library reach the daemons of this world, all be decided by its seed, and losses observed."""

    def open_socket(path: str, timeout_s: float) -> Any:
        program = current()
        assert program is not None and timeout_s == 0.0
        return world.hosts[path].open_socket(program)

    state = global_random.getstate()
    global_random.seed(world.scenario.seed)
    secrets = Random(f"secrets {world.scenario.seed}")
    with ExitStack() as patches:
        for target, name, made in (
            (connection, "open_socket", open_socket),
            (outlet, "send_now", lambda socket, data: socket.send(data)),
            (session, "draw_secret", lambda: secrets.randbytes(32)),
            (Lane, "_give_up", world.losses.observed(Lane._give_up)),
        ):
            patches.enter_context(mock.patch.object(target, name, made))
        yield
    global_random.setstate(state)


@contextmanager
def _silence() -> Iterator[None]:
    """Log nothing: what matters is in the trace."""
    was_configured, config = structlog.is_configured(), structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        if was_configured:
            structlog.configure(**config)
        else:
            structlog.reset_defaults()


def _told(context: dict[str, Any]) -> str:
    error = context.get("exception")
    if error is None:
        return str(context.get("message"))
    return "".join(traceback.format_exception(error))
