"""The table of signals: what miros promises of it, by many threads at once."""

import pytest
from miros.event import Event, OrderedDictWithParams, Signal, SignalSource, return_status, signals

from mirosd_client.shell.signal_table import INTERNAL_SIGNALS, SignalTable, event_of, install
from tests.client.shell.both import outcomes


def test_threads_may_build_events_while_others_add_names():
    """Two threads build Events while two add 2,000 names each: plain miros raises, the shell never."""
    program = """
        sys.setswitchinterval(1e-5)  # meetings that take minutes to happen by themselves
        errors, done = [], threading.Event()
        for n in range(200): signals.append(f"EARLY_{n}")
        late = signals.EARLY_199
        def build():
            while not done.is_set():
                try:
                    assert Event(signal=late).signal_name == "EARLY_199"
                except Exception as error:
                    errors.append(error)
        def add(prefix):
            for n in range(2000): signals.append(f"{prefix}_{n}")
        for again in range(20 if sys.argv[1] == "plain" else 1):  # on a busy machine they may miss each other once
            done.clear()
            builders = [threading.Thread(target=build) for _ in range(2)]
            adders = [threading.Thread(target=add, args=(f"{prefix}{again}",)) for prefix in "AB"]
            for thread in builders + adders: thread.start()
            for thread in adders: thread.join()
            done.set()
            for thread in builders: thread.join()
            if errors: break
        numbers = list(signals.values())
        print(bool(errors), len(numbers) - len(set(numbers)))
    """

    plain, shell = outcomes(program)

    assert plain.startswith("True")
    assert shell == "False 0"


def test_a_walk_in_one_thread_survives_a_name_added_meanwhile():
    """Plain miros raises in the middle of the walk, which is what breaks an Event being built."""
    program = """
        try:
            for name in signals: signals.append("ADDED_MEANWHILE")
            for name, number in signals.items(): signals.append("ADDED_MEANWHILE_TOO")
            print("walked")
        except RuntimeError as error:
            print("broken")
    """

    assert outcomes(program) == ("broken", "walked")


def test_it_is_the_same_object_once_installed():
    """Everybody who imported `signals` before has the new table; a second install changes nothing."""
    install()
    lock = signals._lock
    install()

    assert type(signals) is SignalTable
    assert Signal() is signals
    assert signals._lock is lock


def test_names_become_numbers_as_in_miros():
    """By append, by attribute, by Event; one number each, in order, whichever way it is asked."""
    signals.append("TABLE_ONE")
    signals.append("TABLE_ONE")
    two = signals.TABLE_TWO
    three = Event(signal="TABLE_THREE").signal

    assert (signals.TABLE_ONE, two, three) == (two - 1, two, two + 1)
    assert signals["TABLE_TWO"] == two
    assert list(signals)[-3:] == list(signals.keys())[-3:] == ["TABLE_ONE", "TABLE_TWO", "TABLE_THREE"]
    assert list(signals.values())[-3:] == [two - 1, two, three]
    assert list(signals.items())[-1] == ("TABLE_THREE", three)
    assert len(signals) == len(signals.keys()) == len(signals.values()) == len(signals.items())
    assert two in signals.values()
    assert -1 not in signals.values()


def test_names_of_numbers():
    """A number gives its name back, an unknown one ValueError; Events by number have their names."""
    number = signals.TABLE_NAMED

    assert signals.name_for_signal(number) == "TABLE_NAMED"
    assert Event(signal=number).signal_name == "TABLE_NAMED"
    with pytest.raises(ValueError, match="-1"):
        signals.name_for_signal(-1)


def test_of_two_names_for_one_number_the_first_answers():
    """miros permits it, and answers so."""
    signals["TABLE_ALIAS"] = signals.TABLE_FIRST

    assert signals.name_for_signal(signals.TABLE_ALIAS) == "TABLE_FIRST"
    del signals["TABLE_ALIAS"]


