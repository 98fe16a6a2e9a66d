"""mirosctl init."""

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mirosctl import host_files
from mirosctl.broker_rights import OWN, PEERS
from mirosd.backends.key_files import read_key_files
from mirosd.core.config import parse_config
from mirosd.core.settings import MeshSettings, NetworksSettings
from tests.mirosctl.setup_rig import FakeRabbit, Place

CONFIG = "/etc/mirosd/config.yaml"
KEYS = [f"/etc/mirosd/keys/{name}.key" for name in ("mesh", "snoop_spy", "snoop_trace", "system")]
PASSWORDS = ["/etc/mirosd/broker.password", "/etc/mirosd/peers.password"]
SECRETS = [*KEYS, *PASSWORDS]
ADD_ACCOUNT = """#!/bin/sh
echo "$(basename "$0") $*" >> "{directory}/made"
for name; do :; done
case "$0" in
*group*) echo "$name:x:990:" >> "{directory}/host/etc/group";;
*) echo "$name:x:989:990::/:/bin/false" >> "{directory}/host/etc/passwd";;
esac
"""


def test_everything_is_laid_down(place: Place) -> None:
    """Keys that the daemon takes, passwords, and a configuration; for the daemon, and nobody else of its group."""
    result = place.run("init", "--system", "workshop", "--name", "kitchen")
    settings = parse_config(place.text(CONFIG))
    keys = read_key_files(NetworksSettings(MeshSettings(str(place.root / KEYS[0].lstrip("/")))), {})

    assert result.exit_code == 0, result.output
    assert sorted([*SECRETS, CONFIG]) == sorted(place.tree())
    assert ("workshop", "kitchen") == (settings.system, settings.name)
    assert {"mesh", "snoop_trace", "snoop_spy", "system"} == set(keys)
    for path in place.tree():
        assert stat.S_IMODE((place.root / path.lstrip("/")).stat().st_mode) == 0o640, path
    for directory in ("/etc/mirosd", "/etc/mirosd/keys"):
        path = place.root / directory.lstrip("/")
        assert (0o500, (989, 0)) == (stat.S_IMODE(path.stat().st_mode), place.owned.pop(str(path)))
    assert {(0, 990)} == set(place.owned.values())


def test_each_host_draws_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no password is anybody's default (D54): two hosts have none in common, nor one host two alike."""
    trees = []
    for name in ("one", "other"):
        place = Place(tmp_path / name, monkeypatch)
        place.run("init")
        trees.append([place.text(path) for path in SECRETS])

    assert len({secret for tree in trees for secret in tree}) == 2 * len(SECRETS)
    assert all(len(secret) >= 33 for tree in trees for secret in tree)


def test_a_name_is_written_as_the_daemon_reads_it(place: Place) -> None:
    """In UTF-8, whatever the language of who sets the host up."""
    code = (
        "import os, sys, pathlib; from mirosctl.host_files import HostFiles; os.chown = lambda *_: None; "
        "HostFiles(pathlib.Path(sys.argv[1]), print).lay('/etc/mirosd/config.yaml', 'name: k\\xfcche')"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code, str(place.root)], env=os.environ | plain, check=True)

    assert "name: k\u00fcche".encode() == (place.root / "etc/mirosd/config.yaml").read_bytes()


def test_again_changes_nothing(place: Place) -> None:
    """What is there is kept and said, and what is missing is made: a run that was cut short is finished."""
    place.run("init", "--system", "workshop")
    before = place.tree()
    (place.root / "etc/mirosd/peers.password").unlink()
    result = place.run("init")
    after = place.tree()

    assert result.exit_code == 0
    assert {path: text for path, text in before.items() if path != PASSWORDS[1]} == {
        path: text for path, text in after.items() if path != PASSWORDS[1]
    }
    assert "wrote       /etc/mirosd/peers.password\n" in result.output
    assert result.output.count("kept ") == len(before) - 1


def test_keys_that_a_host_does_not_have_are_not_drawn(place: Place) -> None:
    """A host that is to see traces alone gets no mesh key of its own from a second run."""
    for path in KEYS[2:]:
        place.write(path, "k" * 43 + "=\n")
    place.run("init")

    assert sorted([*KEYS[2:], *PASSWORDS, CONFIG]) == sorted(place.tree())


