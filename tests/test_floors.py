"""Imports go down only, and a few things are imported nowhere at all; each rule says why."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WINGS = ("charts", "bridge", "backends", "localapi")

BANNED: dict[tuple[str, str], str] = {
    ("mirosd/core", "mirosd.charts"): "core is pure logic: it decides nothing over time",
    ("mirosd/core", "mirosd.bridge"): "core is beneath the wings",
    ("mirosd/core", "mirosd.backends"): "core touches no disk, socket or broker",
    ("mirosd/core", "mirosd.localapi"): "core is beneath the wings",
    ("mirosd/core", "mirosd.daemon"): "only main knows the composer",
    ("mirosd/core", "asyncio"): "core has no loop of its own",
    ("mirosd/core", "threading"): "core has no threads of its own",
    ("mirosd/core", "socket"): "core does no I/O",
    ("mirosd/core", "pika"): "AMQP stops at the backends",
    ("mirosd/core", "time"): "the clock is an argument",
    ("mirosd/core", "random"): "dice are an argument",
    ("mirosd/charts", "pika"): "charts ask through interfaces",
    ("mirosd/charts", "socket"): "charts do no I/O",
    ("mirosd/charts", "time"): "charts ask their reactor for the time",
    ("mirosd/charts", "asyncio"): "charts run on threads of their own",
    ("mirosd/bridge", "pika"): "pika's exceptions stop in backends/amqp",
    ("mirosd/localapi", "pika"): "the local API knows nothing of AMQP",
    ("mirosd", "pickle"): "bytes from outside must never run code",
    ("client", "pickle"): "bytes from outside must never run code",
    ("client", "pika"): "the client only forwards events; the daemon speaks AMQP",
    ("client", "cryptography"): "the daemon holds the keys",
    ("client", "mirosd"): "the client is a distribution of its own, beneath the daemon",
    ("client/mirosctl", "miros"): "mirosctl must start fast",
    **{
        (f"mirosd/{one}", f"mirosd.{other}"): "wings meet in daemon.py only"
        for one in WINGS
        for other in WINGS
        if one != other
    },
    **{
        (f"mirosd/{wing}", f"mirosd.{top}"): "imports go down only"
        for wing in (*WINGS, "core")
        for top in ("daemon", "main")
    },
}

EXCEPT: dict[tuple[str, str], str] = {
    ("client/mirosctl/bundle.py", "cryptography"): "root seals invitations, also where no daemon runs",
}

WORDS = ("errors", "names", "payloads", "signals")


def modules(folder: str) -> Iterator[Path]:
    """Give every Python file beneath a folder."""
    yield from sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Give each name a file imports (modules, and names out of them), with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative imports hide the floor they reach"
            yield str(node.module), node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def reaches(name: str, banned: str) -> bool:
    """Tell whether importing `name` imports `banned`."""
    return name == banned or name.startswith(banned + ".")


@pytest.mark.parametrize(("who", "what"), BANNED, ids=lambda value: str(value))
def test_imports_go_down_only(who: str, what: str) -> None:
    """No file of one part imports what the rule bans, for the rule's reason."""
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {name}: {BANNED[who, what]}"
        for path in modules(who)
        for name, line in imported(path)
        if reaches(name, what) and (path.relative_to(ROOT).as_posix(), what) not in EXCEPT
    ]

    assert not broken, "\n".join(broken)


def test_every_banned_name_still_exists() -> None:
    """A rule about a part that is gone would guard nothing."""
    for who, what in BANNED:
        assert any(modules(who)), f"nothing is left in {who}"
        if what.startswith("mirosd."):
            path = ROOT / what.replace(".", "/")
            assert path.is_dir() or path.with_suffix(".py").is_file(), f"{what} is gone"
    for who, what in EXCEPT:
        assert any(reaches(name, what) for name, _ in imported(ROOT / who)), f"{who} needs no exception any more"


def test_words_have_no_behaviour_beneath_them() -> None:
    """Words import the standard library, each other, the client, and nothing else of the daemon."""
    for word in WORDS:
        for name, line in imported(ROOT / "mirosd" / f"{word}.py"):
            top = name.split(".")[0]
            is_word = name.startswith(tuple(f"mirosd.{other}" for other in WORDS))
            assert top != "mirosd" or is_word, f"mirosd/{word}.py:{line} imports {name}"


def test_files_are_about_one_noun() -> None:
    """Past 300 lines a file is two nouns."""
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for folder in ("mirosd", "client")
        for path in modules(folder)
        if (lines := len(path.read_text().splitlines())) > 300
    ]

    assert not long, "\n".join(long)


def test_nothing_is_unpickled() -> None:
    """The word pickle stands in no import and no call of the shipped code (D50)."""
    for folder in ("mirosd", "client"):
        for path in modules(folder):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not (isinstance(node, ast.Name) and "pickle" in node.id.lower()), path