def test_known_names_are_attributes():
    """Found without the detour through `__getattr__`, which a step would take a dozen times; changes are followed."""
    signals.append("TABLE_QUICK")
    number = signals["TABLE_QUICK"]
    known = [getattr(signals, name) for name in INTERNAL_SIGNALS], return_status.HANDLED

    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(SignalTable, "__getattr__")
        patch.delattr(SignalSource, "__getattr__")
        patch.delattr(OrderedDictWithParams, "__getattr__")
        assert ([getattr(signals, name) for name in INTERNAL_SIGNALS], return_status.HANDLED) == known
        assert number == signals.TABLE_QUICK
        signals["TABLE_QUICK"] = 1
        assert 1 == signals.TABLE_QUICK
        del signals["TABLE_QUICK"]
        with pytest.raises(AttributeError):
            _ = signals.TABLE_QUICK


@pytest.mark.parametrize("name", ["items", "append", "_lock", "_copy", "highest_inner_signal", "__class__"])
def test_no_signal_hides_what_the_table_is_made_of(name: str):
    """Such a signal exists by its number, as in miros, and by no attribute."""
    before = getattr(signals, name)
    try:
        event = Event(signal=name)

        assert (name, signals[name]) == (event.signal_name, event.signal)
        assert before == getattr(signals, name) or name == "_copy"
        assert name in list(signals)
    finally:
        del signals[name]
    assert before == getattr(signals, name) or name == "_copy"


@pytest.mark.parametrize("name", ["TABLE_NEW", "ENTRY_SIGNAL", "keys"])
def test_an_event_of_a_name_is_the_one_that_miros_makes(name: str):
    """In everything that its constructor sets, for a name that is there and one that is new."""
    made = event_of(name, {"n": 1})
    with_payload = Event(signal=name, payload={"n": 1})

    assert type(with_payload) is type(made)
    assert vars(with_payload) == vars(made)
    assert str(with_payload) == str(made)


def test_a_deleted_name_is_gone_from_every_view():
    """Deleting is as in miros; no look-up remembers."""
    number = signals.TABLE_DELETED
    del signals["TABLE_DELETED"]

    assert "TABLE_DELETED" not in signals
    assert number not in signals.values()
    assert "TABLE_DELETED" not in list(signals)


def test_miros_does_the_same_on_it():
    """A thousand random events through a plain, instrumented chart: spy, trace and code are the same, line by line."""
    program = """
        import hashlib, random, re
        from miros import HsmWithQueues
        from miros.hsm import state_method_template
        if sys.argv[1] == "shell": assert type(signals).__name__ == "SignalTable"
        dice = random.Random(1)
        chart = HsmWithQueues()
        tree = {"a": None, "b": "a", "c": "b", "d": "a", "e": "d", "f": "e", "g": None}
        states = {name: state_method_template(name) for name in tree}
        def moving(target): return lambda chart, e: chart.trans(states[target])
        for name, parent in tree.items():
            for signal in ("ENTRY_SIGNAL", "EXIT_SIGNAL"):
                chart.register_signal_callback(states[name], signals[signal], lambda chart, e: HANDLED)
            for number in dice.sample(range(12), 4):
                target = dice.choice(sorted(tree))
                chart.register_signal_callback(states[name], getattr(signals, f"S{number}"), moving(target))
            chart.register_signal_callback(states[name], signals.HOOK, lambda chart, e: HANDLED)
            chart.register_parent(states[name], states[parent] if parent else chart.top)
        chart.start_at(states["a"])
        lines = list(chart.spy())
        for _ in range(1000):
            signal = f"S{dice.randrange(14)}" if dice.random() < 0.9 else signals.HOOK
            chart.post_fifo(Event.loads(Event.dumps(Event(signal=signal))))
            chart.complete_circuit()
            lines += chart.spy_rtc()
        text = "\\n".join([*lines, re.sub(r"\\[[^]]*\\]", "", chart.trace()), *map(chart.to_code, states.values())])
        print(len(lines), len(chart.trace()) > 10_000, hashlib.sha256(text.encode()).hexdigest())
    """

    plain, shell = outcomes(program)

    assert plain == shell
    assert int(plain.split()[0]) > 4000
    assert plain.split()[1] == "True"


def test_internal_signals():
    """miros' own ten, by name and by number; asking about a name makes no signal of it."""
    size = len(signals)

    assert len(INTERNAL_SIGNALS) == 10
    assert all(signals.is_inner_signal(name) and signals.is_inner_signal(signals[name]) for name in INTERNAL_SIGNALS)
    assert not signals.is_inner_signal("NEVER_SEEN_BEFORE")
    assert not any(signals.is_inner_signal(other) for other in (0, 11, None, 1.5))
    assert len(signals) == size