@pytest.mark.parametrize(
    ("words", "fault"),
    [(["--system", "other"], "says system: default, not other"), (["--vhost", "v"], "says peers.vhost: /, not v")],
)
def test_another_mesh_is_refused(place: Place, words: list[str], fault: str) -> None:
    """A host that is set up stays what it is: the error says what does not fit, and nothing is touched."""
    place.run("init")
    before = place.tree()
    result = place.run("init", *words)

    assert (result.exit_code, True) == (1, fault in result.stderr)
    assert before == place.tree()


@pytest.mark.parametrize("path", [PASSWORDS[0], KEYS[0]])
def test_an_empty_file_is_not_taken_for_a_secret(place: Place, rabbit: FakeRabbit, path: str) -> None:
    """What is kept is what the broker is told: a file with nothing in it is an error before anything is done."""
    place.write(path, "\n")
    result = place.run("init")

    assert (1, True) == (result.exit_code, f"nothing is on the first line of {path}" in result.stderr)
    assert ([path], []) == (list(place.tree()), rabbit.asked)


def test_a_dry_run_does_nothing(place: Place, rabbit: FakeRabbit) -> None:
    """What would be done is said, and neither files nor broker are touched."""
    result = place.run("init", "--dry-run")

    assert result.exit_code == 0
    assert result.output.count("would write") == len(SECRETS) + 1
    assert ({}, []) == (place.tree(), rabbit.asked)


def test_an_image_leaves_the_broker_alone(place: Place) -> None:
    """With --root the accounts are lines to run later, in which no password stands."""
    result = place.run("init", "--vhost", "mesh")
    lines = [shlex.split(line, comments=True) for line in result.output.splitlines() if "  rabbitmqctl" in line]

    assert [
        ["rabbitmqctl", "add_vhost", "mesh"],
        ["rabbitmqctl", "add_user", "mirosd", "<", PASSWORDS[0]],
        ["rabbitmqctl", "set_permissions", "-p", "mesh", "mirosd", *OWN],
        ["rabbitmqctl", "add_user", "peers", "<", PASSWORDS[1]],
        ["rabbitmqctl", "set_permissions", "-p", "mesh", "peers", *PEERS],
    ] == lines
    assert parse_config(place.text(CONFIG)).broker.url == "amqp://127.0.0.1:5672/mesh"


def test_the_accounts_are_made_and_no_secret_is_shown(place: Place, rabbit: FakeRabbit) -> None:
    """Passwords reach rabbitmqctl on its standard input: never in words, environment or what is printed (D54, D57)."""
    result = place.run("init")
    secrets = [place.text(path).strip() for path in SECRETS]
    given = {words[1]: told for words, told, _ in rabbit.asked if words[0] == "add_user"}

    assert result.exit_code == 0, result.output
    assert {"mirosd": place.text(PASSWORDS[0]), "peers": place.text(PASSWORDS[1])} == given
    for secret in secrets:
        assert all(
            secret not in " ".join(words) and secret not in environment for words, _, environment in rabbit.asked
        )
        assert secret not in result.output
    assert ["set_permissions", "-p", "/", "peers", *PEERS] in [words for words, _, _ in rabbit.asked]


def test_accounts_that_are_there_are_put_right(place: Place, rabbit: FakeRabbit) -> None:
    """A password that was another, and the tag of an administrator, are as they must be afterwards (D57)."""
    users = [{"user": "mirosd", "tags": ["administrator"]}, {"user": "peers", "tags": []}]
    place.write(PASSWORDS[0], "of an earlier run\n")
    rabbit.answer(list_users=[0, json.dumps(users)])
    place.run("init", "--vhost", "mesh")
    words = [words for words, _, _ in rabbit.asked]

    assert (["change_password", "mirosd"], "of an earlier run\n") in [(words, told) for words, told, _ in rabbit.asked]
    assert ["set_user_tags", "mirosd"] in words
    assert ["set_user_tags", "peers"] not in words
    assert ["add_vhost", "mesh"] in words
    assert not [each for each in words if each[0] == "add_user"]


@pytest.mark.parametrize("command", ["status", "list_users", "add_user", "set_permissions"])
def test_a_broker_that_refuses_is_told_with_the_lines(place: Place, rabbit: FakeRabbit, command: str) -> None:
    """The exit status is 1, with RabbitMQ's own words and the lines to run by hand; the files are there."""
    rabbit.answer(**{command: [69, "\nError: unable to perform\n"]})
    result = place.run("init")

    assert result.exit_code == 1
    assert f"Error: rabbitmqctl {command} failed: Error: unable to perform" in result.stderr
    assert f"rabbitmqctl add_user mirosd < {PASSWORDS[0]}" in result.stderr
    assert sorted([*SECRETS, CONFIG]) == sorted(place.tree())


