import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirosd.core.interfaces import Credentials
from mirosd.localapi.rights import Grant, Policy, Rule, grant
from mirosd_client.messages import Ask, Done, Failed, Follow, Hello, Subscribe, Welcome, encode_message
from mirosd_client.wire import Network, encode_events
from tests.lab.waiting import until
from tests.localapi.live import Live, Raw, running

MEMBERS, OPERATORS, WATCHERS, STRANGER_UID = 23_001, 23_002, 23_003, 23_456
FIRST_GIDS = list(range(40_000, 40_300))  # more groups than one look at a small buffer brings

STRANGER = """
import json, os, socket, sys
path, uid, gid, groups, frames, answers = json.loads(sys.argv[1])
os.setgroups(groups); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(path)
s.sendall(bytes.fromhex(frames))
stream, said = s.makefile("rb"), []
while len(said) < answers:
    length = int.from_bytes(stream.read(4), "big")
    said.append(json.loads(stream.read(1 + length)[1:]))
print(json.dumps(said))
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users, which only root can")


@pytest.fixture
def open_live() -> Iterator[Live]:
    """A server at a place that every user can reach, with a policy of two made-up groups."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        policy = Policy(os.geteuid(), MEMBERS, OPERATORS)
        with running(Path(directory) / "s", policy=policy, mode=0o666) as live:
            yield live


def as_stranger(live: Live, *frames: bytes, gid: int = STRANGER_UID, groups: list[int]) -> list[dict[str, Any]]:
    """What the server says to another user in other groups: a Welcome, and one message per frame."""
    hello = {"type": "hello", "versions": [1], "secret": os.urandom(32).hex()}
    body = json.dumps(hello).encode()
    data = len(body).to_bytes(4, "big") + b"\x01" + body + b"".join(frames)
    argument = json.dumps([str(live.path), STRANGER_UID, gid, groups, data.hex(), 1 + len(frames)])
    done = subprocess.run([sys.executable, "-I", "-c", STRANGER, argument], capture_output=True, check=True, timeout=60)
    said: list[dict[str, Any]] = json.loads(done.stdout)
    return said


@needs_root
@pytest.mark.parametrize(
    ("gid", "groups", "rights"),
    [
        (STRANGER_UID, [], []),
        (STRANGER_UID, [MEMBERS], ["read", "transmit"]),
        (MEMBERS, [], ["read", "transmit"]),
        (STRANGER_UID, [OPERATORS], ["read", "transmit", "operate"]),
        (STRANGER_UID, [*FIRST_GIDS, OPERATORS], ["read", "transmit", "operate"]),
    ],
)
def test_rights_come_from_the_groups_that_the_kernel_knows(
    open_live: Live, gid: int, groups: list[int], rights: list[str]
) -> None:
    """Primary and supplementary groups of a real other user decide, the 301st like the first."""
    assert rights == as_stranger(open_live, gid=gid, groups=groups)[0]["rights"]


@needs_root
def test_a_caller_without_rights_is_told_what_would_permit_it(open_live: Live) -> None:
    """A stranger's subscription is refused under its number, with the cure; nothing reaches the bridge."""
    said = as_stranger(open_live, encode_message(Subscribe(1, "mesh", "#")), groups=[])

    assert [message["type"] for message in said] == ["welcome", "failed"]
    assert (said[1]["id"], said[1]["code"]) == (1, "not_permitted")
    assert 'sudo usermod -aG mirosd "$USER"' in said[1]["message"]
    assert "log in again" in said[1]["message"]
    until(lambda: "detached" in {call[0] for call in open_live.sink.calls}, what="its end heard of")
    assert {"attached", "detached"} == {call[0] for call in open_live.sink.calls}


@needs_root
def test_members_may_look_and_not_operate(open_live: Live) -> None:
    """A member's question is answered; its attempt to change something is refused with the group that may."""
    ask, change = Ask(1, "status"), Ask(2, "hosts_add", {"host": "h"})
    said = as_stranger(open_live, encode_message(ask), encode_message(change), groups=[MEMBERS])

    assert [message["type"] for message in said] == ["welcome", "done", "failed"]
    assert said[2]["code"] == "not_permitted"
    assert 'sudo usermod -aG mirosd-admin "$USER"' in said[2]["message"]
    assert open_live.view.listed == []


@needs_root
def test_members_may_not_watch_what_other_hosts_do(open_live: Live) -> None:
    """A member's subscription to instrumentation is refused with the group that may; one to events is not."""
    traces, events = Subscribe(1, "snoop_trace", "#"), Subscribe(2, "mesh", "#")
    granted_in_silence = encode_message(events) + encode_message(Ask(3, "status"))
    said = as_stranger(open_live, encode_message(traces), granted_in_silence, groups=[MEMBERS])

    assert [(1, "not_permitted")] == [(m["id"], m["code"]) for m in said if m["type"] == "failed"]
    assert "mirosd-admin" in said[1]["message"]
    assert 1 == sum(call[0] == "subscribe" for call in open_live.sink.calls)


@needs_root
def test_a_rule_opens_one_network(open_live: Live) -> None:
    """Whom a rule lets read traces subscribes to them, not to spy lines or events, and sends nothing."""
    rule = Rule(grant(["read"], ["snoop_trace"]), gid=WATCHERS, name="watchers")
    open_live.call(lambda: open_live.server.enforce(Policy(os.geteuid(), MEMBERS, OPERATORS, rules=(rule,))))
    subscriptions = [Subscribe(1, "snoop_trace", "#"), Subscribe(2, "snoop_spy", "#"), Subscribe(3, "mesh", "#")]
    frames = [*map(encode_message, subscriptions), encode_message(Ask(4, "status"))]
    said = as_stranger(open_live, frames[0] + frames[1], *frames[2:], groups=[WATCHERS])

    assert ["read"] == said[0]["rights"]
    assert [(2, "failed"), (3, "failed"), (4, "done")] == [(m["id"], m["type"]) for m in said[1:]]
    assert ["subscribe"] == [call[0] for call in open_live.sink.calls if call[0] not in ("attached", "detached")]
    closed = as_stranger(open_live, encode_events(Network.SNOOP_TRACE, "a", b""), groups=[WATCHERS])[-1]
    assert ("closing", "not_permitted") == (closed["type"], closed["code"])


