"""What TLS to brokers stands on: authorities, this host's certificate and its key, in files that are renewed in place.

Certificates live for months, or a day; a daemon lives longer. So the files are looked at before each connection, and
read again when they have changed.
"""

import os
import ssl
import stat
from pathlib import Path

import structlog

from mirosd.core.settings import TlsSettings
from mirosd.errors import StartError

log = structlog.get_logger()

Stamps = list[tuple[int, int, int] | None]
"""Of each file its inode, time of change in ns and size; None: it is not there."""


class TlsFiles:
    """Thread: loop.

    Raises:
        StartError: a file is missing, cannot be read or does not hold what it should.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._stamps = self._look()
        self._context = _context(settings)

    def context(self) -> ssl.SSLContext:
        """Give what to open a connection with: it verifies, and shows our certificate to who asks for one.

        Files that have become wrong leave the last good ones in force, and are an error in the log: a certificate ends.
        """
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._context = _context(self._settings)
            except StartError as error:
                log.error("tls_files_refused", reason=str(error))  # noqa: TRY400 -- a fault of the files, not of ours
            else:
                log.info("tls_files_read")
        return self._context

    def _look(self) -> Stamps:
        files = (self._settings.ca_file, self._settings.cert_file, self._settings.key_file)
        return [_stamp(Path(file)) for file in files if file is not None]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None  # what is wrong with it is told by whoever reads it
    return state.st_ino, state.st_mtime_ns, state.st_size


def _context(settings: TlsSettings) -> ssl.SSLContext:
    """Give a context that verifies the certificate and the name in it, as ssl.create_default_context does."""
    ca_file, cert_file, key_file = settings.ca_file, settings.cert_file, settings.key_file
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as exc:
        raise StartError(f"tls.ca_file: {ca_file} holds no certificate in PEM ({exc.reason})") from exc
    except OSError as exc:
        raise StartError(f"tls.ca_file: {ca_file} cannot be read ({exc.strerror}); chmod a+r {ca_file}") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # all before it are deprecated (RFC 8996), and not everywhere off
    if cert_file is not None:
        _show_certificate(context, cert_file, key_file or cert_file)
    return context


def _show_certificate(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    for name, file in (("tls.cert_file", cert_file), ("tls.key_file", key_file)):
        try:
            with Path(file).open("rb") as opened:  # ssl does not say which of the two it could not read
                mode = os.fstat(opened.fileno()).st_mode
        except OSError as exc:
            cure = f"chown root:mirosd {file} && chmod 0640 {file}"
            raise StartError(f"{name}: {file} cannot be read ({exc.strerror}); {cure}") from exc
    if mode & stat.S_IRWXO:
        log.warning("secret_readable_by_others", file=key_file, cure=f"chmod o= {key_file}")
    try:
        context.load_cert_chain(cert_file, key_file, password=_refuse_passphrase)
    except _PassphraseError:
        cure = f"write it without: openssl pkey -in {key_file} -out FILE"
        raise StartError(
            f"tls.key_file: {key_file} wants a passphrase, and nobody is there to type it; {cure}"
        ) from None
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise StartError(f"tls.key_file: {key_file} is not the key of the certificate in {cert_file}") from exc
        raise StartError(f"tls.cert_file: no certificate in PEM in {cert_file}, or no key in {key_file}") from exc


class _PassphraseError(Exception):
    pass


def _refuse_passphrase() -> str:
    raise _PassphraseError  # without this, OpenSSL asks on the terminal
