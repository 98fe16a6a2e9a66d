"""The statecharts that decide: who is searched, what is proved, who is alive, who gets a producer.

    hosts files --- CacheFileChart x2 --CACHE--> ManNetChart --(owns)--> RabbitConsumerScoutChart, one per host
    LAN cache ----- CacheFileChart -----CACHE--> LanChart --HOSTS_SIGHTED, RECCE_LAN--> LanRecceChart
    LanSearch -lan_*-> LanRecceChart --(owns)--> RabbitConsumerScoutChart, one per candidate
    scouts --AMQP_CONSUMER_CHECK--> their owners, PeerChart
    LanRecceChart --LAN_HOST_FOUND, LAN_RECCE_COMPLETE--> LanChart
    ManNetChart, LanChart --CONNECTION_DISCOVERY--> ProducerFactoryChart
    heartbeats, farewells, links --peer_*--> PeerChart --HOSTS_SIGHTED (aliens, gossip)--> LanRecceChart
    PeerChart --PEER_GONE--> ManNetChart, LanRecceChart (scout again), LanChart, ProducerFactoryChart (forget)
    PeerChart --PEER_ADRIFT--> likewise, but for LanChart: its broker may be elsewhere
    peers' file --- CacheFileChart --CACHE--> PeerChart --NODES_FORGOTTEN--> LanRecceChart (ignore)

How a chart is written here:

* One chart per file; its diagram is the file's docstring. States are functions, decorated
  with `@state`, outermost first; a state ends by naming its parent.
* Entry arms, exit disarms. Subscriptions are the outermost state's ENTRY.
* A chart asks a backend through an interface and hears the answer as an event; it never
  waits, opens or parses. What it decides by is in `core`.
* Constructors store; the composer (discovery.py) starts: those who answer (CacheFileChart, LanRecceChart,
  PeerChart, ProducerFactoryChart) before those who ask.
* What exists once per address or peer is a region of its role's chart: no thread of its own.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from mirosd_client.shell import return_status, signals, spy_on

Status = int
HANDLED: Status = return_status.HANDLED

State = TypeVar("State", bound=Callable[..., Status])


class Engine:
    """miros' own signals, that a state answers."""

    ENTRY: int = signals.ENTRY_SIGNAL
    INIT: int = signals.INIT_SIGNAL
    EXIT: int = signals.EXIT_SIGNAL


def state(handler: State) -> State:
    """Mark a function as a state, so that miros' spy can follow it when `live_spy` is on."""
    return cast(State, cast(Any, spy_on)(handler))
