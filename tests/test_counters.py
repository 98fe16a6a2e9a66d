"""Each counter of the daemon stands in docs/counters.md, and nothing else does; they are read out of the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from mirosctl.counter_texts import CODES
from mirosd.bridge.body import Verdict
from mirosd.bridge.dead_letters import REASONS
from mirosd.bridge.screening import REFUSALS
from mirosd.names import NETWORK_NAMES
from mirosd_client.wire import Network

ROOT = Path(__file__).parents[1]

CHOSEN: dict[str, set[str]] = {
    "mirosd/bridge/lane.py": set(get_args(Verdict)) - {"confirmed", "unroutable", "dissolved"} | {"unconfirmed"},
    "mirosd/bridge/dead_letters.py": {*REASONS.values(), "dead_lettered"},
    "mirosd/bridge/screening.py": {"quarantined", *(passage.value for passage in REFUSALS)},
    "mirosd/bridge/snoop.py": {
        f"{NETWORK_NAMES[network]}_shed" for network in (Network.SNOOP_TRACE, Network.SNOOP_SPY)
    },
}
"""Files where the name of a counter is chosen as the daemon runs, and all that it may be."""


def documented() -> set[str]:
    """Give the counters in the table."""
    return set(re.findall(r"^\| `([a-z_*]+)` \|", (ROOT / "docs" / "counters.md").read_text(), re.MULTILINE))


def counted() -> Iterator[tuple[str, str]]:
    """Give each counter that the source counts, a family as `name_*`, with where."""
    for path in sorted((ROOT / "mirosd").rglob("*.py")):
        where = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "count"):
                continue
            if not ast.unparse(node.func.value).endswith("board"):
                continue
            match node.args[0]:
                case ast.Constant(str(name)):
                    yield name, where
                case ast.JoinedStr([ast.Constant(str(family)), ast.FormattedValue()]):
                    yield f"{family}*", where
                case chosen:
                    assert where in CHOSEN, f"{where} counts {ast.unparse(chosen)}: say in CHOSEN what that may be"
                    yield from ((name, where) for name in CHOSEN[where])


def test_every_counter_is_documented() -> None:
    """What is counted and not explained helps nobody."""
    missing = {f"{name} ({where})" for name, where in counted() if name not in documented()}

    assert not missing, f"explain in docs/counters.md: {', '.join(sorted(missing))}"


def test_what_is_documented_is_counted() -> None:
    """A counter that is gone is explained no more."""
    assert set() == documented() - {name for name, _ in counted()}


CODED = {
    "RemoteProtocolError": "malformed",
    "DaemonRefusedError": "",
    "NotPermittedError": "not_permitted",
    "KeysError": "",
    "Failed": "",
    "close": "",
    "_report": "",
}
"""Calls that say a code, by a word, or a text of their own; and the code of one that says none."""
SOURCES = {
    "unopened_*": ["mirosd/core/envelope.py", "mirosd/core/seal.py"],
    "control_*": ["mirosd/core/envelope.py", "mirosd/core/seal.py", "mirosd/core/control_messages.py"],
    "lan_*": ["mirosd/core/probe.py"],
    "session_* refused_*": [
        *("mirosd/localapi", "mirosd/view.py", "mirosd/lan_view.py", "mirosd/core/node_names.py"),
        *("mirosd/core/addresses.py", "mirosd/core/interest.py", "mirosd/bridge/snooping.py"),
        *("mirosd/core/key_ring.py", "mirosd/bridge/key_desk.py", "mirosd/backends/ring_file.py"),
        *("client/mirosd_client/wire.py", "client/mirosd_client/record.py", "client/mirosd_client/messages.py"),
    ],
}
"""Where the codes of families are said. Which of a connection's end it, and which only a request, the source does not
show in one place."""


def said(source: str) -> Iterator[str]:
    """Give each code that a file, or those of a folder, say."""
    path = ROOT / source
    for each in path.rglob("*.py") if path.is_dir() else [path]:
        for node in ast.walk(ast.parse(each.read_text())):
            match node:
                case ast.Call(ast.Name(name) | ast.Attribute(attr=name), args, words) if name in CODED:
                    texts = [word.value for word in words if word.arg == "code"] or args
                    codes = [text.value for text in texts if isinstance(text, ast.Constant)]
                    found = [code for code in codes if isinstance(code, str) and re.fullmatch("[a-z_]+", code)]
                    yield from found or filter(None, [CODED[name]])
                case ast.Assign([ast.Name("code")], ast.Constant(str(code))):
                    yield code


@pytest.mark.parametrize("families", SOURCES)
def test_the_codes_of_a_family_are_those_of_the_source(families: str) -> None:
    """So that monitoring has a series of each from the start."""
    listed = [code for family in families.split() for code in CODES[family]]

    assert {code for source in SOURCES[families] for code in said(source)} == set(listed)
