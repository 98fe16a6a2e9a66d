"""mirosctl clients."""

import json
import os
import pwd
from typing import Any

from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

ME = pwd.getpwuid(os.geteuid()).pw_name


def client(program: str, *charts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Give a row of the clients table."""
    row = {"client": "89abcdef" * 4, "program": program, "pid": 7, "uid": os.geteuid(), "unsent_bytes": 0}
    progress = {"last_taken": 9, "last_safe": 8, "last_settled": 7, "unroutable": 0}
    return {**row, **progress, "charts": list(charts), **fields}


def chart(name: str, **fields: Any) -> dict[str, Any]:
    """Give what one chart hears."""
    row = {"chart": name, "network": "mesh", "binding_key": f"{name}.#", "state": "bound", "unacknowledged": 0}
    return row | fields


def test_each_program_is_listed_with_its_charts(daemon: FakeDaemon, run: Run) -> None:
    """A line per chart, sorted by program; whose it is stands in the first one alone."""
    daemon.answers["clients"] = (
        [
            client("walker", chart("archer"), chart("", state="pending"), unsent_bytes=4096),
            client("", uid=4_000_000_000),
        ],
        {},
    )
    header, *lines = [" ".join(line.split()) for line in run("clients").stdout.splitlines()]

    assert header == "CLIENT PROGRAM PID USER SENT SETTLED UNREAD CHART NETWORK HEARS STATE"
    assert lines == [
        "89abcdef - 7 4000000000 9 7 0 - - - -",
        f"89abcdef walker 7 {ME} 9 7 4096 archer mesh archer.# bound",
        "- mesh .# pending",
    ]


def test_json_has_everything(daemon: FakeDaemon, run: Run) -> None:
    """For machines: the rows as the daemon gave them, with the full id, and the user's name."""
    rows = [client("b", chart("x")), client("a")]
    daemon.answers["clients"] = (rows, {})

    assert json.loads(run("clients", "--json").stdout) == {
        "schema": "mirosctl.clients/1",
        "clients": [{**rows[1], "user": ME}, {**rows[0], "user": ME}],
    }
