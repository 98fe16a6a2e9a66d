"""The promise, held against a history. Pure: it gives what is wrong, in sentences; nothing, when all is well.

Per event and chart: handled at most once, in its sender's order, never by the chart that sent it. Per event and broker
of the delivery set at `transmit`: the broker took it, or one counter says why not. Per such event that a broker took
and chart that was subscribed there: it handled the event, or one counter says why not. What no broker had a queue for
is told its sender. (A broker that joins while an event waits for others may be given it too, by a daemon that restarts:
out of order then, and so not handled. Nobody was promised that one.)

Left out, as the promise says: programs that were killed, as receivers; and as senders for what they were not told to
be settled.
"""

from collections.abc import Iterator

from tests.simulation.history import Accepted, Event, History

RETIRING_S = 5.0
"""Between `transmit` and its daemon: what is accepted just before its host lets go of a broker may come after that."""

MOST_TOLD = 20


def judge(history: History) -> list[str]:
    """Give all violations, the first ones of each kind."""
    kinds = (
        history.faults,
        history.miscounted,
        _handled_wrongly(history),
        _not_at_brokers(history),
        _not_at_charts(history),
        _unroutable(history),
    )
    return [violation for kind in kinds for violation, _ in zip(kind, range(MOST_TOLD), strict=False)]


def _handled_wrongly(history: History) -> Iterator[str]:
    for name, events in history.handled.items():
        chart = history.charts[name]
        seen: set[Event] = set()
        last: dict[tuple[str, int], int] = {}
        for event in events:
            accepted = history.accepted.get(event)
            if accepted is None:
                yield f"{name} handled {told(event)}, which nobody sent"
                continue
            source = event[0], accepted.chart
            if event in seen:
                yield f"{name} handled {told(event)} twice"
            elif event[1] < last.get(source, 0):
                yield f"{name} handled {told(event)} after {last[source]}"
            if source == (chart.program, chart.number):
                yield f"{name} handled {told(event)}, its own"
            seen.add(event)
            last[source] = event[1]


def _not_at_brokers(history: History) -> Iterator[str]:
    missing: dict[str, list[str]] = {}
    for event, accepted in history.accepted.items():
        program = event[0]
        if program in history.killed and event[1] > history.settled.get(program, 0):
            continue
        for broker in sorted(accepted.owed):
            if (event, broker) in history.taken:
                continue
            reasons = history.named.get((event, broker), set())
            if len(reasons) > 1:
                yield f"{told(event)} is counted at {broker} as each of {sorted(reasons)}"
            elif not reasons and not _is_retiring(history, accepted, program, broker):
                missing.setdefault(program, []).append(f"{told(event)} never came to {broker}")
        for name in sorted(accepted.due_here):
            chart = history.charts[name]
            if chart.program in history.killed or _is_own(history, event, accepted, name):
                continue
            if (event, chart.broker) not in history.taken and not history.named.get((event, chart.broker)):
                missing.setdefault(program, []).append(f"{told(event)} never came to {chart.broker}, for {name}")
    for program, sentences in missing.items():
        events = {sentence.split()[0] for sentence in sentences}
        if len(events) > history.let_go.get(program, 0):
            yield from sentences


def _not_at_charts(history: History) -> Iterator[str]:
    handled = {name: set(events) for name, events in history.handled.items()}
    for (event, broker), taking in history.taken.items():
        accepted = history.accepted[event]
        for name in sorted(taking.due):
            chart = history.charts[name]
            was_owed = broker in accepted.owed or name in accepted.due_here
            if not was_owed or chart.program in history.killed or event in handled[name]:
                continue
            if _is_own(history, event, accepted, name):
                continue
            reasons = history.named.get((event, name)) or history.named.get((event, broker), set())
            if len(reasons) != 1:
                why = f"counted as each of {sorted(reasons)}" if reasons else "and no counter says why"
                yield f"{name} never handled {told(event)}, which {broker} took, {why}"


def _unroutable(history: History) -> Iterator[str]:
    surely: dict[str, int] = {}
    maybe: dict[str, int] = {}
    takings: dict[Event, list[tuple[int, int]]] = {}
    for (event, _), taking in history.taken.items():
        takings.setdefault(event, []).append((taking.copies, taking.unrouted))
    lost = {event for event, _ in history.named}
    for event in history.accepted:
        copies = takings.get(event, [])
        is_clear = event not in lost and event[1] <= history.settled.get(event[0], 0)
        surely[event[0]] = surely.get(event[0], 0) + (is_clear and all(n == unrouted for n, unrouted in copies))
        maybe[event[0]] = maybe.get(event[0], 0) + all(unrouted for _, unrouted in copies)
    for program, told_count in history.unroutable.items():
        if program in history.killed:
            continue
        if told_count < surely.get(program, 0) - history.let_go.get(program, 0):
            yield f"{program[:4]} was told that {told_count} events reached nobody; {surely[program]} did not"
        if told_count > maybe.get(program, 0) and history.hosts[program] not in history.restarted:
            yield f"{program[:4]} was told that {told_count} events reached nobody; at most {maybe[program]} did not"


def _is_own(history: History, event: Event, accepted: Accepted, name: str) -> bool:
    chart = history.charts[name]
    return (event[0], accepted.chart) == (chart.program, chart.number)


def _is_retiring(history: History, accepted: Accepted, program: str, broker: str) -> bool:
    retired_s = history.retired.get((history.hosts[program], broker))
    return retired_s is not None and -RETIRING_S < retired_s - accepted.at_s < RETIRING_S


def told(event: Event) -> str:
    """Give an event for people: its program in short, and its number."""
    return f"{event[0][:4]}:{event[1]}"
