"""What is watched, told to programs and peers; where lines go, and recalled ones. In virtual time, without brokers."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mirosd.bridge.inquiries import Recollection
from mirosd.bridge.producer_set import Proof
from mirosd.bridge.snooping import Snooping
from mirosd.core.challenger import Identity
from mirosd.core.control_messages import Heartbeat
from mirosd.core.envelope import Envelope
from mirosd.core.interest import FRESH_S, Remote, read_watching
from mirosd.core.open_recalls import MAX_OPEN, OPEN_S
from mirosd.core.seal import Keys, Opener, Sealer
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd_client.dial import Dial
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.messages import Recall, Subscribe, Watched, recall_key
from mirosd_client.record import Record, encode_record
from mirosd_client.wire import Events, Network
from tests.backends.virtual_time import run_virtually
from tests.bridge.fakes import CountingBoard, RecordingSession

OWN, PEER, OTHER = "0" * 32, "1" * 32, "2" * 32
TRACE, SPY = Network.SNOOP_TRACE, Network.SNOOP_SPY
ALL = frozenset(Network)
RECALL = Recall("f" * 32, "history", "snoop_trace", Dial(charts=["a"]), 600.0)


class Broker:
    """producer_set.ProducerSet: what was published there, by network and routing key."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = {node: Proof(ALL, 1) for node in nodes}
        self.published: list[tuple[str, str]] = []

    def snoop(self, exchange: str, routing_key: str, body: bytes, **_bounds: Any) -> bool:
        """Keep where it goes."""
        self.published.append((exchange.removeprefix("mirosd.default."), routing_key))
        return True


class Scene:
    """A host h0 with a broker of its own, and two peers with theirs, that are said to have been heard."""

    def __init__(self, remote: Remote = "trace", keys: Collection[Network] = (TRACE, SPY)) -> None:
        self.own, self.far, self.farther = Broker(), Broker(PEER), Broker(OTHER)
        brokers = [self.own, self.far, self.farther]
        self.sets = SimpleNamespace(
            own=self.own, all=brokers, of=lambda node: next((each for each in brokers if node in each.nodes), None)
        )
        self.said: list[Any] = []
        self.asked: list[tuple[Recall, list[str]]] = []
        self.answers: dict[str, Recollection] = {}
        self.inquiries = SimpleNamespace(recall=self._recall)
        heartbeats = SimpleNamespace(peers=dict.fromkeys((PEER, OTHER)), beat_now=self._beat_now)
        control: Any = SimpleNamespace(
            identity=Identity(OWN, "h0", 1, "0"), heartbeats=heartbeats, inquiries=self.inquiries
        )
        self.board = CountingBoard()
        self.snooping = Snooping(
            control,
            remote=remote,
            envelopes={network: _envelope(NETWORK_NAMES[network]) for network in keys},
            names=SystemNames("default"),
            sets=lambda: self.sets,  # type: ignore[arg-type, return-value]
            board=self.board,
        )
        self.sequence = 0

    def hear(self, node: str = PEER, *, remote: str = "trace", **watching: Any) -> None:
        """Take a heartbeat of a peer."""
        self.sequence += 1
        beat = Heartbeat(
            node=node,
            name=f"h{node[0]}",
            start=1,
            sequence=self.sequence,
            daemon_version="0",
            wall_ms=0,
            sent_ms=0,
            watching=msgspec.Raw(msgspec.json.encode(watching)),
            snoop_remote=remote,
        )
        self.snooping.heard(beat)

    def source(self, letter: bytes = b"C") -> RecordingSession:
        """Attach a program with charts."""
        session = RecordingSession(letter * 16)
        self.snooping.attached(session)
        return session

    def send(self, routing_key: str, network: Network = TRACE) -> None:
        """Hand over a line."""
        self.sequence += 1
        record = encode_record(Record(b"C" * 16, 1, self.sequence, 0, 0, "json", "lines", b"", b"[]"))
        self.snooping.outbound.take(Events(network, routing_key, record), 1)
        self.snooping.outbound.flush()

    @property
    def published(self) -> list[list[str]]:
        """The routing keys that came to each broker, the own one's first."""
        return [[key for _, key in each.published] for each in (self.own, self.far, self.farther)]

    def _beat_now(self) -> None:
        self.said.append(read_watching(self.snooping.said))

    async def _recall(self, recall: Recall, nodes: list[str]) -> dict[str, Recollection]:
        self.asked.append((recall, nodes))
        return {node: self.answers.get(node, Recollection(1)) for node in nodes}


