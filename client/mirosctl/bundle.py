"""An invitation: what makes the next host a member, in a file that opens with a passphrase alone.

JSON, so that it can be mailed: {"schema": "mirosctl.invite/1", "expires": ..., "salt": ..., "sealed": ...}. The key is
scrypt of the passphrase and the salt, the cipher AES-256-GCM, and all that stands in clear is authenticated with it.
The parameters of scrypt belong to the version and are not in the file, so a file cannot ask for all memory.

Whoever has file and passphrase can open it whatever `expires` says: that keeps a forgotten file from being used, and
thieves from nothing.
"""

import base64
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from mirosctl.host_config import check_host, check_shared_user, check_system, check_vhost
from mirosd_client.errors import MirosdError

SCHEMA, VERSION = "mirosctl.invite", 1

SCRYPT = {"n": 2**16, "r": 8, "p": 2, "maxmem": 128 * 1024 * 1024}
"""64 MiB and half a second on a small machine for each guess (OWASP's Password Storage Cheat Sheet)."""
SALT_BYTES = 16
NONCE_BYTES = 12
"""AES-GCM's own; the key is of this one file, as its salt is."""
KEY_BYTES = 32
MAX_FILE_BYTES = 64 * 1024
"""Of a hundred listed hosts it has 10 KB."""
MIN_PASSPHRASE = 12
"""Characters; it can be guessed at without anybody noticing."""

NO_INVITATION = "this is no invitation; give the file that `mirosctl invite` wrote, as it is"

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look alike, as it may be read out: 20 of them are 99 bits."""


class InvitationError(MirosdError):
    """A file is no invitation that can be used here and now; the text says why, and what to do."""

    code = "invitation"


class Keys(msgspec.Struct, frozen=True, omit_defaults=True):
    """The networks' keys, urlsafe base64; None for those that are not given away."""

    mesh: str | None = None
    snoop_trace: str | None = None
    snoop_spy: str | None = None
    system: str | None = None

    def __repr__(self) -> str:
        """Say whose keys they are, and nothing that is secret."""
        return f"Keys({', '.join(self.named())})"

    def named(self) -> dict[str, str]:
        """Give those that are there, by the network's name."""
        return {name: key for name, key in msgspec.structs.asdict(self).items() if key is not None}


class Invitation(msgspec.Struct, frozen=True):
    """What a member tells a host that is to be one.

    Attributes:
        peers_user, peers_password: the account that all hosts use at each other's brokers.
        vhost: where they meet, at each broker.
        hosts: addresses for its hosts file; may be empty where the LAN is searched.
    """

    system: str
    vhost: str
    peers_user: str
    peers_password: str = ""
    keys: Keys = Keys()
    hosts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say whose it is, and nothing that is secret."""
        return f"Invitation({self.system})"


@dataclass(frozen=True, slots=True)
class Bundle:
    """An invitation's file, still sealed."""

    expires: datetime
    _clear: bytes
    _salt: bytes
    _sealed: bytes

    def open(self, passphrase: str, now: datetime) -> Invitation:
        """Give what is in it; InvitationError for a wrong passphrase, a changed file, or one that is too old."""
        self.check_time(now)
        aead, failed = _cipher(passphrase, self._salt)
        try:
            plain = aead.decrypt(self._sealed[:NONCE_BYTES], self._sealed[NONCE_BYTES:], self._clear)
        except failed:
            raise InvitationError("the passphrase is wrong, or the file was changed on its way; try again") from None
        return _checked(plain)

    def check_time(self, now: datetime) -> None:
        """InvitationError when it is too old."""
        if now >= self.expires:
            raise InvitationError(
                f"this invitation expired at {self.expires:%F %T} UTC, and by this host's clock it is {now:%F %T}; "
                "make a new one (mirosctl invite), or set the clock"
            )


def draw_passphrase() -> str:
    """Give a new passphrase that can be read out and typed."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))


def seal(invitation: Invitation, passphrase: str, expires: datetime) -> str:
    """Give the text of an invitation's file; InvitationError for a passphrase that is too short."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise InvitationError(f"the passphrase is shorter than {MIN_PASSPHRASE} characters; take a longer one, or none")
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    clear = {
        "schema": f"{SCHEMA}/{VERSION}",
        "expires": expires.astimezone(UTC).strftime("%FT%TZ"),
        "salt": base64.b64encode(salt).decode(),
    }
    aead, _ = _cipher(passphrase, salt)
    sealed = nonce + aead.encrypt(nonce, msgspec.json.encode(invitation), _bound(clear))
    return json.dumps(clear | {"sealed": base64.b64encode(sealed).decode()}, indent=2) + "\n"


def read(text: str) -> Bundle:
    """Give the sealed bundle of a file's text; InvitationError when it is none, or of another version."""
    try:
        document = json.loads(text)
        name, _, version = document["schema"].partition("/")
        bundle = _bundle(document) if (name, version) == (SCHEMA, str(VERSION)) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvitationError(NO_INVITATION) from None
    if bundle is not None:
        return bundle
    if name != SCHEMA:
        raise InvitationError(NO_INVITATION)
    raise InvitationError(
        f"this invitation has version {version!a}, and this mirosctl reads version {VERSION}: update the older one"
    )


def _bundle(document: dict[str, Any]) -> Bundle:
    clear = {word: str(document[word]) for word in ("schema", "expires", "salt")}
    sealed = base64.b64decode(document["sealed"], validate=True)
    if len(sealed) < NONCE_BYTES:
        raise ValueError("it is cut off")
    return Bundle(
        datetime.strptime(clear["expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        _bound(clear),
        base64.b64decode(clear["salt"], validate=True),
        sealed,
    )


def _bound(clear: dict[str, str]) -> bytes:
    return json.dumps(clear, sort_keys=True).encode()


def _checked(plain: bytes) -> Invitation:
    """Give the invitation; whoever sealed it had the passphrase, and may have been another program."""
    try:
        invitation = msgspec.json.decode(plain, type=Invitation)
    except msgspec.DecodeError as exc:
        raise InvitationError(f"the invitation holds what this mirosctl does not know ({exc}); update it") from exc
    faults = [
        check_system(invitation.system),
        check_vhost(invitation.vhost),
        check_shared_user(invitation.peers_user),
        *map(check_host, invitation.hosts),
    ]
    secrets_of_it = [invitation.peers_password, *invitation.keys.named().values()]
    if any(faults) or not all(secret.isprintable() and secret for secret in secrets_of_it):
        raise InvitationError("the invitation holds what cannot be used; make a new one with `mirosctl invite`")
    return invitation


def _cipher(passphrase: str, salt: bytes) -> tuple[Any, type[Exception]]:
    """Give what seals and opens with a passphrase, and what it raises when it cannot open."""
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- mirosctl runs without it but for this
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
    except ImportError as exc:
        raise InvitationError("invitations need the package cryptography: pip install 'mirosd-client[setup]'") from exc
    secret = passphrase.encode(errors="surrogateescape")  # of a terminal or a file in another encoding: its bytes
    key = hashlib.scrypt(secret, salt=salt, dklen=KEY_BYTES, **SCRYPT)
    return AESGCM(key), InvalidTag
