"""Who watches the snoop networks, and what that asks of this host's charts; time is an argument."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.control_messages import Heartbeat, decode_control, encode_control
from mirosd.core.interest import FRESH_S, MAX_HELD_BYTES, HostRow, Interest, Remote, read_watching
from mirosd_client.dial import MAX_DIALS, MAX_PATTERNS, Dial
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.limits import MAX_FRAME_BYTES
from mirosd_client.messages import Watched, encode_message
from tests.properties import TOTAL

OWN, PEER, OTHER = "0" * 32, "1" * 32, "2" * 32
TRACE, SPY = "snoop_trace", "snoop_spy"
ARCHERS, ALL = Dial(charts=["archer*"]), Dial()


def interest(remote: Remote = "trace") -> Interest:
    """Give that of host h0."""
    return Interest("h0", OWN, remote)


def beat(node: str = PEER, *, sequence: int = 1, start: int = 1, remote: str = "trace", **watching: Any) -> Heartbeat:
    """Give a peer's heartbeat as it arrives, with dials by network."""
    made = Heartbeat(
        node=node,
        name=f"h{node[0]}",
        start=start,
        sequence=sequence,
        daemon_version="0",
        wall_ms=0,
        sent_ms=0,
        watching=msgspec.Raw(msgspec.json.encode(watching)),
        snoop_remote=remote,
    )
    read = decode_control(encode_control(made))
    assert isinstance(read, Heartbeat)
    return read


class TestHere:
    def test_a_network_is_watched_while_one_is_subscribed_or_a_dial_is_held(self) -> None:
        """Each for itself; a subscription alone asks for no dial."""
        here = interest()
        assert {} == here.here
        here.subscribe([TRACE])
        assert {TRACE: []} == here.here
        hold = here.hold(SPY, ARCHERS)
        assert {TRACE: [], SPY: [ARCHERS]} == here.here
        here.subscribe([])
        assert {SPY: [ARCHERS]} == here.here == here.asked(0.0)
        here.release(hold)

        assert {} == here.here == here.asked(0.0)

    def test_a_dial_that_is_held_twice_is_said_once(self) -> None:
        """And until both holds have ended."""
        here = interest()
        first, second = here.hold(TRACE, ARCHERS), here.hold(TRACE, ARCHERS)
        assert {TRACE: [ARCHERS]} == here.here
        here.release(first)
        assert {TRACE: [ARCHERS]} == here.here
        here.release(second)

        assert {} == here.here

    def test_a_host_holds_so_many_dials_on_a_network(self) -> None:
        """One more is refused, with what to do; one that ends makes room, and the other network has its own."""
        here = interest()
        holds = [here.hold(TRACE, Dial(charts=[str(number)])) for number in range(MAX_DIALS)]
        with pytest.raises(DaemonRefusedError, match="end one of them") as refused:
            here.hold(TRACE, ALL)
        assert "too_many_watches" == refused.value.code
        here.hold(SPY, ALL)
        here.release(holds[0])
        here.hold(TRACE, ALL)

        assert MAX_DIALS == len(here.here[TRACE])

    def test_heartbeats_stay_small(self) -> None:
        """Dials with long lists of patterns are refused before they make each heartbeat large."""
        here, held = interest(), 0
        with pytest.raises(DaemonRefusedError, match="use globs"):
            while True:
                here.hold(TRACE, Dial(charts=[f"{held}-{'c' * 100}"] * MAX_PATTERNS))
                held += 1

        assert held > 1
        assert MAX_HELD_BYTES * 0.5 < len(msgspec.json.encode(here.here)) < MAX_HELD_BYTES * 1.1

    def test_a_network_without_key_does_not_exist(self) -> None:
        """Nobody can watch it from here, and others' wishes on it ask nothing."""
        here = Interest("h0", OWN, "spy", [TRACE])
        here.subscribe([TRACE, SPY])
        here.heard(beat(snoop_spy=[{}]), 0.0)
        with pytest.raises(DaemonRefusedError, match="this host has no snoop_spy key") as refused:
            here.hold(SPY, ALL)

        assert "no_key" == refused.value.code
        assert {TRACE: []} == here.asked(0.0)
        assert not here.watches(PEER, SPY, 0.0)