class Ruled(Policy):
    """No word of root: what the rules say is all that there is."""

    def grant_of(self, caller: Credentials) -> Grant:
        return self.rules[0].gives


def ruled(may: list[str]) -> Policy:
    """Give a policy by which everybody may do this."""
    return Ruled(1, None, None, rules=(Rule(grant(may), uid=0),))


def test_who_loses_a_right_loses_its_connection(tmp_path: Path) -> None:
    """Rules that are taken back count for those who are connected; what is given anew is there at once."""

    with running(tmp_path / "s", policy=ruled(["read"])) as live, live.client() as raw:
        live.call(lambda: live.server.enforce(ruled(["read", "operate"])))
        assert isinstance(raw.ask("hosts_add", host="h")[1], Done)
        live.call(lambda: live.server.enforce(ruled(["read"])))

        assert "rights_changed" == raw.closing().code
        assert {"session_rights_changed": 1} == live.board.counters
        with live.client() as again:
            assert isinstance(again.ask("hosts_add", host="h")[1], Failed)


def test_charts_that_may_speak_only_now_are_made_known(tmp_path: Path) -> None:
    """Their program is asked to connect again, which it does by itself: then it is told and recalled, and may hear."""

    def greet(raw: Raw) -> None:
        raw.send(encode_message(Hello([1], raw.secret, has_charts=True)))
        assert isinstance(raw.message(), Welcome)

    with running(tmp_path / "s", policy=ruled(["read"])) as live, live.connect() as raw:
        greet(raw)
        live.call(lambda: live.server.enforce(ruled(["read"])))
        assert isinstance(raw.ask("status")[-1], Done)
        live.call(lambda: live.server.enforce(ruled(["read", "transmit"])))

        assert "rights_changed" == raw.closing().code
        with live.connect() as again:
            greet(again)
            until(lambda: len(live.sink.sessions) == 2)
        assert [False, True] == [session.has_charts for session in live.sink.sessions.values()]
        assert {} == live.board.counters


@needs_root
def test_who_hears_a_key_is_for_those_who_may_transmit(open_live: Live) -> None:
    """A member is told whom a key reaches, a stranger what would permit asking."""
    ask = encode_message(Ask(1, "matching", {"routing_key": "a.b"}))

    assert "done" == as_stranger(open_live, ask, groups=[MEMBERS])[1]["type"]
    assert "not_permitted" == as_stranger(open_live, ask, groups=[])[1]["code"]


@needs_root
@pytest.mark.parametrize(
    "frame", [encode_events(Network.MESH, "a", b""), encode_message(Follow([1]))], ids=("send", "follow")
)
def test_events_without_the_right_end_the_session(open_live: Live, frame: bytes) -> None:
    """Events have no number to answer under: who may not transmit is closed, with the cure."""
    said = as_stranger(open_live, frame, groups=[])

    assert (said[-1]["type"], said[-1]["code"]) == ("closing", "not_permitted")
    assert "usermod" in said[-1]["message"]


@needs_root
def test_the_socket_mode_keeps_strangers_out(tmp_path: Path) -> None:
    """At 0660 a user who is in none of the groups cannot even connect."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        with running(Path(directory) / "s") as live, pytest.raises(subprocess.CalledProcessError) as failure:
            as_stranger(live, groups=[MEMBERS])

        assert b"PermissionError" in failure.value.stderr


def test_sessions_are_shown_as_copies(live: Live) -> None:
    """The display rows name each client with its program, uid, pid and rights, sorted."""
    with live.client("one") as one, live.client("two") as two:
        two.send(encode_message(Subscribe(1, "mesh", "#")))
        assert two.is_well()

        rows = live.sessions()
        assert sorted([one.id, two.id]) == [row["client"] for row in rows]
        shown = next(row for row in rows if row["client"] == two.id)
        assert {
            "client": two.id,
            "program": "two",
            "pid": os.getpid(),
            "uid": os.getuid(),
            "rights": ["read", "transmit", "operate"],
            "subscriptions": 1,
            "unsent_bytes": 0,
        } == shown


def test_a_stop_says_goodbye_to_everyone(live: Live) -> None:
    """Greeted or not, each client hears that the daemon stops; asks in flight end; nobody can connect any more."""
    with live.client() as greeted, live.connect() as silent:
        greeted.send(encode_message(Ask(1, "wait", {"peers": 1, "timeout_s": 3600})))
        live.call(lambda: None)
        assert greeted.is_well()
        live.stop()

        assert greeted.closing().code == "stopping"
        assert silent.closing().code == "stopping"
        assert live.view.waiting == 0
        assert live.sink.of(greeted.id)[-1] == ("detached",)
        assert live.board.counters == {}
        with pytest.raises(FileNotFoundError):
            live.connect()


def test_a_stop_does_not_wait_for_ever_for_a_client_that_does_not_read(live: Live) -> None:
    """A client with unread bytes is dropped when its grace is over."""
    with live.client() as raw:
        session = live.sink.sessions[raw.id]
        for _ in range(10):
            live.call(lambda: session.deliver(1, 1, 0, False, bytes(60_000)))
        assert live.sessions()[0]["unsent_bytes"] > 0
        live.stop()

        assert live.sessions() == []
