"""Mongol horse archers, who win by deceit in detail: each is a statechart, and together they are one unit.

They advance, circle the enemy and shoot, skirmish until the enemy's officers are lured out, flee from them shooting
backwards, and gather again. Nobody commands: who is the first to change its tactic yells, and the others follow. Start
archers on as many hosts as you like, several in one program if you like:

    python examples/horse_archer.py --archers 4 --speed 20

and look at them from any of these hosts with `mirosctl charts` and `mirosctl trace --sequence`, or command them:
`mirosctl send Senior_Retreat_War_Cry --key archer.general`.

    battle                     ENTRY / yell Other_Arrival_On_Field
    |                          INIT -> deceit_in_detail
    |                          Other_Arrival_On_Field: remember the other archer
    |
    +- deceit_in_detail        ENTRY / 60 arrows; a Second every second          EXIT / forget Second
       |                       INIT -> advance
       |                       Advance_War_Cry, Other_Advance_War_Cry -> advance
       |                       Skirmish_War_Cry, Other_Skirmish_War_Cry -> skirmish
       |                       Retreat_War_Cry, Other_Retreat_War_Cry -> feigned_retreat
       |                       Senior_Advance_War_Cry, Senior_Skirmish_War_Cry, Senior_Retreat_War_Cry: as one's own
       |                       Other_Retreat_Ready_War_Cry, Other_Ready_War_Cry: what the other does
       |                       Reset_Tactic -> deceit_in_detail
       |
       +- advance              ENTRY / yell Other_Advance_War_Cry; after 3 s: Close_Enough_For_Circle
       |  |                    EXIT / forget Close_Enough_For_Circle
       |  |                    Close_Enough_For_Circle -> circle_and_fire
       |  |                    Advance_War_Cry, Other_Advance_War_Cry: nothing, or they would yell for ever
       |  |
       |  +- circle_and_fire   Second / every sixth: 1 to 3 arrows less; below 20: Skirmish_War_Cry
       |
       +- skirmish             ENTRY / yell Other_Skirmish_War_Cry; after 40 to 200 s: Officer_Lured
       |  |                    EXIT / forget Officer_Lured, Retreat_War_Cry
       |  |                    Second / four of ten: an arrow less; below 10: Ammunition_Low
       |  |                    Officer_Lured: Retreat_War_Cry
       |  |                    Ammunition_Low: Retreat_Ready_War_Cry
       |  |                    Retreat_Ready_War_Cry -> waiting_to_lure, / after 10 to 50 s if all others alive wait,
       |  |                        else after 30 to 60 s: Retreat_War_Cry
       |  |                    Skirmish_War_Cry, Other_Skirmish_War_Cry: nothing
       |  |
       |  +- waiting_to_lure   ENTRY / yell Other_Retreat_Ready_War_Cry
       |                       Second, Ammunition_Low, Retreat_Ready_War_Cry: nothing
       |
       +- feigned_retreat      ENTRY / yell Other_Retreat_War_Cry
       |                       Second / eight of ten: an arrow less; none left: Out_Of_Arrows
       |                       Out_Of_Arrows -> marshal
       |                       Retreat_War_Cry, Other_Retreat_War_Cry: nothing
       |
       +- marshal              ENTRY / 60 arrows; after 60 s: Ready              EXIT / forget Ready
          |                    Ready -> waiting_to_advance
          |
          +- waiting_to_advance   ENTRY / yell Other_Ready_War_Cry; after 130 to 300 s: Advance_War_Cry
                                  EXIT / forget Advance_War_Cry
                                  at ENTRY and with each Other_Ready_War_Cry: all others alive wait: Advance_War_Cry

Two patterns are in it. A race of many charts: yell upon entry, and do nothing about the same yell while you are there.
So the first one takes all others along, and no two answer each other for ever. A wait of many charts for each other:
each keeps a small statechart of every other (other_archer.py) and asks these whether all are ready.
"""

import argparse
import random

from other_archer import OtherArcher
from running import run_all

from mirosd_client import Event, NetworkedFactory, return_status, signals

NAMES = ("Batu", "Berke", "Boorchu", "Chagatai", "Hulagu", "Jebe", "Jochi", "Kublai", "Muqali", "Subutai", "Tolui")
QUIVER = 60  # arrows


