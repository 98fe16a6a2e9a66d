"""What somebody who watches the peers is told."""

from typing import Any

import pytest

from mirosd.localapi.peer_changes import peer_changes
from mirosd_client.messages import Ask, Failed, Row, encode_message
from tests.lab.waiting import until
from tests.localapi.live import Live, Raw


def peer(node: str, **fields: Any) -> dict[str, Any]:
    """Give a row of the peers table."""
    row = {"node": node, "name": f"h-{node}", "address": "10.0.0.7", "state": "alive", "reason": ""}
    return row | {"rtt_ms": 1.0, "last_seen_s": 0.1, "stages": []} | fields


def test_each_difference_is_a_row() -> None:
    """A peer that came, one that went and one that is otherwise are told; the same one is not."""
    before = [peer("same"), peer("other"), peer("goes")]
    after = [peer("same"), peer("other", state="left"), peer("comes")]

    assert [
        {"change": "gone", "peer": peer("goes")},
        {"change": "changed", "peer": peer("other", state="left")},
        {"change": "appeared", "peer": peer("comes")},
    ] == peer_changes(before, after)


@pytest.mark.parametrize("field", ["rtt_ms", "last_seen_s", "since_s", "previous", "clock_ahead_s", "stages"])
def test_what_moves_with_every_heartbeat_is_no_change(field: str) -> None:
    """Round trips, ages and scoutings of a peer that stays as it is are not told."""
    assert [] == peer_changes([peer("a")], [peer("a", **{field: "other"})])


@pytest.mark.parametrize("field", ["name", "address", "state", "reason", "incarnation", "flaps"])
def test_what_lasts_is_a_change(field: str) -> None:
    """A restart, another address or another state of the same node is told."""
    after = peer("a", **{field: "other"})

    assert [{"change": "changed", "peer": after}] == peer_changes([peer("a")], [after])


def test_an_address_that_is_proved_becomes_a_node() -> None:
    """Without a node a peer is its address: that goes, and the node comes."""
    before, after = (
        [peer("", state="candidate"), peer("", address="10.0.0.8")],
        [peer("n"), peer("", address="10.0.0.8")],
    )

    assert [("gone", ""), ("appeared", "n")] == [
        (row["change"], row["peer"]["node"]) for row in peer_changes(before, after)
    ]


def next_row(raw: Raw) -> tuple[str, str]:
    """Give the next change and its node."""
    message = raw.message()
    assert isinstance(message, Row)
    return message.row["change"], message.row.get("peer", {}).get("node", "")


def test_a_watch_tells_the_table_and_then_each_change(live: Live) -> None:
    """First a row per peer and that it is complete, then what differs, as it happens; nothing in between."""
    live.view.rows = [peer("a"), peer("b")]
    with live.client() as raw:
        raw.send(encode_message(Ask(7, "peers_watch")))

        assert [("appeared", "a"), ("appeared", "b"), ("complete", "")] == [next_row(raw) for _ in range(3)]
        for rows in (
            [peer("a", rtt_ms=9.0), peer("b")],
            [peer("b", state="left")],
            [peer("b", state="left"), peer("c")],
        ):
            live.call(lambda rows=rows: live.view.happen(rows))  # type: ignore[misc]
        assert [("gone", "a"), ("changed", "b"), ("appeared", "c")] == [next_row(raw) for _ in range(3)]


def test_no_peers_are_complete_too(live: Live) -> None:
    """An empty table is told as such."""
    live.view.rows = []
    with live.client() as raw:
        raw.send(encode_message(Ask(7, "peers_watch")))

        assert ("complete", "") == next_row(raw)


def test_what_happens_while_rows_are_sent_is_not_missed(live: Live) -> None:
    """A change in the middle of the table is told after it: a watcher who reads slowly gets the last state."""
    live.view.rows = [peer(str(number), name="n" * 1000) for number in range(2000)]
    with live.client() as raw:
        raw.send(encode_message(Ask(7, "peers_watch")))
        until(lambda: live.sessions()[0]["unsent_bytes"], what="the watch held up by its reader")
        live.call(lambda: live.view.happen([*live.view.rows, peer("last")]))

        assert [("appeared", str(number)) for number in range(2000)] == [next_row(raw) for _ in range(2000)]
        assert [("complete", ""), ("appeared", "last")] == [next_row(raw) for _ in range(2)]


def test_a_watch_ends_with_its_client(live: Live) -> None:
    """When the watcher is gone, nothing of its watch is left."""
    with live.client() as raw:
        raw.send(encode_message(Ask(7, "peers_watch")))
        until(lambda: live.call(lambda: len(live.view.change._waiters)), what="the watch waiting")  # type: ignore[attr-defined]
    until(lambda: not live.call(lambda: len(live.view.change._waiters)), what="the watch ended")  # type: ignore[attr-defined]


def test_a_watch_counts_as_a_question(live: Live) -> None:
    """A connection may have 16 questions open, watches among them."""
    with live.client() as raw:
        raw.send(*(encode_message(Ask(number, "peers_watch")) for number in range(1, 18)))
        answers = [raw.message() for _ in range(16 * 2 + 1)]

        assert [17] == [answer.id for answer in answers if isinstance(answer, Failed)]
