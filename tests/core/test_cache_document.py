"""The hosts file and the LAN cache: any text is a document or a fault with its place."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.core.addresses import AddressError
from mirosd.core.cache_document import (
    MAX_HOSTS,
    DocumentError,
    hosts_text,
    is_expired,
    lan_cache_text,
    merge,
    parse_hosts,
    parse_lan_cache,
    parse_object,
    with_host,
    without_host,
)


@pytest.mark.parametrize("text", ["", " \n", "{}"])
def test_an_empty_file_is_an_empty_document(text):
    """A file that was only touched lists nobody; it is no fault (D60, D68)."""
    assert {} == parse_object(text)
    assert {"hosts": []} == parse_hosts(text)
    assert {"addresses": [], "amqp_urls": [], "time_out_in_minutes": 0} == parse_lan_cache(text)


def test_hosts_keep_their_order_and_stand_once():
    """Two spellings of one host are one host."""
    text = '{"hosts": ["B.example", "10.0.0.7:5673", "b.example.", "[::1]"], "comment": "mine"}'

    assert {"hosts": ["b.example", "10.0.0.7:5673", "[::1]"]} == parse_hosts(text)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('{"hosts": [\n  "10.0.0.7",\n  "10.0.0.8"\n  "10.0.0.9"\n]}', (4, 3), "delimiter"),
        ('{"hosts": ["10.0.0.7"', (1, 22), "delimiter"),
        ("[]", (1, 1), "object"),
        ("3", (1, 1), "object"),
        ('{"host": ["10.0.0.7"]}', (1, 1), "must be there"),
        ('{"a": 1,\n "hosts": "10.0.0.7"}', (2, 2), "be a list"),
        ('{"hosts": [7]}', (1, 2), "every host is a text, not 7"),
        ('{"hosts": [\n "10.0.0.7",\n\n   "10.0.0.7:nine"]}', (4, 4), "10.0.0.7:nine"),
        ('{"hosts": ["\\u0061 b"]}', (1, 12), "'a b' is not a host"),
        ('{"hosts": ["b:x@10.0.0.7"]}', (1, 12), "password"),
        ("[" * 100_000, (1, 1), "cannot be read"),
        ('{"hosts": ' + "7" * 5000 + "}", (1, 1), "cannot be read"),
    ],
)
def test_a_wrong_hosts_file_names_line_and_column(text, place, words):
    """The operator is led to the place of the fault."""
    with pytest.raises(DocumentError, match=rf"^line {place[0]} column {place[1]}: ") as fault:
        parse_hosts(text)

    assert place == (fault.value.line, fault.value.column)
    assert words in str(fault.value)


def test_more_hosts_than_a_mesh_can_have_are_refused():
    """A file of a million lines is a mistake, not a mesh."""
    parse_hosts(hosts_text(f"h{n}" for n in range(MAX_HOSTS)))
    with pytest.raises(DocumentError, match="at most 1024"):
        parse_hosts(hosts_text(f"h{n}" for n in range(MAX_HOSTS + 1)))


@pytest.mark.parametrize(
    "text",
    [
        '{"addresses": "10.0.0.7"}',
        '{"amqp_urls": [1]}',
        '{"time_out_in_minutes": "30"}',
        '{"time_out_in_minutes": true}',
        '{"time_out_in_minutes": -1}',
        '{"time_out_in_minutes": NaN}',
        '{"time_out_in_minutes": Infinity}',
    ],
)
def test_a_lan_cache_of_other_types_is_a_fault(text):
    """What anybody may edit is checked before it is used (D61)."""
    with pytest.raises(DocumentError, match="line 1 column 2"):
        parse_lan_cache(text)


def test_an_address_that_is_none_is_a_fault():
    """It is found where it stands, and not when something is to be done with it."""
    with pytest.raises(DocumentError, match=r"line 2 column 2: 'not a host' is not a host"):
        parse_lan_cache('{"addresses": ["10.0.0.7",\n "not a host"]}')


def test_what_is_written_can_be_read():
    """Both documents survive the way to the disk and back, sorted and indented as in the seeds."""
    assert {"hosts": ["b", "a"]} == parse_hosts(hosts_text(["b", "a"]))
    text = lan_cache_text(["10.0.0.7"], ["amqp://10.0.0.7:5672/"], time_out_in_minutes=30)

    assert {"addresses": ["10.0.0.7"], "amqp_urls": ["amqp://10.0.0.7:5672/"], "time_out_in_minutes": 30} == (
        parse_lan_cache(text)
    )
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2) + "\n"


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:hosts10. \n\\u0\ud800', max_size=60) | st.text(max_size=60))
def test_any_text_is_a_document_or_a_document_error(text):
    """Parsing is total."""
    for parse in (parse_object, parse_hosts, parse_lan_cache):
        try:
            assert isinstance(parse(text), dict)
        except DocumentError as fault:
            assert fault.line >= 1 and fault.column >= 1


def test_two_lists_merge_in_order_without_doubles():
    """The operator's hosts come first; a host in both files is one host."""
    assert ("a", "b", "c") == merge(["a", "b"], ["b", "c", "a"])


def test_hosts_are_added_and_removed_by_any_spelling():
    """Adding twice and removing what is not there change nothing; junk is refused."""
    assert ("a", "[::1]") == with_host(("a",), "[0::1]")
    assert ("a", "b") == with_host(("a", "b"), "A")
    assert ("b",) == without_host(("a", "b"), "A.")
    assert ("a",) == without_host(("a",), "c")
    with pytest.raises(AddressError):
        with_host((), "a b")
    with pytest.raises(AddressError):
        without_host((), "a b")


@pytest.mark.parametrize(
    ("document", "age_s", "expired"),
    [
        ({"time_out_in_minutes": 30}, 30 * 60 - 1, False),
        ({"time_out_in_minutes": 30}, 30 * 60 + 1, True),
        ({"time_out_in_minutes": 30}, -10, False),
        ({"time_out_in_minutes": 30}, -30 * 60 - 1, True),
        ({"time_out_in_minutes": 0}, 0, True),
        ({"time_out_in_minutes": "soon"}, 0, True),
        ({"time_out_in_minutes": float("nan")}, 0, True),
        ({}, 1e9, False),
    ],
)
def test_expiry_is_age_against_the_documents_own_time_out(document, age_s, expired):
    """0 minutes: always. No time-out: never. A date far in the future counts like one far in the past."""
    assert expired == is_expired(document, modified_s=1e9, now_s=1e9 + age_s)
