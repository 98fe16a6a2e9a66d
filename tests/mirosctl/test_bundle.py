"""An invitation's file: who has file and passphrase reads it in time, and nobody else."""

import base64
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosctl import bundle
from mirosctl.bundle import Invitation, InvitationError, Keys
from tests.properties import EXAMPLES, TOTAL

WORDS = st.sampled_from(["schema", "expires", "salt", "sealed", "mirosctl.invite/1", "2099-01-01T00:00:00Z", "AAAA"])
PASSPHRASE = "correct horse battery"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
WHOLE = Invitation(
    system="workshop",
    vhost="/",
    peers_user="peers",
    peers_password="p#:/@%",
    keys=Keys(mesh=KEY, system=KEY),
    hosts=("10.0.0.1", "[fe80::1%eth0]"),
)


@pytest.fixture(autouse=True)
def cheap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare most tests the half second that a guess is to cost."""
    if "dear" not in request.node.name:
        monkeypatch.setitem(bundle.SCRYPT, "n", 16)


def sealed(invitation: Invitation = WHOLE) -> dict[str, str]:
    """Give the document of an invitation."""
    document: dict[str, str] = json.loads(bundle.seal(invitation, PASSPHRASE, LATER))
    return document


def opened(document: dict[str, str], passphrase: str = PASSPHRASE, now: datetime = NOW) -> Invitation:
    """Give what a document holds."""
    return bundle.read(json.dumps(document)).open(passphrase, now)


def test_it_opens_again_and_guesses_are_dear() -> None:
    """What was sealed is what is opened; a guess takes 64 MiB."""
    assert opened(sealed()) == WHOLE
    assert bundle.SCRYPT["n"] * bundle.SCRYPT["r"] * 128 == 64 * 1024 * 1024


def test_nothing_of_it_stands_in_the_file() -> None:
    """Neither keys, passwords, names nor hosts can be read, nor are two files of one invitation alike."""
    text = json.dumps(sealed())

    assert all(word not in text for word in ("workshop", KEY, "peers", "10.0.0.1", PASSPHRASE))
    assert sealed()["sealed"] != sealed()["sealed"]
    assert all(KEY not in repr(each) for each in (WHOLE, WHOLE.keys))


def test_another_passphrase_opens_nothing() -> None:
    """A wrong passphrase gets one sentence, and no hint how wrong it was."""
    with pytest.raises(InvitationError, match="the passphrase is wrong, or the file was changed"):
        opened(sealed(), PASSPHRASE + "!")


@pytest.mark.parametrize("field", ["salt", "sealed"])
def test_a_changed_file_does_not_open(field: str) -> None:
    """Each bit counts, of the first byte and the last."""
    document = sealed()
    data = base64.b64decode(document[field])
    for index in (0, -1):
        changed = bytearray(data)
        changed[index] ^= 1
        with pytest.raises(InvitationError, match="was changed"):
            opened(document | {field: base64.b64encode(changed).decode()})


def test_its_end_cannot_be_put_off() -> None:
    """An invitation ends when it says; one whose end was edited does not open."""
    assert opened(sealed(), now=LATER - timedelta(seconds=1)) == WHOLE
    with pytest.raises(InvitationError, match=r"expired at 2026-03-01 13:00:00 UTC.*2026-03-01 13:00:00"):
        opened(sealed(), now=LATER)
    with pytest.raises(InvitationError, match="was changed"):
        opened(sealed() | {"expires": "2099-01-01T00:00:00Z"}, now=LATER)


def test_another_version_is_told() -> None:
    """A file of a later version is not called damaged."""
    with pytest.raises(InvitationError, match=r"version '2'.*reads version 1: update the older"):
        bundle.read(json.dumps(sealed() | {"schema": "mirosctl.invite/2"}))


@settings(TOTAL, max_examples=max(1, EXAMPLES // 20))
@given(st.text() | st.dictionaries(WORDS, WORDS | st.none() | st.text()).map(json.dumps))
def test_any_text_opens_or_gets_the_one_error(text: str) -> None:
    """Whatever a file holds, it is refused by one error: none of these was sealed."""
    with pytest.raises(InvitationError):
        bundle.read(text).open(PASSPHRASE, NOW)


@pytest.mark.parametrize("size", [0, 1, 11])
def test_a_file_that_was_cut_off_is_refused(size: int) -> None:
    """Also one that is JSON all the same: too short for what seals it."""
    with pytest.raises(InvitationError, match="this is no invitation"):
        opened(sealed() | {"sealed": base64.b64encode(bytes(size)).decode()})


def test_a_passphrase_may_be_in_any_encoding() -> None:
    """What a terminal or a file gives is bytes: those that are no UTF-8 stand in a text as lone surrogates."""
    passphrase = b"k\xfchle Nacht um drei".decode(errors="surrogateescape")
    document = json.loads(bundle.seal(WHOLE, passphrase, LATER))

    assert WHOLE == opened(document, passphrase)


@pytest.mark.parametrize(
    "wrong",
    [
        {"system": "../etc"},
        {"vhost": "a b"},
        {"vhost": "--node"},
        {"peers_user": "-n"},
        {"peers_user": "guest"},
        {"peers_user": "mirosd"},
        {"peers_user": "a\nb"},
        {"hosts": ("10.0.0.7", "user@h1")},
        {"peers_password": ""},
        {"peers_password": "two\nlines"},
        {"keys": Keys(mesh="a\nb")},
    ],
)
def test_what_another_program_sealed_is_checked(wrong: dict[str, object]) -> None:
    """The passphrase proves who sealed it, not that it can be used."""
    with pytest.raises(InvitationError, match="cannot be used"):
        opened(sealed(Invitation(**{"system": "s", "vhost": "/", "peers_user": "p", "peers_password": "x"} | wrong)))


def test_a_short_passphrase_is_refused() -> None:
    """Who has the file can guess for years."""
    with pytest.raises(InvitationError, match="shorter than 12"):
        bundle.seal(WHOLE, "hunter2", LATER)


def test_passphrases_are_drawn() -> None:
    """A passphrase made up has 99 bits, in letters that can be told apart."""
    drawn = {bundle.draw_passphrase() for _ in range(50)}

    assert len(drawn) == 50
    assert all(len(each.replace("-", "")) == 20 and set(each) <= {*bundle.LETTERS, "-"} for each in drawn)


def test_a_mirosctl_without_cryptography_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is needed for invitations alone, and the error names the extra that has it."""
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(InvitationError, match=r"mirosd-client\[setup\]"):
        sealed()