class HorseArcher(NetworkedFactory):
    """One archer. `speed` is how many times faster than life its battle goes; `dice` decide what war leaves open."""

    def __init__(self, name, speed=1.0, dice=None, **options):
        super().__init__(name, tx_routing_key=f"archer.{name}", rx_routing_key="archer.#", **options)
        self.speed = speed
        self.dice = dice or random.Random()
        self.arrows = self.ticks = 0
        self.others = {}  # by name

        self.battle = self.add_state(
            "battle",
            None,
            ENTRY_SIGNAL=self.battle_ENTRY,
            INIT_SIGNAL=self.battle_INIT,
            Other_Arrival_On_Field=self.battle_Other_Arrival_On_Field,
        )
        self.deceit_in_detail = self.add_state(
            "deceit_in_detail",
            self.battle,
            ENTRY_SIGNAL=self.deceit_in_detail_ENTRY,
            INIT_SIGNAL=self.deceit_in_detail_INIT,
            EXIT_SIGNAL=self.deceit_in_detail_EXIT,
            Advance_War_Cry=self.deceit_in_detail_Advance_War_Cry,
            Other_Advance_War_Cry=self.deceit_in_detail_Other_Advance_War_Cry,
            Skirmish_War_Cry=self.deceit_in_detail_Skirmish_War_Cry,
            Other_Skirmish_War_Cry=self.deceit_in_detail_Other_Skirmish_War_Cry,
            Retreat_War_Cry=self.deceit_in_detail_Retreat_War_Cry,
            Other_Retreat_War_Cry=self.deceit_in_detail_Other_Retreat_War_Cry,
            Senior_Advance_War_Cry=self.obey,
            Senior_Skirmish_War_Cry=self.obey,
            Senior_Retreat_War_Cry=self.obey,
            Other_Retreat_Ready_War_Cry=self.listen,
            Other_Ready_War_Cry=self.listen,
            Reset_Tactic=self.deceit_in_detail_Reset_Tactic,
        )
        self.advance = self.add_state(
            "advance",
            self.deceit_in_detail,
            ENTRY_SIGNAL=self.advance_ENTRY,
            EXIT_SIGNAL=self.advance_EXIT,
            Close_Enough_For_Circle=self.advance_Close_Enough_For_Circle,
            Advance_War_Cry=self.stay,
            Other_Advance_War_Cry=self.listen,
        )
        self.circle_and_fire = self.add_state("circle_and_fire", self.advance, Second=self.circle_and_fire_Second)
        self.skirmish = self.add_state(
            "skirmish",
            self.deceit_in_detail,
            ENTRY_SIGNAL=self.skirmish_ENTRY,
            EXIT_SIGNAL=self.skirmish_EXIT,
            Second=self.skirmish_Second,
            Officer_Lured=self.skirmish_Officer_Lured,
            Ammunition_Low=self.skirmish_Ammunition_Low,
            Retreat_Ready_War_Cry=self.skirmish_Retreat_Ready_War_Cry,
            Skirmish_War_Cry=self.stay,
            Other_Skirmish_War_Cry=self.listen,
        )
        self.waiting_to_lure = self.add_state(
            "waiting_to_lure",
            self.skirmish,
            ENTRY_SIGNAL=self.waiting_to_lure_ENTRY,
            Second=self.stay,
            Ammunition_Low=self.stay,
            Retreat_Ready_War_Cry=self.stay,
        )
        self.feigned_retreat = self.add_state(
            "feigned_retreat",
            self.deceit_in_detail,
            ENTRY_SIGNAL=self.feigned_retreat_ENTRY,
            Second=self.feigned_retreat_Second,
            Out_Of_Arrows=self.feigned_retreat_Out_Of_Arrows,
            Retreat_War_Cry=self.stay,
            Other_Retreat_War_Cry=self.listen,
        )
        self.marshal = self.add_state(
            "marshal",
            self.deceit_in_detail,
            ENTRY_SIGNAL=self.marshal_ENTRY,
            EXIT_SIGNAL=self.marshal_EXIT,
            Ready=self.marshal_Ready,
        )
        self.waiting_to_advance = self.add_state(
            "waiting_to_advance",
            self.marshal,
            ENTRY_SIGNAL=self.waiting_to_advance_ENTRY,
            EXIT_SIGNAL=self.waiting_to_advance_EXIT,
            Other_Ready_War_Cry=self.waiting_to_advance_Other_Ready_War_Cry,
        )

    def add_state(self, name, parent, **handlers):
        """Create a state inside another one: what it does about each signal."""
        state = self.create(state=name)
        for signal, handler in handlers.items():
            state.catch(signal=getattr(signals, signal), handler=handler)
        made = state.to_method()
        self.nest(made, parent=parent)
        return made

    # What several states do.

    def stay(self, e):
        """Do nothing about it, nor let an outer state do anything."""
        return return_status.HANDLED

    def listen(self, e):
        """Note what the other archer does."""
        self.note(e)
        return return_status.HANDLED

    def obey(self, e):
        """Do as if it were one's own idea."""
        self.post(e.signal_name.removeprefix("Senior_"))
        return return_status.HANDLED

    # battle

    def battle_ENTRY(self, e):
        """Be heard."""
        self.yell("Other_Arrival_On_Field")
        return return_status.HANDLED

    def battle_INIT(self, e):
        """There is one strategy."""
        return self.trans(self.deceit_in_detail)

    def battle_Other_Arrival_On_Field(self, e):
        """Remember who came."""
        self.other(e.payload)
        return return_status.HANDLED

    # deceit_in_detail

    def deceit_in_detail_ENTRY(self, e):
        """Begin with a full quiver."""
        self.arrows, self.ticks = QUIVER, 0
        self.post_fifo(Event(signal=signals.Second), period=1 / self.speed)
        return return_status.HANDLED

    def deceit_in_detail_INIT(self, e):
        """First of all, at them."""
        return self.trans(self.advance)

    def deceit_in_detail_EXIT(self, e):
        """Or the next entry would add a second clock."""
        self.forget("Second")
        return return_status.HANDLED

    def deceit_in_detail_Advance_War_Cry(self, e):
        """Ride on; who was not ready is left behind."""
        self.note_own(e)
        return self.trans(self.advance)

    def deceit_in_detail_Other_Advance_War_Cry(self, e):
        """Follow."""
        self.note(e)
        return self.trans(self.advance)

    def deceit_in_detail_Skirmish_War_Cry(self, e):
        """Close in."""
        self.note_own(e)
        return self.trans(self.skirmish)

    def deceit_in_detail_Other_Skirmish_War_Cry(self, e):
        """Follow."""
        self.note(e)
        return self.trans(self.skirmish)

    def deceit_in_detail_Retreat_War_Cry(self, e):
        """Feign a retreat; who was not ready is left behind."""
        self.note_own(e)
        return self.trans(self.feigned_retreat)

    def deceit_in_detail_Other_Retreat_War_Cry(self, e):
        """Follow."""
        self.note(e)
        return self.trans(self.feigned_retreat)

    def deceit_in_detail_Reset_Tactic(self, e):
        """Begin anew."""
        return self.trans(self.deceit_in_detail)

    # advance

    def advance_ENTRY(self, e):
        """Charge, until close enough."""
        self.yell("Other_Advance_War_Cry")
        self.snoop_scribble("charges")
        self.soon("Close_Enough_For_Circle", 3)
        return return_status.HANDLED

    def advance_EXIT(self, e):
        """Called off."""
        self.forget("Close_Enough_For_Circle")
        return return_status.HANDLED

    def advance_Close_Enough_For_Circle(self, e):
        """Turn."""
        return self.trans(self.circle_and_fire)

    def circle_and_fire_Second(self, e):
        """Shoot when the circle brings the enemy in reach."""
        self.ticks += 1
        if self.ticks % 6 == 0:
            self.shoot(self.dice.randint(1, 3))
            if self.arrows < 20:
                self.post("Skirmish_War_Cry")
        return return_status.HANDLED

    # skirmish

    def skirmish_ENTRY(self, e):
        """Tease them until an officer gives chase."""
        self.yell("Other_Skirmish_War_Cry")
        self.soon("Officer_Lured", self.dice.randint(40, 200))
        return return_status.HANDLED

    def skirmish_EXIT(self, e):
        """Neither is to come any more."""
        self.forget("Officer_Lured")
        self.forget("Retreat_War_Cry")
        return return_status.HANDLED

    def skirmish_Second(self, e):
        """Aim well."""
        if self.dice.random() < 0.4:
            self.shoot(1)
        if self.arrows < 10:
            self.post("Ammunition_Low")
        return return_status.HANDLED

    def skirmish_Officer_Lured(self, e):
        """Run, at once."""
        self.post("Retreat_War_Cry")
        return return_status.HANDLED

    def skirmish_Ammunition_Low(self, e):
        """Keep the rest for the retreat."""
        self.post("Retreat_Ready_War_Cry")
        return return_status.HANDLED

    def skirmish_Retreat_Ready_War_Cry(self, e):
        """Give the others some time; less if they need none."""
        self.soon("Retreat_War_Cry", self.dice.randint(*((10, 50) if self.all_wait else (30, 60))))
        return self.trans(self.waiting_to_lure)

    def waiting_to_lure_ENTRY(self, e):
        """Fight on, with the scimitar."""
        self.yell("Other_Retreat_Ready_War_Cry")
        self.snoop_scribble(f"draws the scimitar: {self.arrows} arrows left")
        return return_status.HANDLED

    # feigned_retreat

    def feigned_retreat_ENTRY(self, e):
        """Flee."""
        self.yell("Other_Retreat_War_Cry")
        self.snoop_scribble("flees, or so they think")
        return return_status.HANDLED

    def feigned_retreat_Second(self, e):
        """Shoot backwards."""
        if self.dice.random() < 0.8:
            self.shoot(1)
        if not self.arrows:
            self.post("Out_Of_Arrows")
        return return_status.HANDLED

    def feigned_retreat_Out_Of_Arrows(self, e):
        """Gather."""
        return self.trans(self.marshal)

    # marshal

    def marshal_ENTRY(self, e):
        """Take new arrows, and rest."""
        self.arrows = QUIVER
        self.soon("Ready", 60)
        return return_status.HANDLED

    def marshal_EXIT(self, e):
        """Rested, or disturbed."""
        self.forget("Ready")
        return return_status.HANDLED

    def marshal_Ready(self, e):
        """Wait for the others."""
        return self.trans(self.waiting_to_advance)

    def waiting_to_advance_ENTRY(self, e):
        """Ride when all are ready, or when it has been long enough."""
        self.yell("Other_Ready_War_Cry")
        self.soon("Advance_War_Cry", self.dice.randint(130, 300))
        self.advance_if_all_wait()
        return return_status.HANDLED

    def waiting_to_advance_EXIT(self, e):
        """It is on."""
        self.forget("Advance_War_Cry")
        return return_status.HANDLED

    def waiting_to_advance_Other_Ready_War_Cry(self, e):
        """Perhaps it was the last one."""
        self.note(e)
        self.advance_if_all_wait()
        return return_status.HANDLED

    # What an archer can do.

    @property
    def all_wait(self):
        """Every other archer that is alive is ready, for all that we know."""
        return all(other.is_waiting for other in self.others.values() if not other.is_dead)

    def advance_if_all_wait(self):
        """Do not wait for nobody."""
        if self.all_wait:
            self.post("Advance_War_Cry")

    def shoot(self, arrows):
        """Have so many less."""
        self.arrows = max(0, self.arrows - arrows)

    def yell(self, signal):
        """Transmit an event that says who yells."""
        self.transmit(Event(signal=signal, payload=self.name))

    def other(self, name):
        """Give what we know of an archer; of an unknown one that it is there."""
        return self.others.setdefault(name, OtherArcher())

    def note(self, e):
        """Tell what we know of the archer who yelled."""
        self.other(e.payload).dispatch(e)

    def note_own(self, e):
        """Tell all that we know what we do."""
        for other in self.others.values():
            other.dispatch(e)

    def post(self, signal):
        """Post an event to this very chart."""
        self.post_fifo(Event(signal=signal))

    def soon(self, signal, seconds):
        """Post it once, after a while."""
        self.post_fifo(Event(signal=signal), period=seconds / self.speed, times=1)

    def forget(self, signal):
        """Take back what is to be posted."""
        self.cancel_events(Event(signal=signal))


