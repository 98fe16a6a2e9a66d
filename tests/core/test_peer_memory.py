"""What people decided of nodes: kept, bounded, and never lost by a wrong file."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.core.cache_document import DocumentError
from mirosd.core.peer_memory import MAX_NODES, TOMBSTONE_S, PeerFile, PeerMemory, memory_of, parse_peers, peers_text
from mirosd.payloads import CacheReadPayload
from tests.properties import EXAMPLES, TOTAL

EMPTY = PeerMemory({}, ())
PATH = "/var/lib/mirosd/peers.json"


def cache(memory=EMPTY, problem=""):
    document = {} if problem else parse_peers(peers_text(memory))
    return CacheReadPayload(document, 0.0, "", expired=False, file_name=PATH, problem=problem)


def test_a_tombstone_stands_for_a_day():
    """Not a moment longer, and never longer from now: a clock that was ahead would ban for ever."""
    memory = EMPTY.forget("n", 1000.0)

    assert {"n": 1000.0 + TOMBSTONE_S} == memory.at(999.0 + TOMBSTONE_S).forgotten
    assert EMPTY == memory.at(1000.0 + TOMBSTONE_S)
    assert {"n": 500.0 + TOMBSTONE_S} == memory.at(500.0).forgotten


def test_the_last_decision_counts():
    """Allowed lifts the tombstone, forgotten takes the permission; lifting alone allows nobody."""
    allowed = EMPTY.forget("n", 0.0).allow("n")
    assert PeerMemory({}, ("n",)) == allowed
    assert ({"n": TOMBSTONE_S}, ()) == allowed.forget("n", 0.0)
    assert EMPTY == EMPTY.forget("n", 0.0).lift("n")


def test_a_decision_taken_again_is_the_newest():
    """The oldest go first when there are too many."""
    memory = EMPTY
    for n in range(MAX_NODES):
        memory = memory.forget(f"n{n}", 0.0)
    memory = memory.forget("n0", 1.0).forget("more", 2.0)
    assert (MAX_NODES, ["n2", "n3"], ["n0", "more"]) == (
        len(memory.forgotten),
        list(memory.forgotten)[:2],
        list(memory.forgotten)[-2:],
    )
    for n in range(MAX_NODES + 1):
        memory = memory.allow(f"a{n}")

    assert (MAX_NODES, "a1") == (len(memory.allowed), memory.allowed[0])


def test_the_text_is_read_as_it_was_written():
    """With times and order."""
    memory = EMPTY.allow("b").allow("a").forget("d", 7.0).forget("c", 3.0)

    assert memory == memory_of(parse_peers(peers_text(memory)))
    assert ["d", "c"] == list(memory_of(parse_peers(peers_text(memory))).forgotten)


@pytest.mark.parametrize("text", ["", "{}", '{"allowed": []}', '{"other": 1}'])
def test_what_is_missing_is_empty(text):
    """A first start has no file; a later version may have more in it."""
    assert EMPTY == memory_of(parse_peers(text))


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[]",
        '{"allowed": {}}',
        '{"allowed": [1]}',
        '{"allowed": [""]}',
        '{"allowed": ["a\\n"]}',
        json.dumps({"allowed": ["n"] * (MAX_NODES + 1)}),
        '{"forgotten": []}',
        '{"forgotten": {"n": "x"}}',
        '{"forgotten": {"n": true}}',
        '{"forgotten": {"n": -1}}',
        '{"forgotten": {"n": NaN}}',
        '{"forgotten": {"a b": 1}}',
        json.dumps({"forgotten": dict.fromkeys(map(str, range(MAX_NODES + 1)), 1)}),
    ],
)
def test_a_wrong_file_is_an_error(text):
    """One class of them, whatever is wrong."""
    with pytest.raises(DocumentError):
        parse_peers(text)


@settings(TOTAL, max_examples=max(1, EXAMPLES // 10))  # the text is JSON: its own parser is tried elsewhere
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda some: st.lists(some) | st.dictionaries(st.sampled_from(["allowed", "forgotten", "n"]), some),
    )
)
def test_any_document_is_a_memory_or_an_error(document):
    """And what is a memory is kept as it is."""
    try:
        memory = memory_of(parse_peers(json.dumps(document)))
    except DocumentError:
        return
    assert memory == memory_of(parse_peers(peers_text(memory)))


def test_an_edit_counts_at_once_and_is_written_over_what_is_there_now():
    """The file is read first: another decision may stand in it that was never read."""
    file = PeerFile(PATH)
    file.edit(lambda memory: memory.allow("mine"))
    assert ("mine",) == file.memory.allowed
    text = file.take(cache(EMPTY.allow("theirs")), 0.0)
    assert ("theirs", "mine") == memory_of(parse_peers(text)).allowed == file.memory.allowed

    assert file.take(cache(file.memory), 0.0) is None
    assert file.take(cache(), 0.0) is None
    assert EMPTY == file.memory


def test_a_wrong_file_leaves_the_last_good_in_force_and_untouched():
    """Decisions go on counting, and are written when the file is right again."""
    file = PeerFile(PATH)
    file.take(cache(EMPTY.allow("old")), 0.0)
    file.edit(lambda memory: memory.forget("new", 0.0))
    assert file.take(cache(problem="line 1"), 0.0) is None
    assert ("line 1", ("old",), ["new"]) == (file.problem, file.memory.allowed, list(file.memory.forgotten))

    file.retry()
    text = file.take(cache(EMPTY.allow("repaired")), 0.0)
    assert (("repaired",), {"new": TOMBSTONE_S}) == (memory_of(parse_peers(text)).allowed, file.memory.forgotten)
    assert "line 1" == file.problem
    assert file.take(cache(file.memory), 0.0) is None
    assert "" == file.problem


def test_a_full_disk_is_tried_once_for_each_edit():
    """The decision stays in force and the reason shown; reading the old text again does not write for ever."""
    file = PeerFile(PATH)
    file.edit(lambda memory: memory.allow("n"))
    assert file.take(cache(), 0.0)
    assert file.take(cache(problem="No space left on device"), 0.0) is None
    assert file.take(cache(), 0.0) is None
    assert ("No space left on device", ("n",)) == (file.problem, file.memory.allowed)
    file.edit(lambda memory: memory.allow("m"))

    assert ("n", "m") == memory_of(parse_peers(file.take(cache(), 0.0))).allowed


def test_tombstones_that_ended_are_let_go():
    """In force and in what is written next; they alone are no reason to write."""
    file = PeerFile(PATH)
    assert file.take(cache(EMPTY.forget("old", 0.0).forget("new", 10.0)), 5.0 + TOMBSTONE_S) is None
    assert ["new"] == list(file.memory.forgotten)
    file.expire(10.0 + TOMBSTONE_S)

    assert {} == file.memory.forgotten