def _envelope(network: str) -> Envelope:
    sealer = Sealer(Keys(bytes(32)), "default", network, node=OWN, random=lambda n: b"s" * n, clock=lambda: 0.0)
    return Envelope("default", network, sealer, Opener(Keys(bytes(32)), "default", network))


def subscription(network: str, binding_key: str, *, is_connected: bool = True) -> Any:
    """Give a local program's subscription."""
    request = Subscribe(1, network, binding_key)
    networks = {name: number for number, name in NETWORK_NAMES.items()}
    session = RecordingSession() if is_connected else None
    return SimpleNamespace(session=session, network=networks[network], binding_key=request.binding_key)


def play(test: Callable[[Scene], Coroutine[Any, Any, None]], remote: Remote = "trace") -> None:
    """Run a test."""

    async def scene() -> None:
        await test(Scene(remote))

    run_virtually(scene())


class TestInterest:
    def test_a_change_is_told_at_once_to_peers_and_programs(self) -> None:
        """When a program subscribes or a dial is held, and when it ends; what changes nothing is not told."""

        async def test(s: Scene) -> None:
            program, live = s.source(), subscription("snoop_trace", "snoop.trace")
            s.snooping.follow([live])
            s.snooping.follow([live, live])
            with s.snooping.hold("snoop_trace", Dial(charts=["a"])):
                pass
            s.snooping.follow([])

            dial = Dial(charts=["a"])
            expected = [{"snoop_trace": []}, {"snoop_trace": [dial]}, {"snoop_trace": []}, {}]
            assert expected == s.said
            assert [Watched({}), *map(Watched, expected)] == program.watchings

        play(test)

    @pytest.mark.parametrize(
        "deaf",
        [
            subscription("mesh", "#"),
            subscription("snoop_trace", recall_key("f" * 32)),
            subscription("snoop_trace", "snoop.trace", is_connected=False),
        ],
        ids=["on the mesh", "to a recall", "of a program that left"],
    )
    def test_these_subscriptions_watch_nothing(self, deaf: Any) -> None:
        """Only who wants what happens now makes programs send it."""

        async def test(s: Scene) -> None:
            s.snooping.follow([deaf])

            assert [] == s.said

        play(test)

    def test_a_dial_ends_with_what_went_wrong(self) -> None:
        """However the watch ended."""

        async def test(s: Scene) -> None:
            with pytest.raises(ZeroDivisionError), s.snooping.hold("snoop_spy", Dial()):
                raise ZeroDivisionError

            assert [{"snoop_spy": [Dial()]}, {}] == s.said

        play(test)

    def test_programs_are_told_what_peers_watch(self) -> None:
        """At the word, at its change, and when nothing was heard for a while; not when a heartbeat repeats it."""

        async def test(s: Scene) -> None:
            program = s.source()
            for _ in range(3):
                s.hear(snoop_trace=[{"charts": ["a"]}])
            s.hear(snoop_trace=[])
            await asyncio.sleep(FRESH_S - 0.1)
            s.snooping.pass_time()
            assert 3 == len(program.watchings)
            await asyncio.sleep(0.2)
            s.snooping.pass_time()
            s.hear(snoop_spy=[])
            s.snooping.gone(PEER)
            s.snooping.detached(program)
            s.hear(snoop_spy=[])

            assert [
                {},
                {"snoop_trace": [Dial(charts=["a"])]},
                {"snoop_trace": []},
                {},
                {"snoop_spy": []},
                {},
            ] == [each.networks for each in program.watchings]

        play(test)

    def test_a_program_that_comes_later_is_told_what_is_watched(self) -> None:
        """At once."""

        async def test(s: Scene) -> None:
            s.hear(snoop_trace=[])

            assert [Watched({"snoop_trace": []})] == s.source().watchings

        play(test)

    def test_hosts_are_shown_with_what_they_accept(self) -> None:
        """Those that the dial takes; a peer that has not been heard comes when it is, and a change is told."""

        async def test(s: Scene) -> None:
            def shown(network: Any, *hosts: str) -> list[tuple[str, str, bool]]:
                rows = s.snooping.hosts(network, Dial(hosts=list(hosts)))
                assert {"host", "node", "remote", "accepts"} == set(rows[0])
                return [(row["host"], row["remote"], row["accepts"]) for row in rows]

            assert [("h0", "off", True)] == shown("snoop_spy")
            change = s.snooping.next_change()
            s.hear(remote="trace")
            assert change.is_set()
            s.hear(OTHER, remote="spy")

            assert [("h0", "off", True), ("h1", "trace", True), ("h2", "spy", True)] == shown("snoop_trace")
            assert [("h0", "off", True), ("h1", "trace", False), ("h2", "spy", True)] == shown("snoop_spy")
            assert [("h1", "trace", True)] == shown("snoop_trace", "h1", "h9")
            change = s.snooping.next_change()
            s.hear(remote="trace")
            assert not change.is_set()
            s.hear(remote="off")
            assert change.is_set()
            assert ("h1", "off", False) == shown("snoop_trace")[1]

        play(test, "off")


