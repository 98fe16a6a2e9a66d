"""Faults of plain miros' threads, timers and queues, each shown to be there, and gone with the shell."""

from tests.client.shell.both import outcome, outcomes


def test_charts_started_together_share_one_fabric():
    """Two plain charts that start at one moment both find no fabric, and each makes one."""
    program = """
        both_asked = threading.Barrier(2)
        really_alive = ActiveFabric().is_alive
        def is_alive():
            answer = really_alive()
            try:
                both_asked.wait(30 if sys.argv[1] == "plain" else 0.3)  # the shell lets no second one ask meanwhile
            except threading.BrokenBarrierError:
                pass
            return answer
        ActiveFabric().is_alive = is_alive
        charts = [Chart("a"), Chart("b")]
        starters = [threading.Thread(target=chart.start_at, args=(listening,)) for chart in charts]
        for starter in starters: starter.start()
        for starter in starters: starter.join()
        del ActiveFabric().is_alive
        Chart("c").start_at(listening)  # plain miros may have lost the handles of its threads: then it makes more here
        print(sum(thread.name == "fifo active fabric" for thread in threading.enumerate()) > 1)
    """

    assert outcomes(program) == ("True", "False")


def test_stop_before_start_does_nothing():
    """A plain chart that was never started raises AttributeError when stopped."""
    program = """
        try:
            print(Chart("c").stop())
        except Exception as error:
            print(type(error).__name__)
    """

    assert outcomes(program) == ("AttributeError", "True")


def test_stop_has_a_deadline():
    """A plain stop() blocks as long as the running handler does; the shell's says that it has not ended."""
    program = """
        opened = threading.Event()
        chart = Chart("c")
        chart.start_at(listening)
        chart.post_fifo(told("DO", lambda chart: (seen.append("in"), opened.wait())))
        until(lambda: seen)
        answers = []
        stop = chart.stop if sys.argv[1] == "plain" else lambda: chart.stop(timeout_s=0.01)
        stopper = threading.Thread(target=lambda: answers.append(stop()), daemon=True)
        stopper.start()
        stopper.join(0.5 if sys.argv[1] == "plain" else 30)
        print(answers)
        opened.set()
        until(lambda: not chart.thread.is_alive())
    """

    assert outcomes(program) == ("[]", "[False]")


def test_posts_to_a_stopped_chart_are_counted():
    """A plain one keeps them, for nobody to read."""
    program = """
        chart = Chart("c")
        chart.start_at(listening)
        chart.stop()
        kept = len(chart.queue)
        chart.post_fifo(told("PING"))
        print(len(chart.queue) - kept, getattr(chart, "dropped", "uncounted"))
    """

    assert outcomes(program) == ("1 uncounted", "0 1")


def test_internal_signals_cannot_be_posted():
    """Anybody who can post to a plain chart can end it by a signal's name."""
    program = """
        chart = Chart("c")
        chart.start_at(listening)
        try:
            chart.post_fifo(told("STOP_ACTIVE_OBJECT_SIGNAL"))
        except ValueError:
            chart.post_fifo(told("PING"))
        until(lambda: seen or not chart.thread.is_alive())
        print(chart.thread.is_alive())
    """

    assert outcomes(program) == ("False", "True")


def test_factory_states_go_by_name():
    """miros documents states given by name; nest and start_at of a plain Factory raise on them."""
    program = """
        chart = ChartFactory("c")
        chart.create(state="waiting").catch(signal=signals.PING, handler=lambda chart, e: (seen.append(1), HANDLED)[1])
        try:
            chart.nest("waiting", parent=None)
            chart.start_at("waiting")
            chart.post_fifo(told("PING"))
            until(lambda: seen)
            print(chart.state.fun.__name__)
        except Exception as error:
            print(type(error).__name__)
    """

    assert outcomes(program) == ("TypeError", "waiting")


def test_a_timeout_cancelled_while_queued_does_not_arrive():
    """On plain miros a timeout that waits in the queue arrives after its cancellation, maybe in another state."""
    program = """
        def late(chart):
            chart.post_fifo(told("TIMEOUT"), period=0.01, times=1)
            until(lambda: len(chart.queue) == 2)  # MARK, and the timeout behind it
            chart.cancel_events(told("TIMEOUT"))
            chart.post_fifo(told("END"))
        chart = Chart("c")
        chart.start_at(listening)
        chart.post_fifo(told("DO", late))
        chart.post_fifo(told("MARK"))
        until(lambda: "END" in seen)
        print(", ".join(seen))
    """

    assert outcomes(program) == ("MARK, TIMEOUT, END", "MARK, END")


def test_cancelling_compares_names_by_value():
    """A plain chart compares names by identity: one made while the program runs cancels nothing."""
    program = """
        chart = Chart("c")
        chart.start_at(listening)
        chart.post_fifo(told("TI" + "CK"), period=0.05)
        chart.cancel_events(told("".join(["TI", "CK"])))
        timers = list(chart.posted_events_queue) if sys.argv[1] == "plain" else list(chart._timed)
        print(len(timers))
    """

    assert outcomes(program) == ("1", "0")


def test_a_live_callback_that_raises_ends_no_thread():
    """miros' one writer thread dies of it, and no chart prints any more."""
    program = """
        def wrong(line):
            seen.append(line)
            raise OSError("no terminal")
        chart = Chart("c")
        chart.instrumented = chart.live_trace = chart.live_spy = True
        chart.register_live_trace_callback(wrong)
        chart.register_live_spy_callback(wrong)
        chart.start_at(listening)
        writer = InstrumentionWriter()
        until(lambda: len(seen) > 1 or not writer.is_alive())
        chart.print("next")  # through the same thread, if there is one
        until(lambda: not writer._queue.unfinished_tasks or not writer.is_alive())
        print(writer.is_alive())
    """
    plain, shell = outcomes(program)

    assert plain.splitlines()[-1] == "False"
    assert shell.splitlines()[-1] == "True"


def test_periodic_posts_do_not_drift():
    """A plain chart sleeps a period after each post, so that what a post takes adds up; here 3 of 10 ms each."""
    plain = """
        import miros.activeobject
        clock = []
        class Time:
            def sleep(period): clock.append(period)
        miros.activeobject.time = Time
        class Slow(Chart):
            def post_fifo(self, e, period=None, **more):
                if period is None: clock.append(0.003)
                return super().post_fifo(e, period=period, **more)
        chart = Slow("c")
        chart.start_at(listening)
        chart.post_fifo(told("TICK"), period=0.010, times=100)
        until(lambda: len(seen) == 100)
        print(round(sum(clock), 3))
    """
    shell = """
        from mirosd_client.shell.testing import ManualReactor
        reactor = ManualReactor()
        times = []
        def slow():
            times.append(reactor.now_s)
            reactor.now_s += 0.003
        reactor.after(0.010, slow, every_s=0.010)
        reactor.advance(1.0001)
        print(len(times), round(times[-1], 3))
    """

    assert outcome("plain", plain) == "1.3"
    assert outcome("shell", shell) == "100 1.0"
