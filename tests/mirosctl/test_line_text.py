"""Lines as they stand at the viewer."""

from mirosctl.line_text import HUES, RESET, HostHues, line_fields, viewer_text
from mirosd_client.wire import Network
from tests.mirosctl.test_trace import line

CYAN = "\x1b[36m"


def test_a_host_keeps_its_colour() -> None:
    """The same one each time, by its name alone; others get others as long as there are any."""
    hues = HostHues()
    hosts = [f"h{number}" for number in range(len(HUES))]
    first = [hues.hue(host) for host in hosts]

    assert HostHues().hue("h0") == first[0]
    assert first == [hues.hue(host) for host in hosts]
    assert set(HUES) == set(first)
    assert hues.hue("one more") in HUES


def test_a_coloured_line_is_the_plain_one_in_colour() -> None:
    """Host and chart in the host's colour, a scribble in grey, nothing else; it ends without any."""
    for network in (Network.SNOOP_TRACE, Network.SNOOP_SPY):
        for kind, text in (("trace", ""), ("event", ""), ("send", ""), ("scribble", "hm"), ("spy", "PING:idle")):
            each = line(kind, text=text)
            coloured = viewer_text(each, network, CYAN)
            plain = coloured.replace(CYAN, "").replace(RESET, "").replace("\x1b[30;1m", "")

            assert viewer_text(each, network) == plain
            assert 2 == coloured.count(CYAN)
            assert coloured.count("\x1b[") == 2 * coloured.count(RESET)


def test_a_line_of_an_unknown_host_has_none() -> None:
    """And no blank in its place."""
    assert viewer_text(line(host=""), Network.SNOOP_TRACE).startswith("[2018")


def test_fields_are_by_kind() -> None:
    """A spy line has a text and no signal; a move the other way round."""
    common = {"kind", "host", "chart", "client", "number", "time", "hlc", "event", "cause"}

    assert common | {"signal", "from", "to"} == set(line_fields(line()))
    assert common | {"signal"} == set(line_fields(line("send", signal="PING")))
    assert common | {"text"} == set(line_fields(line("spy", text="x")))