class TestTargets:
    def test_lines_go_where_their_network_is_watched(self) -> None:
        """To our own broker when somebody here watches, to another's when somebody there does; else to none."""

        async def test(s: Scene) -> None:
            s.send("snoop.trace")
            assert [[], [], []] == s.published
            s.hear(PEER, snoop_trace=[])
            s.hear(OTHER, snoop_spy=[])
            s.send("snoop.trace")
            assert [[], ["snoop.trace"], []] == s.published
            s.snooping.follow([subscription("snoop_trace", "#")])
            s.send("snoop.trace")
            s.send("snoop.spy", SPY)

            assert [["snoop.trace"], ["snoop.trace"] * 2, ["snoop.spy"]] == s.published
            assert {} == s.board.counters

        play(test)

    def test_lines_go_once_to_a_broker_that_hosts_share(self) -> None:
        """Ours too, when a peer behind it watches."""

        async def test(s: Scene) -> None:
            s.own.nodes = s.far.nodes
            s.far.nodes = {}
            s.hear(PEER, snoop_trace=[])
            s.snooping.follow([subscription("snoop_trace", "#")])
            s.send("snoop.trace")
            s.snooping.follow([])
            s.send("snoop.trace")

            assert [["snoop.trace"] * 2, [], []] == s.published

        play(test)

    def test_who_has_not_the_key_is_sent_nothing(self) -> None:
        """It could not open it."""

        async def test(s: Scene) -> None:
            s.far.nodes[PEER] = Proof(frozenset({Network.MESH, SPY}), 1)
            s.hear(PEER, snoop_trace=[], snoop_spy=[])
            s.send("snoop.trace")
            s.send("snoop.spy", SPY)

            assert [[], ["snoop.spy"], []] == s.published

        play(test)

    def test_who_was_not_heard_for_a_while_is_sent_nothing(self) -> None:
        """Though it may still be a peer, and owed events."""

        async def test(s: Scene) -> None:
            s.hear(PEER, snoop_trace=[])
            await asyncio.sleep(FRESH_S)
            s.send("snoop.trace")

            assert [[], [], []] == s.published

        play(test)

    def test_live_lines_go_before_recalled_ones(self) -> None:
        """Of one read, whichever came first."""

        async def test(s: Scene) -> None:
            s.hear(PEER, snoop_trace=[], snoop_spy=[])
            s.inquiries.recall_here(PEER, RECALL)
            for network, key in ((SPY, "snoop.spy"), (TRACE, recall_key(RECALL.id)), (TRACE, "snoop.trace")):
                record = encode_record(Record(b"C" * 16, 1, 1, 0, 0, "json", "lines", b"", b"[]"))
                s.snooping.outbound.take(Events(network, key, record), 1)
            s.snooping.outbound.flush()

            assert ["snoop.trace", recall_key(RECALL.id), "snoop.spy"] == s.published[1]

        play(test)


