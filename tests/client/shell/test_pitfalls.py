"""Faults of plain miros' steps and publications, each shown to be there, and gone with the shell."""

from tests.client.shell.both import outcomes


def test_a_handler_that_raises_does_not_end_the_chart():
    """After an exception a plain chart's thread is dead; the shell's handles the next event."""
    program = """
        def boom(chart): raise ValueError("boom")
        chart = Chart("c")
        chart.start_at(listening)
        chart.post_fifo(told("BOOM", boom))
        chart.post_fifo(told("PING"))
        until(lambda: seen or not chart.thread.is_alive())
        print(chart.thread.is_alive(), seen)
    """

    assert outcomes(program) == ("False []", "True ['PING']")


def test_junk_is_refused_in_the_posters_thread():
    """Posting what is no Event raises in the poster either way, and on plain miros also kills the chart."""
    program = """
        chart = Chart("c")
        chart.start_at(listening)
        try:
            chart.post_fifo("PING")
        except Exception as error:
            print(type(error).__name__)
        chart.post_fifo(told("PING"))
        until(lambda: seen or not chart.thread.is_alive())
        print(chart.thread.is_alive())
    """

    assert outcomes(program) == ("AttributeError\nFalse", "TypeError\nTrue")


def test_published_junk_does_not_end_the_fabric():
    """Publishing what is no Event kills plain miros' fabric for every chart; the shell refuses it."""
    program = """
        chart = Chart("c")
        chart.start_at(listening)
        try:
            (chart.publish if sys.argv[1] == "shell" else chart.fabric.publish)("junk")
        except Exception as error:
            print(type(error).__name__)
        until(lambda: sys.argv[1] == "shell" or not ActiveFabric().fifo_thread.is_alive())
        print(ActiveFabric().is_alive())
    """

    assert outcomes(program) == ("False", "TypeError\nTrue")


def test_there_is_no_limit_on_timers_in_a_life():
    """The 501st delayed post of a plain chart raises, though all others have fired; with the shell all arrive."""
    program = """
        chart = Chart("c")
        chart.start_at(listening)
        try:
            for enough in (300, 600):
                for n in range(300):
                    chart.post_fifo(told("TICK"), period=0.001, times=1)
                until(lambda: len(seen) == enough)
            print("all")
        except Exception as error:
            print(type(error).__name__)
    """

    plain, shell = outcomes(program)

    assert plain.splitlines()[-1] == "ActiveObjectOutOfPostedEventResources"
    assert shell == "all"


def test_publish_and_subscribe_work_uninstrumented():
    """With instrumentation off, plain charts neither subscribe nor publish, silently."""
    program = """
        chart = Chart("c")
        chart.instrumented = False
        chart.on_entry = lambda: chart.subscribe(told("NEWS"))
        chart.start_at(listening)
        chart.post_fifo(told("DO", lambda chart: chart.publish(told("NEWS"))))
        chart.post_fifo(told("MARK"))
        until(lambda: "NEWS" in seen if ActiveFabric().fifo_subscriptions else "MARK" in seen)
        print("NEWS" in seen)
    """

    assert outcomes(program) == ("False", "True")


def test_a_chart_without_a_name_starts_uninstrumented():
    """A plain one raises TypeError; the shell names it by its start state, as miros does when instrumented."""
    program = """
        chart = Chart()
        chart.instrumented = False
        try:
            chart.start_at(listening)
            print(len(chart.name))
        except Exception as error:
            print(type(error).__name__)
    """

    assert outcomes(program) == ("TypeError", "5")


def test_published_events_keep_their_order():
    """Events of one priority leave plain miros' heap in any order; the shell's keep theirs, urgent ones first."""
    program = """
        class Gate:  # holds the fabric's thread up until all is published
            def append(self, event): opened.wait()
        opened = threading.Event()
        chart = Chart("c")
        chart.on_entry = lambda: chart.subscribe(told("NEWS"))
        chart.start_at(listening)
        chart.post_fifo(told("MARK"))
        until(lambda: seen)
        ActiveFabric().subscribe(Gate(), told("GATE"))
        chart.publish(told("GATE"), priority=1)
        for n in range(20):
            chart.publish(told("NEWS", n), priority=5 if n >= 18 else None)
        opened.set()
        until(lambda: len(seen) == 21)
        print(seen[1:] == [18, 19, *range(18)])
    """

    assert outcomes(program) == ("False", "True")


