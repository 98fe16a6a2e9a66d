"""What the daemon counts, as monitoring is told of it.

The rows are those of docs/counters.md, which a test holds them to: no distribution carries that file.
"""

import re
from typing import NamedTuple

ROWS = """
| `unroutable` | event | every broker it was owed to has taken it, and on none was anybody bound to its routing key |
| `expired` | event, broker | its life (`delivery.ttl_s`) was over before the broker could be reached; it is not sent there |
| `overflow` | event, broker | more than `delivery.pending_bytes` was owed to a broker that is away; the oldest went |
| `unconfirmed` | event, broker | given up as `expired`, `overflow` or `forgotten`, but the broker was lost before it could confirm it: it may have arrived |
| `nacked` | event, broker | the broker refused it; it is not sent again, which would break the order |
| `forgotten` | event, broker | the last peer behind the broker had been gone for a minute, or people forgot it |
| `expired_in_queue` | event, subscription | its life was over before the chart's program took it; counted at the chart's host, as all below |
| `overflow_in_queue` | event, subscription | more than `delivery.queue_bytes` waited for the chart; the oldest went |
| `dead_lettered` | event, subscription | the broker dropped it for any other reason |
| `quarantined` | event, subscription | it came from a node that nobody listed or found (`discovery.aliens`) |
| `replayed` | event, subscription | the broker had taken it before the chart subscribed: somebody repeats it |
| `replayed_old` | event, subscription | its life was over more than 10 s ago: a recording, or this daemon stood still for so long |
| `unopened_*` | body, subscription | it cannot be opened: `unknown_key`, `forged`, `version` and the like |
| `snoop_trace_shed` | record, broker | a record of trace lines (64 at most) was not sent: the broker is behind with lines, in alarm, or away |
| `snoop_spy_shed` | record, broker | likewise of spy lines; these are shed while there is room for traces |
| `unasked` | record | of an answer to a recall that no host has asked for, or that came more than a minute later: it is sent nowhere |
| `recalls_refused` | recall | another host's: it is no peer, `snoop.remote` forbids it, the key is missing, or too many of its recalls are on |
| `control_*` | message | what a daemon said on the control exchange cannot be opened or understood |
| `key_offers_refused` | message | a key that another host's rotation made is not taken: `keys.accept_remote` is false here, the host is no peer, or the old key is not ours |
| `control_unexpected` | message | an answer to a question that nobody here has asked |
| `aliens_ignored` | heartbeat | of a node that is new, while as many are known as there may be |
| `session_*` | connection | the daemon closed a program's connection; `slow_reader`: it did not read what it asked for |
| `refused_*` | request | the daemon refused something that a program asked for (`not_permitted`, `too_many_asks` and the like), and told it why |
| `lan_sent` | datagram | sent in a search of the LAN |
| `lan_delayed` | datagram | sent a little later, since the socket's buffer was full |
| `lan_filtered_here` | datagram | not sent: this host's own firewall refused it |
| `lan_unsent` | datagram | not sent: the system refused it otherwise |
| `lan_unasked` | address | not asked: a search asks no more than it has room for |
| `lan_answers` | datagram | an answer to our search, taken |
| `lan_broadcast_answers` | datagram | one of these that answers a question to all |
| `lan_late` | datagram | an answer that is not waited for any more |
| `lan_own` | datagram | our own broadcast, as the kernel gives it back |
| `lan_repeated` | datagram | one that was had before |
| `lan_misdirected` | datagram | it names another host than it came from, or went to |
| `lan_limited` | datagram | a search that was not answered, since too many come |
| `lan_candidates_refused` | address | named by others and not scouted: a search scouts no more than it has room for |
| `lan_*` | datagram | one that cannot be opened: `malformed`, `unknown_key`, `forged` |
"""  # noqa: E501 -- as they stand there, so that they can be copied
"""counter | unit | when; `*` stands for the code of an error."""

CODE_ROWS = """
| `unopened_*` | `forged`, `malformed`, `unknown_key`, `version` |
| `control_*` | `forged`, `malformed`, `unknown_key`, `version` |
| `session_*` | `already_connected`, `cut_off`, `follow`, `foreign_client`, `foreign_source`, `frame_too_large`, `frame_type`, `hello_expected`, `hello_timeout`, `malformed`, `no_key`, `not_permitted`, `record_count`, `rights_changed`, `secret`, `sequence`, `slow_reader`, `subscription`, `too_large`, `too_many_connections`, `too_many_receipts`, `unexpected_frame`, `unexpected_message`, `version` |
| `refused_*` | `address`, `bad_arguments`, `bad_key`, `binding_key`, `follows`, `hosts_unchanged`, `internal`, `key_retired`, `keys_not_stored`, `lan_off`, `network`, `no_key`, `not_permitted`, `peer_ambiguous`, `peer_stays`, `peer_unknown`, `search_not_begun`, `too_many_asks`, `too_many_keys`, `too_many_recalls`, `too_many_subscriptions`, `too_many_watches`, `unknown_verb` |
| `lan_*` | `forged`, `malformed`, `unknown_key` |
"""  # noqa: E501 -- likewise
"""family | codes."""

PLURALS = {"body": "bodies", "address": "addresses"}


class CounterMetric(NamedTuple):
    """A counter of the daemon as a metric: its name (`mirosd_expired_events`), its text, what `*` stands for or ""."""

    name: str
    text: str
    code: str = ""


def _metric(counter: str, unit: str, when: str) -> CounterMetric:
    one = unit.partition(",")[0]
    stem, many = counter.removesuffix("_*"), PLURALS.get(one, f"{one}s")
    return CounterMetric(f"mirosd_{stem}" if many in stem else f"mirosd_{stem}_{many}", f"{unit}: {when}")


COUNTERS = {
    counter: _metric(counter, unit, when) for counter, unit, when in re.findall(r"\| `(.+?)` \| (.+?) \| (.+) \|", ROWS)
}
"""By the daemon's names."""

CODES = {
    family: tuple(re.findall("`([a-z_]+)`", codes)) for family, codes in re.findall(r"\| `(.+?)` \| (.+) \|", CODE_ROWS)
}
"""What `*` stands for in each family; a newer daemon may have others beside."""


def counter_metric(counter: str) -> CounterMetric | None:
    """Give the metric that a counter is shown as; None for one that is not in the table: a newer daemon has it."""
    if counter in COUNTERS:
        return COUNTERS[counter]
    families = (name for name in COUNTERS if name.endswith("*") and counter.startswith(name[:-1]))
    family = max(families, key=len, default=None)
    return None if family is None else COUNTERS[family]._replace(code=counter[len(family) - 1 :])
