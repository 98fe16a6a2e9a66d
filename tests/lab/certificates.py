"""Certificate authorities and certificates of a test's own."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, in PEM, and who signed it."""

    ca_file: Path
    cert_file: Path
    key_file: Path


class Authority:
    """Signs certificates; its own is `ca_file`. Files go into `directory`, which it shares with no other."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority {directory.name}")])
        self.ca_file = directory / "ca.pem"
        _write(self.ca_file, self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), DAY))

    def certificate(self, name: str, *hosts: str, holds: datetime.timedelta = DAY) -> Certificate:
        """Give one for these names and addresses, a day old, that holds for so long from now (negative: expired)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = Certificate(self.ca_file, self._directory / f"{name}.pem", self._directory / f"{name}.key")
        _write(made.cert_file, self._signed(subject, key, x509.SubjectAlternativeName(map(_named, hosts)), holds))
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        made.key_file.touch(mode=0o600)
        made.key_file.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
        return made

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        holds: datetime.timedelta,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + holds)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self._key, hashes.SHA256())
        )


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
