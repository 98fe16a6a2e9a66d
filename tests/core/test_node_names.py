"""Which peer a name or the beginning of an id means."""

import pytest

from mirosd.core.node_names import SHOWN_PEERS, NodeAmbiguousError, NodeUnknownError, find_peer, is_node_id
from mirosd.core.shown import PeerRow

A, B, C = "ab12" + "0" * 28, "ab34" + "0" * 28, "cd56" + "0" * 28


def peer(node: str, name: str, address: str = "10.0.0.7") -> PeerRow:
    return PeerRow(node, name, address, "alive", "", (), (), None, None)


PEERS = [
    peer(A, "raspberry"),
    peer(B, "mainframe", "10.0.0.8, 10.0.0.9:5673"),
    peer(C, "twin"),
    peer("", "", "10.0.0.6"),
]


@pytest.mark.parametrize(
    ("text", "node"),
    [("raspberry", A), ("ab1", A), (A, A), ("AB34", B), ("cd56", C), ("c", C), (C.upper(), C)],
)
def test_a_name_or_the_beginning_of_an_id_means_one_peer(text: str, node: str) -> None:
    """A whole name, or as much of an id as only one has, in either case."""
    assert node == find_peer(text, PEERS).node


@pytest.mark.parametrize("text", ["ab", "a"])
def test_what_could_mean_two_means_none(text: str) -> None:
    """Both are listed, with what tells them apart."""
    with pytest.raises(NodeAmbiguousError) as error:
        find_peer(text, PEERS)

    assert str(error.value) == (
        f"'{text}' could mean mainframe (ab3400000000 at 10.0.0.8, 10.0.0.9:5673), "
        "raspberry (ab1200000000 at 10.0.0.7); write more of the id"
    )


def test_a_name_that_looks_like_anothers_id_means_none() -> None:
    """Nobody gets another forgotten by calling himself so; a whole id is always itself."""
    peers = [*PEERS, peer("ef" * 16, "cd56"), peer("ee" * 16, A)]

    with pytest.raises(NodeAmbiguousError, match=r"cd56.*twin"):
        find_peer("cd56", peers)
    assert A == find_peer(A, peers).node


def test_two_of_one_name_mean_none() -> None:
    """Their ids tell them apart."""
    peers = [peer(A, "pi"), peer(B, "pi")]

    with pytest.raises(NodeAmbiguousError, match=r"ab1200000000.*ab3400000000"):
        find_peer("pi", peers)
    assert B == find_peer("ab3", peers).node


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("rasberry", r"did you mean raspberry \(ab1200000000 at 10.0.0.7\)\?"),
        ("cd57", r"did you mean twin \(cd5600000000 at 10.0.0.7\)\?"),
        ("10.0.0.9:5673", r"that is the address of mainframe \(ab34"),
        ("zzz", r"there are mainframe \(.*\), raspberry \(.*\), twin \("),
    ],
)
def test_who_is_unknown_is_met_with_the_nearest(text: str, hint: str) -> None:
    """By name, by id, by address; else with who is there."""
    with pytest.raises(NodeUnknownError, match=hint):
        find_peer(text, PEERS)


def test_where_nobody_is_known_it_is_said() -> None:
    """An address alone is no peer yet."""
    with pytest.raises(NodeUnknownError, match="no peer is called 'h2'; none is known yet"):
        find_peer("h2", PEERS[3:])


def test_a_list_of_many_is_cut() -> None:
    """An error stays a line or two."""
    peers = [peer(f"{number:032x}", f"host-{number}") for number in range(100)]

    with pytest.raises(NodeUnknownError, match=f"and {100 - SHOWN_PEERS} more$"):
        find_peer("zzz", peers)


@pytest.mark.parametrize(
    ("text", "expected"), [(A, True), (A[:31], False), (A + "0", False), (A.upper(), False), ("g" * 32, False)]
)
def test_a_whole_id_is_32_hex_digits(text: str, expected: bool) -> None:
    """In lower case, as they are shown."""
    assert expected is is_node_id(text)
