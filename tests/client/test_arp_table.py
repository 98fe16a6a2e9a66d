"""Windows' ARP table: read in whatever language it was printed."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd_client.arp_table import ArpEntry, parse_arp_table
from tests.properties import TOTAL

ENGLISH = """\r
Interface: 192.168.1.5 --- 0xb\r
  Internet Address      Physical Address      Type\r
  192.168.1.1           00-11-22-33-44-55     dynamic   \r
  192.168.1.75          A4-5E-60-0B-CC-0D     dynamic   \r
  192.168.1.255         ff-ff-ff-ff-ff-ff     static    \r
  224.0.0.22            01-00-5e-00-00-16     static    \r
  239.255.255.250       01-00-5e-7f-ff-fa     static    \r
  255.255.255.255       ff-ff-ff-ff-ff-ff     static    \r
\r
Interface: 172.29.80.1 --- 0x2d\r
  Internet Address      Physical Address      Type\r
  172.29.82.7           00-15-5d-01-02-03     dynamic   \r
  192.168.1.1           00-11-22-33-44-66     dynamic   \r
"""

EXPECTED = (
    ArpEntry("192.168.1.1", "00:11:22:33:44:55"),
    ArpEntry("192.168.1.75", "a4:5e:60:0b:cc:0d"),
    ArpEntry("172.29.82.7", "00:15:5d:01:02:03"),
)

WORDS = {
    "cp437": ("Interface", "Internet Address", "Physical Address", "Type", "dynamic", "static"),
    "cp850": ("Schnittstelle", "Internetadresse", "Physische Adresse", "Typ", "dynamisch", "statisch"),
    "cp866": ("Интерфейс", "адрес в Интернете", "Физический адрес", "Тип", "динамический", "статический"),
    "cp932": ("インターフェイス", "インターネット アドレス", "物理アドレス", "種類", "動的", "静的"),
    "cp936": ("接口", "Internet 地址", "物理地址", "类型", "动态", "静态"),
    "cp949": ("인터페이스", "인터넷 주소", "물리적 주소", "유형", "동적", "정적"),
    "cp950": ("介面", "網際網路網址", "實體位址", "類型", "動態", "靜態"),
    "cp862": ("ממשק", "כתובת אינטרנט", "כתובת פיזית", "סוג", "דינאמי", "סטטי"),  # noqa: RUF001
    "cp857": ("Arabirim", "Internet Adresi", "Fiziksel Adres", "Tür", "dinamik", "statik"),
    "utf-8": ("Interface", "Adresse Internet", "Adresse physique", "Type", "dynamique", "statique"),
    "utf-16": ("Interfaz", "Dirección de Internet", "Dirección física", "Tipo", "dinámico", "estático"),
    "utf-16-be": ("Interface", "Endereço IP", "Endereço físico", "Tipo", "dinâmico", "estático"),
}


@pytest.mark.parametrize("code_page", WORDS)
def test_any_language_in_any_code_page(code_page):
    """The same hosts come out: no interface's own address, broadcast, multicast, nor a host twice."""
    text = ENGLISH
    for english, word in zip(WORDS["cp437"], WORDS[code_page], strict=True):
        text = text.replace(english, word)

    assert EXPECTED == parse_arp_table(text.encode(code_page))


@pytest.mark.parametrize(
    "line",
    [
        "192.168.1.256         00-11-22-33-44-55",
        "192.168.1             00-11-22-33-44-55",
        "192.168.1.1.1         00-11-22-33-44-55",
        "1192.168.1.1          00-11-22-33-44-55",
        "192.168.1.1           00-11-22-33-44",
        "192.168.1.1           00-11-22-33-44-55-66",
        "192.168.1.1           00-11-22-33-44-556",
        "192.168.1.1           00-11-22-33-44-5g",
        "192.168.1.1           00:11:22:33:44:55",
        "192.168.1.1",
        "x 192.168.1.1         00-11-22-33-44-55",
        "192.168.1.1 --- 0x2   00-11-22-33-44-55",
        "192.168.1.9           01-11-22-33-44-55",
        "192.168.1.9           33-33-00-00-00-01",
        "192.168.1.9           00-00-00-00-00-00",
        "127.0.0.1             00-11-22-33-44-55",
        "0.0.0.0               00-11-22-33-44-55",
        "224.0.0.1             00-11-22-33-44-55",
        "255.255.255.255       00-11-22-33-44-55",
        "192.168.1.1\r\n00-11-22-33-44-55",
    ],
)
def test_lines_that_are_no_host(line):
    """They are left out, and the lines around them are read."""
    good = "  10.0.0.1 00-11-22-33-44-55 x"

    assert (ArpEntry("10.0.0.1", "00:11:22:33:44:55"),) == parse_arp_table(f"{line}\r\n{good}\r\n{line}".encode())


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "\r\r\n"])
def test_line_ends(ends):
    """As Windows has them, and as they come out of a pipe."""
    assert EXPECTED == parse_arp_table(ENGLISH.replace("\r\n", ends).encode())


def test_leading_zeros_are_no_other_address():
    """One spelling, as the daemon's."""
    assert ("10.0.0.1",) == tuple(
        entry.address for entry in parse_arp_table(b"010.000.0.1 00-11-22-33-44-55\n10.0.0.1 00-11-22-33-44-55")
    )


PIECE = st.sampled_from(
    [b"10.0.0.1", b"255.1.1.1", b"00-11-22-33-44-55", b"ff-ff-ff-ff-ff-ff", b" ", b"\n", b"9", b"-"]
)


@TOTAL
@given(st.one_of(st.binary(max_size=300), st.lists(PIECE, max_size=30).map(b"".join)))
def test_any_bytes_are_read(output):
    """Whatever comes out is another host's address with its own hardware address, once."""
    entries = parse_arp_table(output)

    assert len(entries) == len({entry.address for entry in entries})
    for address, mac in entries:
        assert IPv4Address(address) < IPv4Address("224.0.0.0")
        assert 17 == len(mac)
        assert not int(mac[:2], 16) & 1