class TestPeers:
    def test_what_a_peer_watches_holds_while_it_says_so(self) -> None:
        """Five seconds from its last heartbeat, and anew when it is heard again."""
        here = interest()
        assert here.heard(beat(snoop_trace=[]), 100.0)
        assert here.watches(PEER, TRACE, 100.0 + FRESH_S - 0.01)
        assert {TRACE: []} == here.asked(104.9)
        assert not here.watches(PEER, TRACE, 100.0 + FRESH_S)
        assert {} == here.asked(105.0)

        assert here.heard(beat(sequence=2, snoop_trace=[]), 200.0), "it is news again"
        assert here.watches(PEER, TRACE, 200.0)
        assert not here.watches(PEER, SPY, 200.0)
        assert not here.watches(OTHER, TRACE, 200.0)

    def test_the_latest_word_counts(self) -> None:
        """A heartbeat that comes late, or again, changes nothing; one of a later start does."""
        here = interest()
        here.heard(beat(sequence=5, start=2), 0.0)
        for late in (beat(sequence=4, start=2, snoop_trace=[]), beat(sequence=9, snoop_trace=[])):
            assert not here.heard(late, 1.0)
            assert {} == here.asked(1.0)
        here.heard(beat(sequence=6, start=2, snoop_trace=[]), 1.0)
        assert {TRACE: []} == here.asked(1.0)
        here.heard(beat(sequence=1, start=3), 2.0)

        assert {} == here.asked(2.0)

    def test_nothing_new_is_no_news(self) -> None:
        """Heartbeats repeat themselves; a dial, a setting or a name that is another is news."""
        here = interest()
        for sequence, said, is_news in (
            (1, {"snoop_trace": [{}]}, True),
            (2, {"snoop_trace": [{}]}, False),
            (3, {"snoop_trace": []}, True),
            (4, {"snoop_trace": [], "remote": "off"}, True),
            (5, {"snoop_trace": [], "remote": "off"}, False),
        ):
            assert is_news is here.heard(beat(sequence=sequence, **said), 0.0), sequence

    def test_who_is_no_peer_any_more_watches_nothing(self) -> None:
        """At once."""
        here = interest()
        here.heard(beat(snoop_trace=[{}]), 0.0)
        here.gone(PEER)

        assert {} == here.asked(0.0)
        assert not here.watches(PEER, TRACE, 0.0)

    @pytest.mark.parametrize(
        ("remote", "expected"),
        [("off", {TRACE: [], SPY: []}), ("trace", {TRACE: [ALL], SPY: []}), ("spy", {TRACE: [ALL], SPY: [ALL]})],
    )
    def test_others_turn_on_what_this_host_lets_them(self, remote: Remote, expected: Any) -> None:
        """What programs show by themselves goes out in any case: the network is watched."""
        here = interest(remote)
        here.heard(beat(snoop_trace=[{}], snoop_spy=[{}]), 0.0)

        assert expected == here.asked(0.0)

    def test_here_one_may_turn_on_everything(self) -> None:
        """The setting is about others."""
        here = interest("off")
        here.hold(TRACE, ARCHERS)
        here.hold(SPY, ALL)

        assert {TRACE: [ARCHERS], SPY: [ALL]} == here.asked(0.0)

    def test_a_dial_for_other_hosts_asks_nothing_here(self) -> None:
        """By name or node id; one that takes this host is told without hosts, once."""
        here = interest()
        hosts = (["h1"], ["h0"], ["h[0-3]"], [OWN[:6]], ["1111"], [])
        here.heard(beat(snoop_trace=[{"hosts": host, "charts": ["a"]} for host in hosts]), 0.0)
        here.hold(TRACE, Dial(hosts=["h9"], charts=["b"]))

        assert {TRACE: [Dial(charts=["a"])]} == here.asked(0.0)

    def test_all_dials_together(self) -> None:
        """Our own first, then by node."""
        here = interest()
        here.heard(beat(OTHER, snoop_trace=[{"charts": ["c"]}, {"charts": ["a"]}]), 0.0)
        here.heard(beat(PEER, snoop_trace=[{"charts": ["b"]}]), 0.0)
        here.hold(TRACE, Dial(charts=["a"]))

        assert [["a"], ["b"], ["c"]] == [dial.charts for dial in here.asked(0.0)[TRACE]]

    def test_too_many_dials_to_tell_become_one_for_all(self) -> None:
        """More is sent than was wanted, never less; and a frame holds it."""
        here = interest("spy")
        large = [{"charts": [f"{n}" + "ä" * 126 for n in range(MAX_PATTERNS)]}] * 3
        for number in range(1, 200):
            said = [{**dial, "signals": [f"{number}-{n}"]} for n, dial in enumerate(large)]
            here.heard(beat(f"{number:032}", snoop_trace=said, snoop_spy=[{**said[0], "events": True}, *said]), 0.0)
        asked = here.asked(0.0)

        assert {TRACE: [ALL], SPY: [Dial(events=True)]} == asked
        assert len(encode_message(Watched(asked))) < MAX_FRAME_BYTES

    def test_hosts_are_named_as_they_name_themselves(self) -> None:
        """This one first; a peer that has said nothing yet has its node id alone."""
        here = interest("spy")
        here.heard(beat(OTHER, remote="off"), 0.0)
        here.heard(beat(PEER, remote="everything"), 0.0)
        strange = "3" * 32

        assert [
            HostRow("h0", OWN, "spy"),
            HostRow(strange, strange, ""),
            HostRow("h1", PEER, "off"),
            HostRow("h2", OTHER, "off"),
        ] == here.hosts([OTHER, PEER, strange])