class TestRecalls:
    def test_every_program_of_every_host_is_asked(self) -> None:
        """Ours without a way over brokers; each host's word is a row, and hosts stand in no dial any more."""

        async def test(s: Scene) -> None:
            sources = [s.source(), s.source(b"D")]
            s.hear(PEER)
            s.hear(OTHER)
            s.answers = {PEER: Recollection(3), OTHER: Recollection(0, "policy")}
            rows = await s.snooping.recall(RECALL)

            assert [
                {"host": "h0", "node": OWN, "sources": 2, "refused": ""},
                {"host": "h1", "node": PEER, "sources": 3, "refused": ""},
                {"host": "h2", "node": OTHER, "sources": 0, "refused": "policy"},
            ] == rows
            assert [(RECALL, [PEER, OTHER])] == s.asked
            assert [[RECALL], [RECALL]] == [source.recalls for source in sources]

        play(test, "off")

    def test_only_hosts_that_the_dial_takes_are_asked(self) -> None:
        """By their names, or beginnings of their node ids."""

        async def test(s: Scene) -> None:
            program = s.source()
            s.hear(PEER)
            s.hear(OTHER)
            by_name = replace(RECALL, dial=Dial(hosts=["h1"]))
            by_id = replace(RECALL, id="e" * 32, dial=Dial(hosts=[OTHER[:6]]))
            rows = [await s.snooping.recall(recall) for recall in (by_name, by_id)]

            assert [["h1"], ["h2"]] == [[row["host"] for row in each] for each in rows]
            assert [(by_name, [PEER]), (by_id, [OTHER])] == s.asked
            assert [] == program.recalls

        play(test)

    def test_who_has_not_said_its_name_says_whether_it_is_meant(self) -> None:
        """A peer is one as soon as it is proved, and may be heard for the first time a second later."""

        async def test(s: Scene) -> None:
            s.answers = {PEER: Recollection(1, "", "h1"), OTHER: Recollection(0, "", "h2")}
            recall = Recall("e" * 32, "charts", "snoop_trace", Dial(hosts=["h1"]))
            rows = await s.snooping.recall(recall)

            assert [(recall, [PEER, OTHER])] == s.asked
            assert [{"host": "h1", "node": PEER, "sources": 1, "refused": ""}] == rows

        play(test)

    def test_a_recall_of_another_host_is_for_others(self) -> None:
        """Who asks may not know yet what we are called; then no program here is asked, and none of it is refused."""

        async def test(s: Scene) -> None:
            program = s.source()
            others, ours = Dial(hosts=["h1"]), Dial(hosts=[OWN[:6], "h7"], charts=["a"])

            assert Recollection(0) == s.inquiries.recall_here(PEER, replace(RECALL, dial=others))
            assert [] == program.recalls
            assert Recollection(1) == s.inquiries.recall_here(PEER, replace(RECALL, dial=ours))
            assert [RECALL] == program.recalls

        play(test)

    def test_answers_go_to_who_has_asked_and_nowhere_else(self) -> None:
        """Whoever else watches; what nobody has asked for, or on another network, is dropped and counted."""

        async def test(s: Scene) -> None:
            s.hear(OTHER, snoop_trace=[], snoop_spy=[])
            s.source()
            assert Recollection(1) == s.inquiries.recall_here(PEER, RECALL)
            await s.snooping.recall(Recall("e" * 32, "history", "snoop_spy"))
            for recall in (RECALL.id, "e" * 32):
                for network in (TRACE, SPY):
                    s.send(recall_key(recall), network)
            s.send(recall_key("d" * 32))

            expected = [[("snoop.spy", recall_key("e" * 32))], [("snoop.trace", recall_key(RECALL.id))], []]
            assert expected == [each.published for each in (s.own, s.far, s.farther)]
            assert {"unasked": 3} == s.board.counters
            await asyncio.sleep(OPEN_S)
            s.send(recall_key(RECALL.id))
            assert {"unasked": 4} == s.board.counters

        play(test)

    @pytest.mark.parametrize(
        ("remote", "refused"),
        [
            ("off", {"history trace", "history spy", "charts trace", "charts spy"}),
            ("trace", {"history spy"}),
            ("spy", {}),
        ],
    )
    def test_others_see_what_this_host_lets_them(self, remote: Remote, refused: set[str]) -> None:
        """Charts wherever anything may be seen; who is refused makes no program send, and leaves no recall open."""

        async def test(s: Scene) -> None:
            program = s.source()
            answers = {}
            for number, what in enumerate(("history trace", "history spy", "charts trace", "charts spy")):
                kind, network = what.split()
                recall = Recall(f"{number:032}", kind, f"snoop_{network}", Dial())  # type: ignore[arg-type]
                answers[what] = s.inquiries.recall_here(PEER, recall)

            for what, answer in answers.items():
                assert (Recollection(0, "policy") if what in refused else Recollection(1)) == answer, what
            assert 4 - len(refused) == len(program.recalls)

        play(test, remote)

    def test_nobody_is_asked_for_what_could_not_be_sent(self) -> None:
        """On a network without a key here: a program would be closed for trying."""

        async def scene() -> None:
            s = Scene("spy", keys=[TRACE])
            program = s.source()
            answer = s.inquiries.recall_here(PEER, Recall("e" * 32, "charts", "snoop_spy"))
            with pytest.raises(DaemonRefusedError) as refused:
                await s.snooping.recall(Recall("d" * 32, "charts", "snoop_spy"))

            assert Recollection(0, "no_key") == answer
            assert "no_key" == refused.value.code
            assert [] == program.recalls

        run_virtually(scene())

    def test_a_recall_that_comes_again_is_not_answered_again(self) -> None:
        """It is a recording, or a mistake."""

        async def test(s: Scene) -> None:
            program = s.source()
            s.inquiries.recall_here(PEER, RECALL)

            assert Recollection(0, "busy") == s.inquiries.recall_here(PEER, RECALL)
            assert 1 == len(program.recalls)

        play(test)

    def test_too_many_recalls_are_refused(self) -> None:
        """The viewer hears what to do; a peer has its own room."""

        async def test(s: Scene) -> None:
            for number in range(MAX_OPEN):
                await s.snooping.recall(Recall(f"{number:032}", "charts", "snoop_trace"))
            with pytest.raises(DaemonRefusedError, match="ask again in a few seconds") as refused:
                await s.snooping.recall(RECALL)

            assert "too_many_recalls" == refused.value.code
            assert Recollection(0) == s.inquiries.recall_here(PEER, RECALL)

        play(test)

    def test_a_program_that_leaves_by_being_asked_holds_up_nobody(self) -> None:
        """It does not read, so the attempt ends its connection."""

        async def test(s: Scene) -> None:
            stuck, well = s.source(), s.source(b"D")
            stuck.recall = lambda _recall: s.snooping.detached(stuck)  # type: ignore[method-assign]
            s.inquiries.recall_here(PEER, RECALL)

            assert [RECALL] == well.recalls

        play(test)
