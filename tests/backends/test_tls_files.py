"""The files that TLS stands on: what they must hold, and that they are followed when they are renewed."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from mirosd.backends.tls_files import TlsFiles
from mirosd.core.settings import TlsSettings
from mirosd.errors import StartError
from tests.lab.certificates import Authority, Certificate


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom this host trusts."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def mine(authority: Authority) -> Certificate:
    """This host's certificate."""
    return authority.certificate("mine", "h1")


def settings_of(mine: Certificate) -> TlsSettings:
    """Give the settings that name all three files."""
    return TlsSettings(str(mine.ca_file), str(mine.cert_file), str(mine.key_file))


def trusted(files: TlsFiles) -> list[int]:
    """Give the serial numbers of the authorities that are trusted."""
    return [int(str(one["serialNumber"]), 16) for one in files.context().get_ca_certs()]


@pytest.mark.parametrize("has_files", [False, True])
def test_a_broker_is_always_verified(mine: Certificate, has_files: bool) -> None:
    """Whatever is set, its certificate and the name in it are."""
    context = TlsFiles(settings_of(mine) if has_files else TlsSettings()).context()

    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_private_authority_is_the_only_one(authority: Authority) -> None:
    """Where tls.ca_file is set, the system's authorities are not trusted beside it."""
    assert 1 == len(trusted(TlsFiles(TlsSettings(str(authority.ca_file)))))


def test_the_key_may_stand_with_the_certificate(tmp_path: Path, mine: Certificate) -> None:
    """One file with both is enough."""
    both = tmp_path / "both.pem"
    both.write_bytes(mine.cert_file.read_bytes() + mine.key_file.read_bytes())
    both.chmod(0o640)

    TlsFiles(TlsSettings(cert_file=str(both))).context()


def encrypt(mine: Certificate) -> None:
    key = serialization.load_pem_private_key(mine.key_file.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"passphrase")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    mine.key_file.write_bytes(key.private_bytes(pem, form, secret))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda mine: mine.ca_file.write_text("junk"), ("tls.ca_file", "ca.pem", "PEM")),
        (lambda mine: mine.ca_file.unlink(), ("tls.ca_file", "ca.pem", "No such file")),
        (lambda mine: mine.cert_file.unlink(), ("tls.cert_file", "mine.pem", "No such file", "chown")),
        (lambda mine: mine.key_file.unlink(), ("tls.key_file", "mine.key", "No such file", "chown")),
        (lambda mine: mine.cert_file.write_text("junk"), ("tls.cert_file", "mine.pem", "PEM")),
        (lambda mine: mine.key_file.write_text("junk"), ("mine.key", "PEM")),
        (lambda mine: mine.cert_file.write_bytes(mine.ca_file.read_bytes()), ("tls.key_file", "is not the key")),
        (encrypt, ("tls.key_file", "passphrase", "openssl pkey")),
    ],
    ids=["ca junk", "no ca", "no cert", "no key", "cert junk", "key junk", "another's key", "encrypted"],
)
def test_a_file_that_will_not_do_is_told(
    mine: Certificate, spoil: Callable[[Certificate], None], words: tuple[str, ...]
) -> None:
    """The daemon does not start, and says which file it is and what to do; nobody is asked for a passphrase."""
    spoil(mine)
    with pytest.raises(StartError) as caught:
        TlsFiles(settings_of(mine))

    assert [] == [word for word in words if word not in str(caught.value)]


def test_a_key_that_others_can_read_is_told(mine: Certificate) -> None:
    """As of every secret: with the cure, once."""
    mine.key_file.chmod(0o644)
    with capture_logs() as logs:
        TlsFiles(settings_of(mine)).context()

    assert [(str(mine.key_file), f"chmod o= {mine.key_file}")] == [(log["file"], log["cure"]) for log in logs]


def test_renewed_files_count_at_the_next_connection(tmp_path: Path, authority: Authority) -> None:
    """Files are replaced while the daemon runs; until then the context stays the same."""
    files = TlsFiles(TlsSettings(str(authority.ca_file)))
    before = trusted(files)
    assert files.context() is files.context()

    os.replace(Authority(tmp_path / "next").ca_file, authority.ca_file)  # noqa: PTH105 -- as a tool that renews does

    assert before != trusted(files)
    assert files.context() is files.context()


def test_files_that_become_wrong_leave_the_last_good_ones(authority: Authority) -> None:
    """With one error, until they are good again."""
    files = TlsFiles(TlsSettings(str(authority.ca_file)))
    before, good = trusted(files), authority.ca_file.read_bytes()
    with capture_logs() as logs:
        authority.ca_file.write_text("half a file")
        assert before == trusted(files)
        assert before == trusted(files)
        authority.ca_file.write_bytes(good)
        assert before == trusted(files)

    assert [("error", "tls_files_refused"), ("info", "tls_files_read")] == [
        (log["log_level"], log["event"]) for log in logs
    ]
    assert "tls.ca_file" in logs[0]["reason"]
