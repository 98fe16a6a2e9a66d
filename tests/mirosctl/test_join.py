"""mirosctl join."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result

from mirosctl.broker_rights import PEERS
from mirosd.core.config import parse_config
from tests.mirosctl.setup_rig import FakeRabbit, Place

CONFIG, HOSTS, OWN_PASSWORD = (f"/etc/mirosd/{name}" for name in ("config.yaml", "hosts.json", "broker.password"))
PEERS_PASSWORD = "/etc/mirosd/peers.password"
KEYS = {f"/etc/mirosd/keys/{name}.key" for name in ("mesh", "snoop_trace", "snoop_spy", "system")}


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A host of the mesh `workshop`."""
    member = Place(tmp_path / "member", monkeypatch)
    member.run("init", "--system", "workshop", "--vhost", "mesh")
    return member


class Invitation:
    """A file, and its passphrase."""

    def __init__(self, member: Place, file: Path, *words: str) -> None:
        result = member.run("invite", *words)
        assert result.exit_code == 0, result.stderr
        self.file, self.passphrase = file, result.stderr.partition("passphrase: ")[2].strip()
        self.file.write_text(result.stdout)

    def join(self, host: Place, *words: str) -> Result:
        """Have a host join, and type the passphrase there."""
        return host.run("join", str(self.file), *words, typed=f"{self.passphrase}\n")


@pytest.fixture
def invitation(member: Place, tmp_path: Path) -> Invitation:
    """An invitation to it, with an address."""
    return Invitation(member, tmp_path / "invitation.json", "--host", "10.0.0.7")


def test_a_host_becomes_a_member(invitation: Invitation, member: Place, place: Place) -> None:
    """It has the mesh's keys and the shared account, and a password of its own for its own broker."""
    result = invitation.join(place, "--name", "kitchen")
    settings = parse_config(place.text(CONFIG))
    ours, theirs = place.tree(), member.tree()

    assert result.exit_code == 0, result.stderr
    assert KEYS | {PEERS_PASSWORD} == {path for path, text in ours.items() if theirs.get(path) == text}
    assert {*KEYS, PEERS_PASSWORD, CONFIG, HOSTS, OWN_PASSWORD} == set(ours)
    assert ("workshop", "kitchen", "mesh") == (settings.system, settings.name, settings.peers.vhost)
    assert {"hosts": ["10.0.0.7"]} == json.loads(ours[HOSTS])


def test_its_broker_lets_the_mesh_in(invitation: Invitation, place: Place, rabbit: FakeRabbit) -> None:
    """The shared account is made at the new member's RabbitMQ, and no secret is shown on the way."""
    result = invitation.join(place)
    told = {words[1]: given for words, given, _ in rabbit.asked if words[0] == "add_user"}

    assert result.exit_code == 0, result.stderr
    assert place.text(PEERS_PASSWORD) == told["peers"]
    assert ["set_permissions", "-p", "mesh", "peers", *PEERS] in [words for words, _, _ in rabbit.asked]
    for path in {*KEYS, PEERS_PASSWORD, OWN_PASSWORD}:
        secret = place.text(path).strip()
        assert secret not in result.output
        assert all(secret not in f"{words}{environment}" for words, _, environment in rabbit.asked)
    assert invitation.passphrase not in result.output


def test_a_passphrase_may_be_given_by_a_file(invitation: Invitation, place: Place, tmp_path: Path) -> None:
    """For scripts: nothing is asked for then."""
    file = tmp_path / "passphrase"
    file.write_text(f"{invitation.passphrase}\n")
    result = place.run("join", str(invitation.file), "--passphrase-file", str(file), "--json")

    assert ("mirosctl.join/1", "workshop") == tuple(json.loads(result.stdout)[word] for word in ("schema", "system"))


def test_what_is_no_good_leaves_the_host_as_it_was(invitation: Invitation, place: Place) -> None:
    """A wrong passphrase, a changed file, another version, or what is no invitation: one clear error, no file."""
    document = json.loads(invitation.file.read_text())
    passphrase, invitation.passphrase = invitation.passphrase, "not the passphrase"
    assert "the passphrase is wrong" in invitation.join(place).stderr
    invitation.passphrase = passphrase
    for wrong, said in (
        ({"sealed": document["sealed"][:-4] + "AAA="}, "the file was changed"),
        ({"schema": "mirosctl.invite/2"}, "has version '2'"),
        ({"schema": "mirosctl.peers/1"}, "this is no invitation"),
        ({"expires": "2020-01-01T00:00:00Z"}, "expired at 2020-01-01"),
    ):
        invitation.file.write_text(json.dumps(document | wrong))
        result = invitation.join(place)

        assert (1, True) == (result.exit_code, said in result.stderr), result.stderr
    invitation.file.write_bytes(os.urandom(100))
    assert "this is no invitation" in invitation.join(place).stderr
    assert {} == place.tree()


def test_an_expired_one_is_told_before_the_passphrase_is_asked_for(invitation: Invitation, place: Place) -> None:
    """Nobody looks for the passphrase of a file that is of no use any more."""
    document = json.loads(invitation.file.read_text())
    invitation.file.write_text(json.dumps(document | {"expires": "2020-01-01T00:00:00Z"}))

    assert "passphrase" not in invitation.join(place).output


def test_again_changes_nothing(invitation: Invitation, place: Place) -> None:
    """What a run that was cut short had laid down fits, and what is missing is made."""
    invitation.join(place)
    before = place.tree()
    (place.root / HOSTS.lstrip("/")).unlink()
    result = invitation.join(place)

    assert (0, before) == (result.exit_code, place.tree())
    assert f"wrote       {HOSTS}\n" in result.output


@pytest.mark.parametrize("there", [CONFIG, PEERS_PASSWORD, min(KEYS)])
def test_a_member_of_another_mesh_stays_that(invitation: Invitation, member: Place, place: Place, there: str) -> None:
    """Whatever is left of another mesh, the error names it, and nothing is changed."""
    place.run("init")
    for path in place.tree():
        if path != there and not (there == CONFIG and path.endswith("password")):
            (place.root / path.lstrip("/")).unlink()
    before = place.tree()
    result = invitation.join(place)

    assert (1, before) == (result.exit_code, place.tree())
    assert "this host is set up already" in result.stderr
    assert there in result.stderr


def test_a_member_of_some_networks_gets_their_keys_alone(member: Place, place: Place, tmp_path: Path) -> None:
    """Who is to see traces has neither the mesh's key nor a drawn one; who has more already is told."""
    invitation = Invitation(member, tmp_path / "traces.json", "--networks", "snoop_trace")
    place.write("/etc/mirosd/keys/mesh.key", "other")
    assert "/etc/mirosd/keys/mesh.key is there, and no such key in the invitation" in invitation.join(place).stderr
    (place.root / "etc/mirosd/keys/mesh.key").unlink()
    invitation.join(place)

    assert {"/etc/mirosd/keys/snoop_trace.key", "/etc/mirosd/keys/system.key"} == KEYS & set(place.tree())


def test_a_dry_run_does_nothing(invitation: Invitation, place: Place, rabbit: FakeRabbit) -> None:
    """The file is opened, and what would be done is said."""
    result = invitation.join(place, "--dry-run")

    assert (0, {}, []) == (result.exit_code, place.tree(), rabbit.asked)
    assert f"would write {CONFIG}\n" in result.output
