"""The lines of the peers table, made of what is known."""

from collections.abc import Iterable
from typing import Any

from mirosd.core.peers import CLOCK_SKEW_S, Seen, Standing, is_refusal
from mirosd.core.shown import PeerRow
from mirosd.payloads import Introduction


def unproved_standing(code: str | None) -> Standing:
    """Give the state of an address without a node, by its last verdict: None while there is none."""
    if code is None:
        return Standing("candidate")
    return Standing("refused" if is_refusal(code) else "scouting", code)


def peer_row(seen: Seen, state: Standing, sources: Iterable[str]) -> PeerRow:
    """Give the line of a node in the peers table."""
    return PeerRow(
        node=seen.introduction.node,
        name=seen.introduction.name,
        address=", ".join(sorted(seen.addresses)),
        state=state.state,
        reason=state.reason,
        sources=tuple(sorted(sources)),
        networks=tuple(seen.introduction.networks),
        rtt_ms=seen.rtt_ms,
        last_heard_s=seen.shown_s,
        stages=seen.stages,
        incarnation=seen.introduction.start,
        flaps=seen.flaps,
        since_s=seen.since_s,
        previous=tuple(sorted(seen.previous.items(), key=lambda item: (-item[1], item[0]))),
        clock_ahead_s=seen.introduction.wall_ahead_s,
    )


def address_row(
    address: str, sources: Iterable[str], code: str | None, stages: tuple[Any, ...], *, node: str = ""
) -> PeerRow:
    """Give the line of an address that has not proved to be anybody; `node` as somebody named it."""
    state = unproved_standing(code)
    return PeerRow(
        node=node,
        name="",
        address=address,
        state=state.state,
        reason=state.reason,
        sources=tuple(sorted(sources)),
        networks=(),
        rtt_ms=None,
        last_heard_s=None,
        stages=stages,
    )


def clock_skew_detail(introductions: Iterable[Introduction]) -> str:
    """Give the text of `clock_skew`: whose wall clock is more than 60 s off; "" when nobody's is."""
    skewed = sorted((who.name, who.wall_ahead_s) for who in introductions if abs(who.wall_ahead_s) > CLOCK_SKEW_S)
    return ", ".join(f"{name} is {abs(s):.0f} s {'ahead' if s > 0 else 'behind'}" for name, s in skewed)