def test_a_late_second_subscriber_is_not_lost():
    """Once anybody subscribed to a name, a running plain chart's own subscription does nothing."""
    program = """
        charts = [Chart("a"), Chart("b")]
        for chart in charts:
            chart.start_at(listening)
            chart.post_fifo(told("DO", lambda chart: (chart.subscribe(told("NEWS")), seen.append("subscribed"))))
        until(lambda: len(seen) == 2)
        charts[0].publish(told("NEWS"))
        until(lambda: seen.count("NEWS") == len(ActiveFabric().fifo_subscriptions["NEWS"]))
        print(seen.count("NEWS"))
    """

    assert outcomes(program) == ("1", "2")


def test_trace_works_for_a_chart_that_subscribed_while_starting():
    """On plain miros the subscription leaves a trace entry without a date, and trace() raises."""
    program = """
        chart = Chart("c")
        chart.instrumented = True
        chart.on_entry = lambda: chart.subscribe(told("NEWS"))
        chart.start_at(listening)
        chart.post_fifo(told("MARK"))
        until(lambda: seen)
        try:
            print("top->listening" in chart.trace())
        except Exception as error:
            print(type(error).__name__)
    """

    assert outcomes(program) == ("TypeError", "True")


MIXED = """
    def parent_and_child(decorate, on_go=lambda chart: None):
        @spy_on
        def parent(chart, e):
            if e.signal in INNER: return HANDLED
            if e.signal == signals.GO:
                on_go(chart)
                return chart.trans(child)
            if e.signal == signals.ASK:
                seen.append("parent")
                return HANDLED
            chart.temp.fun = chart.top
            return SUPER
        @decorate
        def child(chart, e):
            if e.signal in INNER: return HANDLED
            if e.signal == signals.ASK:
                seen.append("child")
                return HANDLED
            chart.temp.fun = parent
            return SUPER
        return parent
    def asked(parent):
        chart = Chart("c")
        chart.instrumented = True
        chart.start_at(parent)
        chart.post_fifo(told("GO"))
        chart.post_fifo(told("ASK"))
        until(lambda: seen)
        return seen[0]
"""


def test_an_undecorated_state_gets_its_events():
    """An instrumented plain chart gives the event after entering an undecorated state to the parent."""
    program = MIXED + "    print(asked(parent_and_child(decorate=lambda state: state)))"

    assert outcomes(program) == ("parent", "child")


def test_instrumentation_switched_off_in_a_transition_misroutes_nothing():
    """A plain chart gives the next event to the parent of the state it has just entered."""
    program = (
        MIXED
        + """
    def switch_off(chart): chart.instrumented = False
    print(asked(parent_and_child(spy_on, switch_off)))"""
    )

    assert outcomes(program) == ("parent", "child")


def test_bound_methods_are_states():
    """From parent to child a plain chart leaves and re-enters the parent if states are methods."""
    program = """
        class Machine(Chart):
            def outer(self, chart, e):
                return self.note("outer", e, self.top)
            def inner(self, chart, e):
                return self.note("inner", e, self.outer)
            def note(self, name, e, parent):
                if e.signal in INNER:
                    seen.append(f"{name} {e.signal_name}")
                    return HANDLED
                if e.signal == signals.GO:
                    return self.trans(self.inner)
                self.temp.fun = parent
                return SUPER
        chart = Machine("c")
        chart.instrumented = False
        chart.start_at(chart.outer)
        del seen[:]
        chart.post_fifo(told("GO"))
        until(lambda: "inner INIT_SIGNAL" in seen)
        print(", ".join(seen))
    """

    plain, shell = outcomes(program)

    assert plain == "outer EXIT_SIGNAL, outer ENTRY_SIGNAL, inner ENTRY_SIGNAL, inner INIT_SIGNAL"
    assert shell == "inner ENTRY_SIGNAL, inner INIT_SIGNAL"
