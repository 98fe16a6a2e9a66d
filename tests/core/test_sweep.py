"""One search of the LAN in virtual time: whom it asks when, as the kernel finds them or does not."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.core.asking import Place
from mirosd.core.lan_facts import NUD_FAILED, NUD_INCOMPLETE, NUD_REACHABLE, NUD_STALE, AnyAddress, Neighbour
from mirosd.core.lan_networks import LanNetwork
from mirosd.core.sweep import (
    FAST_PER_S,
    HOLD_S,
    MAX_PER_MAC,
    MINUTE_S,
    SILENT_FOR_S,
    SLOT_S,
    SLOW_PER_S,
    Search,
    place_of,
    printed,
)
from tests.properties import EXAMPLES, TOTAL


def network(prefix: str = "10.0.0.0/24", *, ifindex: int = 2, host: int = 1) -> LanNetwork:
    """Give a network that is searched, swept if it is IPv4; our own address in it is its first."""
    net = ip_network(prefix)
    own = net[host]
    is_v4 = isinstance(own, IPv4Address)
    broadcast = net.broadcast_address if is_v4 else ip_address("ff02::1")
    return LanNetwork(
        ifindex,
        f"eth{ifindex - 2}",
        own,
        net,
        broadcast,
        is_swept=is_v4,
        parts=(net,) if is_v4 else (),  # type: ignore[arg-type]
        own=frozenset((own,)),
    )


LAN = network()


class Play:
    """A search, its clock, and a kernel that resolves what is alive and gives the rest up after 3.07 s."""

    def __init__(
        self,
        networks: Sequence[LanNetwork] = (LAN,),
        *,
        mode: str = "auto",
        window: int = 256,
        alive: Iterable[str] = (),
        answering: Iterable[str] = (),
        neighbours: Iterable[Neighbour] = (),
        tells_of_failures: bool = True,
        hears_broadcast: bool = False,
        seed: int = 1,
        before: "Play | None" = None,
    ) -> None:
        self.now_s = before.now_s if before else 0.0
        self.questions = before.questions if before else itertools.count(1)
        self.alive, self.answering = set(alive), set(answering)
        self.tells_of_failures, self.hears_broadcast = tells_of_failures, hears_broadcast
        self.sent: list[tuple[float, str]] = []
        self.asked: list[tuple[float, str]] = []  # sent, but broadcasts
        self.broadcasts: list[tuple[float, str]] = []
        self.most_unresolved = 0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.search = Search(
            networks,
            mode=mode,
            window=window,
            question=lambda: next(self.questions),
            random=random.Random(seed).random,
            now_s=self.now_s,
            neighbours=neighbours,
            before=before.search if before else None,
        )

    def tell(self, address: str, state: int, mac: str = "", *, ifindex: int = 2, is_deleted: bool = False) -> None:
        """The kernel says something of a neighbour."""
        entry = Neighbour(ifindex, ip_address(address), state, mac or f"mac of {address}", is_deleted=is_deleted)
        self.search.neighbour(entry, self.now_s)

    def run(self, until_s: float) -> "Play":
        """Let the time go on; what is alive is resolved after 1 ms, what answers answers 1 ms later."""
        while True:
            next_s = min([self.search.next_s(), *(at_s for at_s, _ in self.later)])
            if next_s > until_s:
                self.now_s = until_s
                return self
            self.now_s = max(next_s, self.now_s)
            for item in sorted(item for item in self.later if item[0] <= self.now_s):
                self.later.remove(item)
                item[1]()
            for send in self.search.due(self.now_s):
                self._take(send.place.address, send.is_for_all)
            self.most_unresolved = max(self.most_unresolved, self.search.unresolved)

    def _take(self, address: str, is_for_all: bool) -> None:
        self.sent.append((self.now_s, address))
        (self.broadcasts if is_for_all else self.asked).append((self.now_s, address))
        if is_for_all:
            for one in self.answering if self.hears_broadcast else ():
                self._after(0.002, one, lambda one=one: self.search.answered(one, broadcast_on=2))  # type: ignore[misc]
        elif address in self.alive | self.answering:
            self._after(0.001, address, lambda: self.tell(address, NUD_REACHABLE))
            if address in self.answering:
                self._after(0.002, address, lambda: self.search.answered(address))
        elif self.tells_of_failures:
            self._after(3.07, address, lambda: self.tell(address, NUD_FAILED))

    def _after(self, delay_s: float, address: str, act: Callable[[], None]) -> None:
        number = len(self.sent) + len(self.later)
        self.later.append((self.now_s + delay_s + number * 1e-9, act))

    def times_of(self, address: str) -> list[float]:
        """Give when an address was asked, rounded to ms."""
        return [round(at_s, 3) for at_s, one in self.asked if one == address]


def hosts(first: int, last: int) -> list[str]:
    """Give 10.0.0.first to 10.0.0.last."""
    return [f"10.0.0.{number}" for number in range(first, last + 1)]


class TestBroadcasts:
    def test_five_and_then_one_a_minute(self) -> None:
        """At 0, .15, .4, .8 and 1.6 s, then every 60 s; each a little off."""
        play = Play(mode="off").run(200.0)
        times = [at_s for at_s, _ in play.broadcasts]

        for planned_s, at_s in zip((0.0, 0.15, 0.4, 0.8, 1.6), times, strict=False):
            assert 0.9 * planned_s <= at_s <= 1.1 * planned_s
        pauses = [after - before for before, after in itertools.pairwise(times[4:])]
        assert 2 <= len(pauses)
        assert all(0.8 * MINUTE_S <= pause <= 1.2 * MINUTE_S for pause in pauses)
        assert len({round(pause, 6) for pause in pauses}) == len(pauses)

    def test_dice_spread_them(self) -> None:
        """Hosts that began together do not go on together."""
        one, other = ([at_s for at_s, _ in Play(mode="off", seed=seed).run(100.0).broadcasts] for seed in (1, 2))

        assert one[0] == other[0] == 0.0
        assert all(a != b for a, b in zip(one[1:], other[1:], strict=True))

    def test_one_to_each_network(self) -> None:
        """From the network's own address, by its interface; IPv6 by ff02::1 with its zone."""
        lans = [LAN, network("10.1.0.0/24", ifindex=3), network("fe80::/64", ifindex=3)]
        play = Play(lans)

        sends = [send for send in play.search.due(0.0) if send.is_for_all]

        assert [
            Place("10.0.0.255", 2, "10.0.0.1"),
            Place("10.1.0.255", 3, "10.1.0.1"),
            Place("ff02::1%eth1", 3, "fe80::1"),
        ] == [send.place for send in sends]

    def test_each_minute_s_is_a_question_of_its_own(self) -> None:
        """So that who answers it is told of anew; the first five are one."""
        search = Play(mode="off").search
        questions = []
        now_s = 0.0
        for _ in range(7):
            now_s = search.next_s()
            questions += [send.question for send in search.due(now_s)]

        assert [1, 1, 1, 1, 1, 2, 3] == questions

    def test_a_late_loop_sends_one(self) -> None:
        """Broadcasts that were missed are not made good all at once."""
        search = Play(mode="off").search

        assert 1 == len(search.due(1.0))
        assert [] == search.due(1.1)


