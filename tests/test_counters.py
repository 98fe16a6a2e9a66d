"""Each counter of the daemon stands in docs/counters.md, and nothing else does; they are read out of the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

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
