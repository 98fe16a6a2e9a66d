"""Hosts as people write them: one spelling each, and no credentials."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.core.addresses import AddressError, HostPort, amqp_url, parse_host

ONE_SPELLING = [
    ("192.168.1.75", HostPort("192.168.1.75"), "192.168.1.75"),
    ("www.my_host_as_a_url.com", HostPort("www.my_host_as_a_url.com"), "www.my_host_as_a_url.com"),
    ("10.0.0.7:5673", HostPort("10.0.0.7", 5673), "10.0.0.7:5673"),
    ("[fe80::1%eth0]", HostPort("fe80::1%eth0"), "[fe80::1%eth0]"),
    ("[::1]:5672", HostPort("::1", 5672), "[::1]:5672"),
    ("[FE80:0:0::0001%enp0s3.12]", HostPort("fe80::1%enp0s3.12"), "[fe80::1%enp0s3.12]"),
    (" Raspberry-Pi.Local. ", HostPort("raspberry-pi.local"), "raspberry-pi.local"),
    ("rabbit", HostPort("rabbit"), "rabbit"),
    ("a.name:05672", HostPort("a.name", 5672), "a.name:5672"),
]

JUNK = [
    "", " ", ".", "..", "a..b", ":5672", "host:", "host:0", "host:65536", "host:-1", "host:amqp", "a b", "a\nb", "a;b",
    "999.1.1.1", "1.2.3", "10.0.0.7.8", "192.168.1.075", "[]", "[::1", "::1]", "[10.0.0.7]", "[::1]5672", "[fe80::1%]",
    "[fe80::1%a b]", "[fe80::1%sixteen_letters_]", "bücher.example", "x" * 64, ("x" * 60 + ".") * 5 + "com", "१०.0.0.1",
    "host:٥٦٧٢", "10.0.0.0/24", "\x00",
]  # fmt: skip


@pytest.mark.parametrize(("text", "host", "spelling"), ONE_SPELLING)
def test_a_host_has_one_spelling(text, host, spelling):
    """Whatever the capitals, zeros and blanks, the same host gives the same text, which means itself."""
    assert host == parse_host(text)
    assert spelling == str(parse_host(text))
    assert host == parse_host(spelling)


@pytest.mark.parametrize("text", JUNK)
def test_junk_is_refused_with_what_is_allowed(text):
    """The error shows the forms that work."""
    with pytest.raises(AddressError, match=r'"192\.168\.1\.75".*"10\.0\.0\.7:5673".*"\[::1\]:5672"'):
        parse_host(text)


@pytest.mark.parametrize("text", ["::1", "fe80::1%eth0", "fe80::1:5672"])
def test_a_bare_ipv6_address_is_told_to_take_brackets(text):
    """Its last colon could begin a port, so it is not guessed."""
    with pytest.raises(AddressError, match=rf'needs brackets: "\[{text}\]"'):
        parse_host(text)


@pytest.mark.parametrize("text", ["amqp://bob:s3cret@10.0.0.7:5672/%2F", "bob:s3cret@10.0.0.7", "bob:s3cret@[::1]"])
def test_credentials_are_refused_and_not_repeated(text):
    """A password in a hosts file is an error whose text does not spread it, and says where it goes (D56)."""
    with pytest.raises(AddressError, match=r"without protocol, user, password.*peers\.password_file") as refusal:
        parse_host(text)

    assert "s3cret" not in str(refusal.value)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_host_or_an_address_error(text):
    """Parsing is total, and what it gives means itself."""
    try:
        host = parse_host(text)
    except AddressError:
        return

    assert host == parse_host(str(host))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("10.0.0.7", "amqp://10.0.0.7:5672/"),
        ("my_host.com:5673", "amqp://my_host.com:5673/"),
        ("[::1]", "amqp://[::1]:5672/"),
        ("[fe80::1%eth0]:5673", "amqp://[fe80::1%25eth0]:5673/"),
    ],
)
def test_amqp_urls_have_a_port_and_no_user(text, url):
    """A URL is for people and caches; logging in is somebody else's."""
    assert url == amqp_url(text)


def test_an_amqp_url_says_that_there_is_tls():
    """By its scheme; a port that is not written is the one that is given."""
    assert "amqps://[::1]:5671/" == amqp_url("[::1]", 5671, tls=True)
    assert "amqps://a.name:5700/" == amqp_url("a.name:5700", 5671, tls=True)