class TestSweep:
    def test_begins_when_broadcasts_had_their_chance(self) -> None:
        """Nobody is asked before 0.25 s; then everybody once, at 300/s, in no order."""
        play = Play().run(3.0)
        addresses = [address for _, address in play.asked]

        assert pytest.approx(0.25) == play.asked[0][0]
        assert set(hosts(2, 254)) == set(addresses)
        assert 253 == len(addresses)
        assert sorted(addresses, key=ip_address) != addresses
        assert pytest.approx(0.25 + 252 / FAST_PER_S, abs=0.02) == play.asked[-1][0]

    def test_our_own_address_is_not_asked(self) -> None:
        """Nor are the network's two ends."""
        addresses = {address for _, address in Play().run(3.0).asked}

        assert not addresses & {"10.0.0.0", "10.0.0.1", "10.0.0.255"}

    def test_off(self) -> None:
        """Then no address is asked that the kernel does not know already."""
        assert [] == Play(mode="off").run(30.0).asked

    def test_networks_that_are_not_swept(self) -> None:
        """Large, public and IPv6 networks get their broadcast, and no more."""
        large = LAN._replace(is_swept=False)
        play = Play([large, network("fe80::/64")]).run(30.0)

        assert [] == play.asked
        assert {"10.0.0.255", "ff02::1%eth0"} == {address for _, address in play.broadcasts}

    @pytest.mark.parametrize(
        ("mode", "hears", "rate"),
        [("auto", False, FAST_PER_S), ("auto", True, SLOW_PER_S), ("always", True, FAST_PER_S)],
    )
    def test_mode(self, mode: str, hears: bool, rate: float) -> None:
        """auto: in the background once a broadcast was answered, fast while none was; always: fast."""
        play = Play(mode=mode, answering=hosts(2, 200), hears_broadcast=hears)
        play.answering = {"10.0.0.9"} if hears else play.answering
        play.run(1.0)

        assert pytest.approx(rate * 0.5, abs=2) == len([at_s for at_s, _ in play.asked if at_s < 0.75])

    def test_each_network_has_its_own_pace(self) -> None:
        """Where broadcasts pass the sweep is slow; the network that drops them is swept fast all the same."""
        other = network("10.1.0.0/24", ifindex=3)
        play = Play([LAN, other])
        play.search.answered("10.0.0.9", broadcast_on=2)
        play.run(0.75)
        asked = Counter(address.rpartition(".")[0] for _, address in play.asked)

        assert {
            "10.0.0": pytest.approx(SLOW_PER_S * 0.5, abs=2),
            "10.1.0": pytest.approx(FAST_PER_S * 0.5, abs=2),
        } == asked

    def test_who_answered_is_not_asked(self) -> None:
        """An answer to a broadcast spares the address its own datagram."""
        play = Play(mode="always", answering=hosts(2, 100), hears_broadcast=True).run(3.0)

        assert set(hosts(101, 254)) == {address for _, address in play.asked}

    def test_a_paused_loop_does_not_burst(self) -> None:
        """After a second's pause no more than 50 ms' worth of addresses is sent at once."""
        search = Play().search
        search.due(0.25)

        assert 10 <= len([send for send in search.due(1.25) if not send.is_for_all]) <= 20


