"""The proof that no packet can leave: what this process sees of the network is its own loopback alone."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

LAB_VARIABLE = "MIROSD_LAB"
LAB_DIRECTORY = Path("/run/lab")
"""Everything the lab writes; short, because socket paths have room for 107 bytes."""


def is_inside() -> bool:
    """Tell whether this process was started by `tests.lab.enter`."""
    return LAB_VARIABLE in os.environ


def faults() -> list[str]:
    """Give every way by which a packet could leave this network namespace; empty on a private machine."""
    links = [link["ifname"] for link in _ip("link", "show") if "LOOPBACK" not in link["flags"]]
    found = [f"an interface {name}" for name in links]
    for family in ("-4", "-6"):
        routes = _ip(family, "route", "show", "table", "all")
        # "unreachable default" is how IPv6 says that there is none
        found += [f"a default route ({family[1:]})" for route in routes if _is_way_out(route)]
    return found


def _is_way_out(route: dict[str, Any]) -> bool:
    return route.get("dst") == "default" and route.get("type", "unicast") == "unicast"


def _ip(*arguments: str) -> list[dict[str, Any]]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    answer = subprocess.run(
        ["ip", "-json", *arguments], check=True, capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    parsed: list[dict[str, Any]] = json.loads(answer.stdout or "[]")
    return parsed
