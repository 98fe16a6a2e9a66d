"""What a RabbitMQ is asked to let the two accounts do: three patterns each, and no tag.

RabbitMQ matches the names of exchanges and queues with them. Neither account is an administrator, none has a right to
everything, and `guest` stays as it comes, for its own host alone. Every test with a real broker runs with these.
"""

from typing import NamedTuple


class BrokerRights(NamedTuple):
    """Regular expressions as `rabbitmqctl set_permissions` takes them, in its order; "" matches nothing."""

    configure: str
    write: str
    read: str


OWN = BrokerRights(
    configure=r"^(mirosd\.|amq\.gen-)",
    write=r"^(mirosd\.|amq\.gen-|amq\.default$)",
    read=r"^(mirosd\.|amq\.gen-)",
)
"""Of `broker.user`, at this host's own broker.

All exchanges and lasting queues of ours begin with `mirosd.`; `amq.gen-` begin the names that the broker gives to the
queues that end with their connection. A binding is written to its queue and read from its exchange, dead letters are
written to theirs. What is answered goes by the default exchange, which is called `amq.default` here.
"""

PEERS = BrokerRights(
    configure="", write=r"^mirosd\.(directory|[A-Za-z0-9_-]+\.(mesh|snoop\.trace|snoop\.spy|control))$", read=""
)
"""Of `peers.user`, which the daemons of other hosts use: to write to these exchanges, and nothing else.

It can make, bind and read nothing. Looking whether an exchange is there needs no right, nor do answers by
`amq.rabbitmq.reply-to`. The exchange for what queues dropped is left out: what is written there is counted as lost.
"""
