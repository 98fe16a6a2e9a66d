"""Windows' neighbour table, as `arp.exe -a` prints it: who is on the LAN, for daemons that WSL keeps from seeing it.

    Interface: 192.168.1.5 --- 0xb
      Internet Address      Physical Address      Type
      192.168.1.1           00-11-22-33-44-55     dynamic

The words are in the language of Windows and in one of its code pages, so none is read. In all of them digits, letters
of hexadecimal numbers, dots, hyphens and line ends are ASCII (in UTF-16 with a zero byte beside each). A line counts
that is an IPv4 address, a hardware address, and maybe a word; the line of an interface has no hardware address.
"""

import re
from typing import NamedTuple

_LINE = re.compile(
    rb"^[ \t]*([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})[ \t]+"
    rb"([0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5})(?![-0-9A-Za-z])",
    re.MULTILINE,
)
_FIRST_MULTICAST = 224  # from here on: groups, what is reserved, and 255.255.255.255
_LOOPBACK = 127
_NO_MAC = "00:00:00:00:00:00"


class ArpEntry(NamedTuple):
    """A neighbour of Windows: "192.168.1.1" and "00:11:22:33:44:55"."""

    address: str
    mac: str


def parse_arp_table(output: bytes) -> tuple[ArpEntry, ...]:
    """Give the hosts that `arp.exe -a` has printed, in its order, none twice: no broadcast, no multicast address.

    Of any bytes: what means nothing is left out. Thread: any; pure.
    """
    found: dict[str, ArpEntry] = {}
    for *octets, mac_bytes in _LINE.findall(output.replace(b"\0", b"").replace(b"\r", b"\n")):
        numbers = [int(octet) for octet in octets]
        mac = mac_bytes.decode("ascii").lower().replace("-", ":")
        is_group = int(mac[:2], 16) & 1  # broadcast is one of them
        if is_group or mac == _NO_MAC or max(numbers) > 255 or numbers[0] in (0, _LOOPBACK):
            continue
        if numbers[0] < _FIRST_MULTICAST:
            address = ".".join(str(number) for number in numbers)
            found.setdefault(address, ArpEntry(address, mac))
    return tuple(found.values())
