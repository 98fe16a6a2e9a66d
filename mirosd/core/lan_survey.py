"""What is known of a LAN's addresses: the kernel's neighbours and the answers to our probes, laid side by side."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from mirosd.core.lan_facts import NUD_FAILED, NUD_PERMANENT, NUD_REACHABLE, Neighbour
from mirosd.core.lan_networks import LanNetwork
from mirosd.core.sweep import RESOLVED, place_of
from mirosd.payloads import LanNeighbour, LanSurvey


def survey(
    networks: Sequence[LanNetwork],
    neighbours: Iterable[Neighbour],
    nodes: Mapping[str, str],
    crowds: Collection[str],
    searched_for_s: float,
) -> LanSurvey:
    """Give a row for each neighbour in `networks` and each address that answered, in the order of their text.

    Args:
        nodes: the node that answered, by address.
        crowds: MACs that stand for more addresses than a host has.
        searched_for_s: seconds since the search began: who was proved to be there since is alive.
    """
    rows = {address: LanNeighbour(address, "alive", node=node, verdict="answered") for address, node in nodes.items()}
    for entry in neighbours:
        place = None if entry.is_deleted else place_of(networks, entry.address, entry.ifindex)
        if place is None:
            continue
        node = nodes.get(place.address, "")
        state = "alive" if node else _state(entry, searched_for_s)
        if entry.mac in crowds and not node:
            rows[place.address] = LanNeighbour(place.address, "unknown", entry.mac, verdict="a MAC of many addresses")
            continue
        verdict = "answered" if node else {"dead": "nobody there", "unknown": "asked"}.get(state, "silent")
        age_s = entry.confirmed_s if entry.state & RESOLVED else None  # of an entry without a MAC it means nothing
        rows[place.address] = LanNeighbour(place.address, state, entry.mac, age_s, node, verdict)
    mine = f"{networks[0].address}" if networks else ""
    return LanSurvey(mine, tuple(rows[address] for address in sorted(rows)))


def _state(entry: Neighbour, searched_for_s: float) -> str:
    """Say what an entry means: one that is not proved to be there may have left up to eight seconds ago."""
    if entry.state & (NUD_REACHABLE | NUD_PERMANENT):
        return "alive"
    if entry.state & RESOLVED:
        is_fresh = entry.confirmed_s is not None and entry.confirmed_s <= searched_for_s
        return "alive" if is_fresh else "stale"
    return "dead" if entry.state & NUD_FAILED else "unknown"