@pytest.mark.parametrize(("interface", "is_told"), [("127.0.0.1", True), ("[::1]", True), ("[::]", False)])
def test_a_broker_that_nobody_reaches_is_told(place: Place, rabbit: FakeRabbit, interface: str, is_told: bool) -> None:
    """RabbitMQ on loopback alone works here and for no other host; what to write where is said."""
    listeners = [
        {"interface": interface, "port": 5672, "protocol": "amqp"},
        {"interface": "[::]", "port": 25672, "protocol": "clustering"},
    ]
    rabbit.answer(status=[0, json.dumps({"listeners": listeners})])
    text = place.run("init").output
    told = json.loads(place.run("init", "--json").stdout)

    assert is_told == ("rabbitmq.conf" in text) == told["broker_on_loopback_only"]


def test_a_broker_elsewhere_is_left_to_its_own_host(place: Place, rabbit: FakeRabbit) -> None:
    """The accounts belong to the broker that the configuration names."""
    files = "broker: {url: 'amqp://rabbit.lan', password_file: /b}\npeers: {password_file: /p}\n"
    place.write(CONFIG, files)
    result = place.run("init")

    assert (0, []) == (result.exit_code, rabbit.asked)
    assert "rabbitmqctl add_user mirosd < /b" in result.output


def test_json_has_all_of_it(place: Place) -> None:
    """For machines: each step in its order, and what is left to do."""
    told = json.loads(place.run("init", "--json").stdout)

    assert ("mirosctl.init/1", "default", "") == (told["schema"], told["system"], told["reason"])
    assert {"done": "wrote", "what": CONFIG} == told["steps"][-1]
    assert 4 == len(told["by_hand"])


def test_who_is_not_root_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 4, and how to do it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for verb in (["init"], ["invite"], ["join", "/dev/null"]):
        result = place.run(*verb)

        assert (4, True) == (result.exit_code, f"run it as root: sudo mirosctl {verb[0]}" in result.stderr)
    assert {} == place.tree()


@pytest.mark.parametrize("words", [["--system", "a.b"], ["--vhost", "$(id)"], ["--name", "a\nb"]])
def test_words_that_cannot_be_used_are_wrong_usage(place: Place, words: list[str]) -> None:
    """What would end in names on a broker, in commands or in the configuration is checked before anything is done."""
    assert 2 == place.run("init", *words).exit_code
    assert {} == place.tree()


def test_missing_accounts_of_the_system_are_made(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no package made them: two groups, and a user who cannot log in."""
    place.write("/etc/group", "root:x:0:\n")
    place.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    directory = place.root.parent
    for name in ("groupadd", "useradd"):
        (directory / name).write_text(ADD_ACCOUNT.format(directory=directory))
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    result = place.run("init")
    made = [line.split() for line in (directory / "made").read_text().splitlines()]

    assert result.exit_code == 0, result.output
    assert [["groupadd", "mirosd"], ["groupadd", "mirosd-admin"], ["useradd", "mirosd"]] == [
        [words[0], words[-1]] for words in made
    ]
    assert all(words[1:3] == ["--prefix", str(place.root)] and "--system" in words for words in made)
    assert "/usr/sbin/nologin" in made[2]


def test_an_account_that_cannot_be_made_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is laid down that the daemon could not read."""
    place.write("/etc/group", "root:x:0:\n")
    (place.root.parent / "groupadd").write_text("#!/bin/sh\necho read-only >&2\nexit 10\n")
    (place.root.parent / "groupadd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place.root.parent}:{os.environ['PATH']}")
    result = place.run("init")

    assert (1, "Error: the group mirosd could not be made: read-only\n") == (result.exit_code, result.stderr)
    assert {} == place.tree()


def test_a_file_that_came_meanwhile_is_not_replaced(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the writing somebody else may write: theirs stays, and this run ends with an error."""
    monkeypatch.setattr(Path, "exists", lambda path, **_: False)
    place.write(CONFIG, "theirs")
    with pytest.raises(host_files.HostSetupError, match="cannot be written"):
        host_files.HostFiles(place.root, lambda *_: None).lay(CONFIG, "ours")

    assert ["theirs"] == list(place.tree().values())