def new_names(count, name, dice):
    """Give archers' names: different ones, or one with numbers."""
    if name:
        return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
    first = dice.randrange(len(NAMES))
    return [f"{NAMES[(first + n) % len(NAMES)]}.{dice.getrandbits(20):05x}" for n in range(count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to run (default 60)")
    parser.add_argument("--speed", type=float, default=10.0, help="times faster than life (default 10)")
    parser.add_argument("--archers", type=int, default=1, help="how many (default 1)")
    parser.add_argument("--name", help="of the archer; of several NAME-1, NAME-2, ... (default: drawn)")
    parser.add_argument("--seed", type=int, help="of the dice: the same names and luck again (each program its own)")
    parser.add_argument(
        "--show",
        choices=("trace", "spy", "nothing"),
        default="trace",
        help="what all archers do, on this terminal (default trace)",
    )
    args = parser.parse_args()
    dice = random.Random(args.seed)
    archers = [
        HorseArcher(name, args.speed, random.Random(dice.getrandbits(32)))
        for name in new_names(args.archers, args.name, dice)
    ]
    for archer in archers:
        if args.show == "trace":
            archer.enable_snoop_trace()
        elif args.show == "spy":
            archer.enable_snoop_spy()
    run_all([(archer, archer.battle) for archer in archers], args.seconds)


if __name__ == "__main__":
    main()