class TestJunk:
    VALID = {"charts": ["a"], "events": True}
    SAID = json.dumps({TRACE: [VALID]}).encode()

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ([], {}),
            ("junk", {}),
            (None, {}),
            ({"mesh": [VALID], "": []}, {}),
            ({TRACE: None}, {TRACE: []}),
            ({TRACE: {"a": 1}, SPY: []}, {TRACE: [], SPY: []}),
            ({TRACE: [VALID, 5, {"charts": "a"}, {"charts": ["a"] * 17}, {"hosts": ["h" * 129]}]}, {TRACE: [VALID]}),
            ({TRACE: [VALID | {"mood": "fine"}]}, {TRACE: [VALID]}),
            ({TRACE: [VALID] * (MAX_DIALS + 1)}, {TRACE: [VALID] * MAX_DIALS}),
        ],
    )
    def test_the_heartbeat_counts_and_what_is_valid_in_it(self, said: Any, expected: Any) -> None:
        """Whatever else a peer says, it is still there."""
        text = encode_control(beat()).replace(b'"watching":{}', b'"watching":' + json.dumps(said).encode())
        heartbeat = decode_control(text)

        assert isinstance(heartbeat, Heartbeat)
        assert msgspec.convert(expected, dict[str, list[Dial]]) == read_watching(heartbeat.watching)

    @TOTAL
    @given(st.one_of(st.binary(max_size=60), st.integers(0, len(SAID) - 1).map(lambda at, said=SAID: said[:at])))
    def test_any_bytes_are_read(self, said: bytes) -> None:
        """Nothing is raised: what is watched by whoever says this is nothing."""
        assert {} == read_watching(msgspec.Raw(said))

    def test_nesting_without_end_is_nothing(self) -> None:
        """It would end the reader's recursion."""
        assert {} == read_watching(msgspec.Raw(b'{"snoop_trace":' + b"[" * 100_000))
