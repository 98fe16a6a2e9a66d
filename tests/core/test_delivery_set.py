"""The delivery set's text: total, and the same for the same set."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.core.cache_document import DocumentError
from mirosd.core.delivery_set import MAX_BROKERS, delivery_set_text, parse_delivery_set
from tests.properties import EXAMPLES, TOTAL

SOME = settings(TOTAL, max_examples=min(EXAMPLES, 1000))  # the text is JSON: its own parser is tried elsewhere
NODES = st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), unique=True, max_size=3)


@SOME
@given(st.dictionaries(st.text(max_size=20), NODES, max_size=4))
def test_the_text_is_read_as_it_was_written(brokers):
    """Whatever the order it was made in."""
    text = delivery_set_text(brokers)
    assert {broker: tuple(sorted(nodes)) for broker, nodes in brokers.items()} == parse_delivery_set(text)
    assert text == delivery_set_text(dict(reversed(brokers.items())))


def test_nothing_is_an_empty_set():
    """A first start has no file."""
    assert {} == parse_delivery_set("")


@pytest.mark.parametrize(
    "text",
    [
        '{"brokers": []}',
        '{"brokers": {"a": {}}}',
        '{"brokers": {"a": [1]}}',
        '{"brokers": {"a": ["short"]}}',
        '{"brokers": {"a": ["' + 32 * "G" + '"]}}',
        "[",
    ],
)
def test_another_text_is_a_fault(text):
    """It is not guessed at."""
    with pytest.raises(DocumentError):
        parse_delivery_set(text)


def test_it_is_bounded():
    """In brokers, and in nodes behind one."""
    node = 32 * "a"
    assert MAX_BROKERS == len(parse_delivery_set(delivery_set_text({str(n): [] for n in range(MAX_BROKERS)})))
    for brokers in ({str(n): [] for n in range(MAX_BROKERS + 1)}, {"a": [node] * (MAX_BROKERS + 1)}):
        with pytest.raises(DocumentError):
            parse_delivery_set(delivery_set_text(brokers))


@SOME
@given(
    st.text()
    | st.recursive(st.none() | st.text(max_size=3), st.lists).map(lambda value: json.dumps({"brokers": value}))
)
def test_any_text_gives_a_set_or_the_one_error(text):
    """Nothing else."""
    with suppress(DocumentError):
        parse_delivery_set(text)
