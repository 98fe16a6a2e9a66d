"""Nothing secret is kept in the repository: no key, no password, no file that is made to hold one."""

import base64
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SECRET_FILE = re.compile(r"(^|/)(\.env(\..*)?|id_(rsa|ecdsa|ed25519)|.*\.(key|pem|p12|pfx|jks|kdbx)|\.erlang\.cookie)$")
"""Names of files that are made to hold secrets."""

KEY = re.compile(r"(?<![\w+/-])[\w+/-]{43}=(?![\w=])", re.ASCII)
"""32 bytes in base64, of either alphabet."""

SPARSE = 8
"""A key of this many distinct bytes or fewer is nobody's: an example that says so."""

PASSWORD = re.compile(
    r"^\s*(?:export )?[\w.]*(?:password|passwd|secret)(?!_file)\w*\s*[:=]\s*(?!null\b)[\w\"'#]", re.IGNORECASE
)
"""A setting or variable that gives a password; null is the word for none, and where a file is may be said."""

SETTINGS = (".yaml", ".yml", ".json", ".conf", ".ini", ".toml", ".service", ".sh")
"""Files from which programs take settings."""

PUBLISHED = {"u3bc-qAi9iiCv3fkBfRUAKrM1gH8w51-nVU8M8A73Jg=": "the ancestor's, out of its own examples: never ours"}
"""Keys that may stand here, each with why."""


@cache
def kept() -> dict[str, bytes]:
    """Give every file that is, or is about to be, under version control, by its path."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout: what is kept cannot be listed")
    paths = [path for path in listed.stdout.decode().split("\0") if path and (ROOT / path).is_file()]
    return {path: (ROOT / path).read_bytes() for path in paths}


def keys_in(text: str) -> Iterator[str]:
    """Give each text that could be somebody's key."""
    for match in KEY.finditer(text):
        meant = base64.b64decode(match[0].translate(str.maketrans("-_", "+/")))
        if len(set(meant)) > SPARSE and match[0] not in PUBLISHED:
            yield match[0]


def passwords_in(text: str) -> list[str]:
    """Give each line of a settings file that gives a password."""
    return [line for line in text.splitlines() if PASSWORD.match(line)]


def is_settings(path: str) -> bool:
    """Tell whether a file may be somebody's settings; those of tests are examples of wrong ones."""
    return path.endswith(SETTINGS) and not path.startswith("tests/")


def test_no_file_is_made_for_secrets() -> None:
    """No .env, no private key, no store of them (D54)."""
    assert [] == [path for path in kept() if SECRET_FILE.search(path)]


def test_no_key_is_kept() -> None:
    """Neither a network's nor a private one, in any file (D54)."""
    marked = b"-----BEGIN " + b"PRIVATE KEY-----"
    found = [(path, key) for path, content in kept().items() for key in keys_in(content.decode(errors="replace"))]

    assert [] == found
    assert [] == [path for path, content in kept().items() if marked in content or b" PRIVATE KEY-----\n" in content]


def test_no_password_is_kept() -> None:
    """In no file that anything takes settings from (D54)."""
    settings = {path: content.decode() for path, content in kept().items() if is_settings(path)}

    assert "config.example.yaml" in settings
    assert [] == [(path, line) for path, text in settings.items() for line in passwords_in(text)]


@pytest.mark.parametrize(
    ("text", "keys", "passwords"),
    [
        ("MESH_ENCRYPTION_KEY=" + base64.urlsafe_b64encode(bytes(range(100, 132))).decode(), 1, 0),
        ("key: " + base64.b64encode(bytes(range(220, 252))).decode(), 1, 0),
        ("key: " + base64.b64encode(bytes(32)).decode(), 0, 0),
        ("RABBIT_PASSWORD=dobbs", 0, 1),
        ("  password: dobbs # for now", 0, 1),
        ('  password: "#x"', 0, 1),
        ("  password: null  # only where", 0, 0),
        ("  password_file: /etc/mirosd/password", 0, 0),
        ("  password:", 0, 0),
    ],
)
def test_what_is_looked_for_would_be_found(text: str, keys: int, passwords: int) -> None:
    """A key or password as the ancestor kept them is one, and an example that says nothing is none."""
    assert (keys, passwords) == (len(list(keys_in(text))), len(passwords_in(text)))


@pytest.mark.parametrize("path", [".env", "a/.env.local", "a/b.key", "id_ed25519", "a.pem", "x/.erlang.cookie"])
def test_names_of_secret_files(path: str) -> None:
    """They are told by their names, and a module about keys is not taken for one."""
    assert SECRET_FILE.search(path)
    assert not SECRET_FILE.search("a/key_files.py")
