"""mirosctl invite: what is in an invitation, and what is never seen of it."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import Result

from mirosctl import bundle
from mirosctl.bundle import Invitation
from mirosd.core.key_ring import NetworkRing, Ring, RingKey, ring_text
from tests.mirosctl.setup_rig import Place

KEYS = {name: base64.urlsafe_b64encode(name.encode().ljust(32)).decode() for name in ("mesh", "snoop_trace", "system")}
RING = "/var/lib/mirosd/keys/ring.json"


@pytest.fixture
def member(place: Place) -> Place:
    """A host with keys of its own for the mesh, its traces and the system."""
    for name, key in KEYS.items():
        place.write(f"/etc/mirosd/keys/{name}.key", f"{key}\n")
    place.run("init", "--system", "workshop", "--vhost", "v")
    return place


def opened(result: Result, passphrase: str = "") -> Invitation:
    """Give what an invitation holds, opened with the passphrase that was told."""
    assert result.exit_code == 0, result.stderr
    told = passphrase or result.stderr.partition("passphrase: ")[2].strip()
    return bundle.read(result.stdout).open(told, datetime.now(UTC))


def test_it_holds_what_a_member_needs(member: Place) -> None:
    """The system, the virtual host, all keys that this host has, and the account that hosts share."""
    invitation = opened(member.run("invite"))

    assert invitation == Invitation(
        "workshop", "v", "peers", member.text("/etc/mirosd/peers.password").strip(), bundle.Keys(**KEYS)
    )


def test_no_secret_is_printed_but_the_passphrase(member: Place) -> None:
    """Neither the file nor the terminal has a key or a password in clear; the own broker's is in no invitation."""
    result = member.run("invite", "--json")
    invitation = msgspec.json.encode(opened(result)).decode()

    for path, text in member.tree().items():
        assert text.strip() not in result.output, path
    assert member.text("/etc/mirosd/broker.password").strip() not in invitation


def test_it_is_valid_for_as_long_as_was_asked(member: Place) -> None:
    """An hour, or what --valid says, up to 30 days."""
    for words, seconds in (([], 3600), (["--valid", "2d"], 2 * 86_400)):
        expires = bundle.read(member.run("invite", *words).stdout).expires

        assert abs((expires - datetime.now(UTC)).total_seconds() - seconds) < 120
    assert 2 == member.run("invite", "--valid", "31d").exit_code


def test_a_passphrase_may_be_given_by_a_file(member: Place, tmp_path: Path) -> None:
    """Then it is not printed; one that is short is refused."""
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery\n")
    result = member.run("invite", "--passphrase-file", str(file))

    assert opened(result, "correct horse battery").system == "workshop"
    assert "passphrase" not in result.stderr
    file.write_text("short\n")
    assert 1 == member.run("invite", "--passphrase-file", str(file)).exit_code
    file.write_bytes(b"\xff\xfe" * 10)
    refused = member.run("invite", "--passphrase-file", str(file))
    assert (2, "") == (refused.exit_code, refused.stdout)
    assert "no text: write a passphrase there" in refused.stderr


@pytest.mark.parametrize(
    ("networks", "keys"),
    [
        (["snoop_trace"], ["snoop_trace", "system"]),
        (["mesh"], ["mesh", "system"]),
        (["mesh", "snoop_trace"], ["mesh", "snoop_trace", "system"]),
    ],
)
def test_the_keys_of_some_networks_can_be_given(member: Place, networks: list[str], keys: list[str]) -> None:
    """Each asked for, and the system's, without which a member would not be found."""
    words = [word for name in networks for word in ("--networks", name)]

    assert keys == sorted(opened(member.run("invite", *words)).keys.named())


def test_a_key_that_follows_the_mesh_s_is_not_given_alone(place: Place) -> None:
    """With the mesh key alone, whoever is to see traces would get all; the error says what to do."""
    place.write("/etc/mirosd/keys/mesh.key", KEYS["mesh"])
    place.run("init")

    assert ["mesh"] == list(opened(place.run("invite")).keys.named())
    for name in ("snoop_trace", "system"):
        result = place.run("invite", "--networks", name)
        assert (1, True) == (result.exit_code, f"no key of its own for {name}" in result.stderr)
    place.write("/etc/mirosd/keys/snoop_trace.key", KEYS["snoop_trace"])  # who has it alone would not even be found
    assert "no key of its own for system" in place.run("invite", "--networks", "snoop_trace").stderr


def test_keys_that_were_rotated_are_the_ring_s(member: Place) -> None:
    """The ring says which key is in use; a file holds what it was before."""
    new, old = RingKey(b"n" * 32, generation=1), RingKey(b"o" * 32)
    ring = Ring({"mesh": NetworkRing((old, new), new.id), "snoop_trace": NetworkRing((old,), old.id)})
    member.write(RING, ring_text(ring))
    keys = opened(member.run("invite")).keys.named()

    assert {"mesh": new.key, "snoop_trace": old.key, "system": base64.urlsafe_b64decode(KEYS["system"])} == {
        name: base64.urlsafe_b64decode(key) for name, key in keys.items()
    }


@pytest.mark.parametrize("text", ["", "[]", '{"networks": {"mesh": {"in_use": "1", "keys": []}}}', '{"networks": 3}'])
def test_a_ring_that_is_none_is_told(member: Place, text: str) -> None:
    """An old key is not given instead."""
    member.write(RING, text)
    result = member.run("invite")

    assert (1, True) == (result.exit_code, f"{RING} is not a ring of keys" in result.stderr)
    assert "" == result.stdout


def test_hosts_go_along(member: Place) -> None:
    """Those listed in either file, and those named, each once; a hosts file that is wrong is no hindrance."""
    member.write("/etc/mirosd/hosts.json", '{"hosts": ["10.0.0.7", "10.0.0.8"]}')
    member.write("/var/lib/mirosd/hosts.json", '{"hosts": ["10.0.0.8", "10.0.0.9"]}')

    assert ("h1.lan", "10.0.0.7", "10.0.0.8", "10.0.0.9") == opened(member.run("invite", "--host", "h1.lan")).hosts
    member.write("/etc/mirosd/hosts.json", "[")
    assert ("10.0.0.8", "10.0.0.9") == opened(member.run("invite")).hosts
    member.write("/etc/mirosd/hosts.json", '{"hosts": ["a b"]}')
    assert "lists 'a b', which is no host" in member.run("invite").stderr


def test_a_host_that_is_none_is_wrong_usage(member: Place) -> None:
    """An account in an address would end in a hosts file; so would what no daemon can read."""
    for host in ("amqp://peers:secret@h1", "user@h1", "h 1", ""):
        assert 2 == member.run("invite", "--host", "10.0.0.7", "--host", host).exit_code


def test_tls_is_said_to_be_left_out(member: Place) -> None:
    """Certificates are files of each host: who invites is told to set them there."""
    assert "TLS" not in member.run("invite").stderr
    member.write("/etc/mirosd/config.yaml", member.text("/etc/mirosd/config.yaml") + "tls: {ca_file: /ca.pem}\n")

    assert "TLS is not in it" in member.run("invite").stderr


def test_a_host_that_is_not_set_up_invites_nobody(place: Place) -> None:
    """The error says what to do first, with no keys and with no password."""
    assert "set it up first (mirosctl init)" in place.run("invite").stderr
    place.write("/etc/mirosd/keys/mesh.key", KEYS["mesh"])
    result = place.run("invite")

    assert (1, True) == (result.exit_code, "holds no password; set this host up first" in result.stderr)