class TestWindow:
    def test_246_dead_addresses_never_fill_it(self) -> None:
        """A /24 with eight hosts alive: nobody waits for a slot, and who is alive is asked in the first round."""
        play = Play(mode="always", answering=hosts(2, 9)).run(3.0)

        assert play.most_unresolved < 256
        assert set(hosts(2, 254)) == {address for _, address in play.asked}
        assert play.asked[-1][0] < 0.25 + SLOT_S

    @pytest.mark.parametrize("window", [32, 100])
    def test_no_more_at_a_time(self, window: int) -> None:
        """Dead addresses take their slots until the kernel gives them up; then the next have their turn."""
        play = Play(window=window).run(60.0)

        assert window == play.most_unresolved
        assert set(hosts(2, 254)) == {address for _, address in play.asked}
        assert play.asked[-1][0] > 3.07 * (252 // window)

    def test_events_free_the_slots(self) -> None:
        """FAILED after 3.07 s is earlier than our own 3.6 s, and without events those hold."""
        told = Play(window=32).run(60.0).asked[32][0] - 0.25
        untold = Play(window=32, tells_of_failures=False).run(60.0).asked[32][0] - 0.25

        assert (pytest.approx(3.07, abs=0.01), pytest.approx(SLOT_S, abs=0.01)) == (told, untold)

    def test_a_deleted_entry_frees_its_slot(self) -> None:
        """The kernel's cleaning, or a cable that came out, ends the asking too."""
        play = Play(window=32, tells_of_failures=False).run(1.0)
        for _, address in list(play.asked):
            play.tell(address, NUD_INCOMPLETE, is_deleted=True)

        assert 0 == play.search.unresolved
        assert 64 == len(play.run(2.0).asked)

    def test_incomplete_is_no_end(self) -> None:
        """An entry that the kernel still asks for keeps its slot."""
        play = Play(window=32, tells_of_failures=False).run(1.0)
        play.tell(play.asked[0][1], NUD_INCOMPLETE)

        assert 32 == play.search.unresolved

    def test_those_alive_take_none(self) -> None:
        """A full network of hosts that are alive is swept at full speed through the smallest window."""
        play = Play(window=32, answering=hosts(2, 254), mode="always").run(3.0)

        assert pytest.approx(0.25 + 252 / FAST_PER_S, abs=0.03) == play.asked[-1][0]

    def test_nor_do_the_silent_ones(self) -> None:
        """A MAC is enough."""
        play = Play(window=32, alive=hosts(2, 254), mode="always").run(3.0)

        assert pytest.approx(0.25 + 252 / FAST_PER_S, abs=0.03) == max(play.times_of(a)[0] for a in play.alive)

    def test_an_answer_frees_its_slot(self) -> None:
        """Although the kernel's event was lost."""
        play = Play(window=32, tells_of_failures=False).run(1.0)
        play.search.answered(play.asked[0][1])

        assert 31 == play.search.unresolved

    def test_a_new_search_counts_what_still_waits(self) -> None:
        """Two searches in a second leave no more waiting than one; an address is asked again when its slot is free."""
        first = Play(tells_of_failures=False).run(1.2)
        second = Play(before=first, tells_of_failures=False)

        assert 253 == second.search.unresolved
        second.run(4.0)
        assert second.most_unresolved <= 256
        assert 253 == len(second.run(10.0).asked)
        before = {address: at_s for at_s, address in first.asked}
        assert all(at_s >= before[address] + SLOT_S for at_s, address in second.asked)

    def test_a_new_search_begins_where_the_last_one_ended(self) -> None:
        """What has not been asked yet comes first, and waits for no slot."""
        first = Play(tells_of_failures=False).run(0.6)
        unasked = set(hosts(2, 254)) - {address for _, address in first.asked}
        second = Play(before=first, tells_of_failures=False).run(0.6 + 0.25 + len(unasked) / FAST_PER_S)

        assert 100 < len(unasked) < 200
        assert unasked == {address for _, address in second.asked}

    def test_a_full_socket_is_waited_for(self) -> None:
        """What the socket had no room for is asked again 0.1 s later, and nobody is forgotten."""
        search = Play().search
        asked: list[str] = []
        full = (refused := next(send for send in search.due(0.25) if not send.is_for_all)).place.address
        search.unsent(refused, 0.25)

        assert pytest.approx(0.25 + HOLD_S) == search.next_s()
        for at in range(200):
            asked += [send.place.address for send in search.due(0.35 + at / 100) if not send.is_for_all]
        assert full == asked[0]
        assert Counter(hosts(2, 254)) == Counter(asked)


class TestResends:
    def test_resolved_and_silent(self) -> None:
        """Four more datagrams to who has a MAC and says nothing: .12 s after the event, then .2, .4, .8 s later."""
        play = Play(alive=["10.0.0.9"], mode="always").run(30.0)
        first, *again = play.times_of("10.0.0.9")

        assert [pytest.approx(first + 0.001 + after, abs=2e-3) for after in (0.12, 0.32, 0.72, 1.52)] == again

    def test_the_dead_cost_nothing(self) -> None:
        """Who has no MAC is asked once."""
        play = Play(alive=["10.0.0.9"], mode="always").run(30.0)

        assert {1} == {count for address, count in Counter(a for _, a in play.asked).items() if address != "10.0.0.9"}

    def test_an_answer_ends_them(self) -> None:
        """Whenever it comes."""
        play = Play(alive=["10.0.0.9"], mode="always").run(2.0)
        before = len(play.times_of("10.0.0.9"))
        play.search.answered("10.0.0.9")

        assert before == len(play.run(30.0).times_of("10.0.0.9"))

    def test_neighbours_at_the_beginning(self) -> None:
        """Who has a MAC already is asked at once, for it costs no ARP, and again while silent; four times in all."""
        known = [
            Neighbour(2, ip_address("10.0.0.9"), NUD_STALE, "m9"),
            Neighbour(2, ip_address("10.0.0.8"), NUD_REACHABLE, "m8"),
            Neighbour(2, ip_address("10.0.0.7"), NUD_FAILED, ""),
            Neighbour(2, ip_address("10.9.0.9"), NUD_REACHABLE, "m"),
            Neighbour(3, ip_address("10.0.0.6"), NUD_REACHABLE, "m"),
        ]
        play = Play(neighbours=known, mode="off").run(30.0)

        assert {"10.0.0.9", "10.0.0.8"} == {address for _, address in play.asked}
        assert [0.0, 0.2, 0.6, 1.4] == play.times_of("10.0.0.9")

    def test_a_neighbour_that_appears(self) -> None:
        """Somebody who is seen long after the sweep gets a probe of its own, without a new search."""
        play = Play(mode="off", tells_of_failures=False).run(30.0)
        play.tell("10.0.0.9", NUD_STALE)

        assert [30.12, 30.32, 30.72, 31.52] == play.run(40.0).times_of("10.0.0.9")

    def test_is_remembered(self) -> None:
        """Who answered none of them is let be, however often the kernel looks at him."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        for second in range(1, 300):
            play.tell("10.0.0.9", NUD_REACHABLE if second % 2 else NUD_STALE)
            play.run(float(second + 1))

        assert 4 == len(play.times_of("10.0.0.9"))

    def test_who_comes_back_is_asked_again(self) -> None:
        """After he was gone, and a minute after the last time."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        play.tell("10.0.0.9", NUD_REACHABLE)
        play.run(10.0)
        play.tell("10.0.0.9", NUD_FAILED)
        play.tell("10.0.0.9", NUD_REACHABLE)
        assert 4 == len(play.run(20.0).times_of("10.0.0.9"))

        play.run(10.0 + SILENT_FOR_S)
        play.tell("10.0.0.9", NUD_REACHABLE)
        assert 8 == len(play.run(100.0).times_of("10.0.0.9"))

    @pytest.mark.parametrize("had_answered", [True, False])
    def test_another_host_under_the_address(self, had_answered: bool) -> None:
        """A new MAC is another host: it is asked at once, whatever the last one did."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        play.tell("10.0.0.9", NUD_REACHABLE, "the old one")
        play.run(5.0)
        if had_answered:
            play.search.answered("10.0.0.9")
        before = len(play.times_of("10.0.0.9"))
        play.tell("10.0.0.9", NUD_STALE, "the new one")

        assert before + 4 == len(play.run(10.0).times_of("10.0.0.9"))
        play.tell("10.0.0.9", NUD_REACHABLE, "the new one")
        assert before + 4 == len(play.run(20.0).times_of("10.0.0.9"))

    def test_another_host_after_an_early_answer(self) -> None:
        """Also where the first answered before the kernel said anything of it."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        play.search.answered("10.0.0.9")
        play.tell("10.0.0.9", NUD_REACHABLE, "the old one")
        play.tell("10.0.0.9", NUD_REACHABLE, "the new one")

        assert 4 == len(play.run(10.0).asked)

    def test_a_deleted_entry_is_nobody_new(self) -> None:
        """The kernel tells what it has known of an entry when it forgets it."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        play.tell("10.0.0.9", NUD_STALE, is_deleted=True)

        assert [] == play.run(10.0).asked

    def test_an_event_after_the_answer_changes_nothing(self) -> None:
        """The kernel may tell of a host later than the host does."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        play.search.answered("10.0.0.9")
        play.tell("10.0.0.9", NUD_REACHABLE, "m")
        play.tell("10.0.0.9", NUD_STALE, "m")

        assert [] == play.run(10.0).asked

    def test_a_router_that_speaks_for_everybody(self) -> None:
        """More than 16 addresses of one MAC are nobody: no more is sent to them (proxy ARP)."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        for address in hosts(10, 10 + MAX_PER_MAC):
            play.tell(address, NUD_REACHABLE, "the router's")

        assert [] == play.run(10.0).asked
        assert {"the router's"} == play.search.crowds()

    def test_sixteen_may_be_one_host(self) -> None:
        """A host with many addresses is asked at each."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        for address in hosts(10, 9 + MAX_PER_MAC):
            play.tell(address, NUD_REACHABLE, "one host's")

        assert 4 * MAX_PER_MAC == len(play.run(10.0).asked)
        assert frozenset() == play.search.crowds()

    def test_addresses_that_are_gone_leave_the_crowd(self) -> None:
        """What is counted is what is there now."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        play.tell("10.0.0.10", NUD_REACHABLE, "another")
        for address in hosts(10, 10 + MAX_PER_MAC):
            play.tell(address, NUD_REACHABLE, "m")
        assert {"m"} == play.search.crowds()
        play.tell("10.0.0.10", NUD_FAILED, "m")

        assert frozenset() == play.search.crowds()

    def test_addresses_that_move_leave_the_crowd(self) -> None:
        """An address that has another MAC now is not counted for the old one."""
        play = Play(mode="off", tells_of_failures=False).run(1.0)
        for address in hosts(10, 10 + MAX_PER_MAC):
            play.tell(address, NUD_REACHABLE, "m")
        play.tell("10.0.0.10", NUD_REACHABLE, "another")

        assert frozenset() == play.search.crowds()

    def test_a_crowd_takes_no_slots(self) -> None:
        """Who has a MAC is not looked for: the sweep asks it once and waits for nothing."""
        router = [Neighbour(2, ip_address(address), NUD_REACHABLE, "m") for address in hosts(10, 10 + MAX_PER_MAC)]
        play = Play(neighbours=router, mode="always", tells_of_failures=False).run(2.0)

        assert 253 == len(play.asked)
        assert 253 - len(router) == play.search.unresolved

    def test_ipv6_neighbours(self) -> None:
        """A link-local neighbour is asked with its zone, and only on its own link."""
        play = Play(
            [network("fe80::/64"), network("fe80::/64", ifindex=3, host=2)], mode="off", tells_of_failures=False
        ).run(1.0)
        play.tell("fe80::9", NUD_REACHABLE, ifindex=3)

        assert {"fe80::9%eth1"} == {address for _, address in play.run(5.0).asked}


def test_a_new_search_begins_anew() -> None:
    """What was asked and answered before is asked again."""
    first = Play(mode="always", answering=hosts(2, 254)).run(5.0)
    second = Play(before=first, mode="always", answering=hosts(2, 254))
    second.run(10.0)

    assert 5.0 == second.broadcasts[0][0]
    assert set(hosts(2, 254)) == {address for _, address in second.asked}
    assert first.search.question != second.search.question


def test_no_networks() -> None:
    """A host without a LAN asks nobody, for ever."""
    assert [] == Play(()).run(1000.0).sent


ADDRESSES = st.sampled_from([*hosts(0, 20), "10.0.0.255", "10.1.0.7", "fe80::7", "ff02::1", "192.168.0.1"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("time"), st.floats(0.0, 30.0)),
        st.tuples(
            st.just("neighbour"),
            ADDRESSES,
            st.integers(0, 255),
            st.sampled_from(["", "m1", "m2"]),
            st.integers(1, 3),
            st.booleans(),
        ),
        st.tuples(st.just("answered"), ADDRESSES),
        st.tuples(st.just("unsent"), st.integers(0, 10)),
    ),
    max_size=60,
)


@settings(TOTAL, max_examples=min(EXAMPLES, 1000))  # each is a whole search
@given(STEPS, st.integers(1, 10), st.sampled_from(["auto", "always", "off"]))
def test_whatever_happens(steps: list[tuple[object, ...]], window: int, mode: str) -> None:
    """Nothing goes to another network or to ourselves, the window holds, and something is always due later."""
    small = network("10.0.0.0/28")
    networks = (small, network("fe80::/64", ifindex=3))
    search = Search(
        networks,
        mode=mode,
        window=window,
        question=itertools.count(1).__next__,
        random=random.Random(1).random,
        now_s=0.0,
    )
    now_s = 0.0
    allowed = {f"{address}" for address in small.network if small.may_ask(address)} | {"10.0.0.15", "ff02::1%eth1"}
    sends = []
    for what, *more in steps:
        if what == "time":
            now_s += more[0]  # type: ignore[operator]
            sends = search.due(now_s)
            assert all(send.place.address in allowed or send.place.address == "fe80::7%eth1" for send in sends)
            assert all(send.place.ifindex in (2, 3) and send.place.source for send in sends)
            assert search.unresolved <= window
            assert search.next_s() > now_s or sends
        elif what == "neighbour":
            address, state, mac, ifindex, is_deleted = more
            entry = Neighbour(ifindex, ip_address(address), state, mac, is_deleted=is_deleted)  # type: ignore[arg-type]
            search.neighbour(entry, now_s)
        elif what == "answered":
            search.answered(more[0])  # type: ignore[arg-type]
        elif sends:
            search.unsent(sends[more[0] % len(sends)], now_s)  # type: ignore[operator]
    assert search.next_s() <= now_s + 1.2 * MINUTE_S


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.0.0.7", "10.0.0.7"), ("169.254.0.7", "169.254.0.7"), ("fe80::7", "fe80::7%eth0"), ("fd00::7", "fd00::7")],
)
def test_printed(address: str, expected: str) -> None:
    """Only an address that means something on one link alone carries the link's name."""
    assert expected == printed(ip_address(address), "eth0")


@pytest.mark.parametrize(
    ("address", "ifindex", "expected"),
    [
        ("10.0.0.7", 0, Place("10.0.0.7", 2, "10.0.0.1")),
        ("10.0.0.7", 2, Place("10.0.0.7", 2, "10.0.0.1")),
        ("10.0.0.7", 3, None),
        ("10.0.0.1", 0, None),
        ("10.0.0.255", 0, None),
        ("10.9.0.7", 0, None),
    ],
)
def test_place_of(address: str, ifindex: int, expected: Place | None) -> None:
    """An address of a network is reached by its interface, from our address there; others have no place."""
    found: AnyAddress = ip_address(address)

    assert expected == place_of([LAN], found, ifindex)
