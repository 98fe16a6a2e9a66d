"""Looks for secrets wherever they have no business: as they are, and as base64, hex or percent-encoding write them."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

PROC = Path("/proc")


def spellings(secret: bytes) -> set[bytes]:
    """Give what a secret looks like in a text, at the least.

    Of base64 the part that does not depend on what stands before or behind: a log that has `user:password` encoded
    shows the password shifted by one or two bytes.
    """
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(), repr(secret)[2:-1].encode()}
    for shift in range(3):
        padded = bytes(shift) + secret
        whole = len(padded) - len(padded) % 3
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(padded[:whole])[4 if shift else 0 :])
    for safe in ("", "/", ":@/"):
        found |= {quote(secret, safe=safe).encode(), quote(secret, safe=safe).lower().encode()}
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return found
    return found | {json.dumps(text)[1:-1].encode(), repr(text)[1:-1].encode()}


class SecretSearch:
    """Looks for some secrets, each with a name that may be shown."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._spellings = {name: spellings(secret) for name, secret in secrets.items()}

    def names_in(self, content: bytes) -> list[str]:
        """Give the names of the secrets that stand in `content`, however they are written."""
        return [name for name, ways in self._spellings.items() if any(way in content for way in ways)]

    def found_in(self, places: Iterable[tuple[str, bytes]]) -> list[str]:
        """Give "place: secret" for each that was found."""
        return [f"{place}: {name}" for place, content in places for name in self.names_in(content)]


def files_in(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Give every file beneath some folders, its path being a place that secrets may show in too."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield str(path), str(path).encode() + b"\n" + path.read_bytes()


def processes() -> Iterator[tuple[str, bytes]]:
    """Give the command line and the environment of every process that there is."""
    for process in PROC.iterdir():
        if process.name.isdigit():
            for name in ("cmdline", "environ"):
                try:
                    yield f"{process.name}/{name}", (process / name).read_bytes()
                except (FileNotFoundError, ProcessLookupError):
                    pass  # it has ended meanwhile
