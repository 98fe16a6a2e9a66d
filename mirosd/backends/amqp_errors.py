"""What pika, sockets and TLS raise, said as BrokerError: the one table of codes.

pika tells the reason of a failed opening by the state in which the connection ended, so the codes of the handshake
need that state beside the exception. What ends an open connection is `closed` (the broker said so) or `lost`.
"""

import ipaddress
import logging
import re
import ssl

from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError

REPORTED = frozenset(
    {
        "_on_stream_terminated",  # of a connection: ended by an error, or in its handshake
        "_proto_connection_lost",
        "_proto_eof_received",
        "_on_close_from_broker",  # of a channel: 404, 406 and the like
        "_on_connection_blocked",
    }
)
"""Functions of pika that log, as errors or warnings, what they then report: it arrives here as BrokerError, or as the
alarm of a link, and is logged, once, by whoever handles that."""

NOT_FOUND = 404

TIMED_OUT = {
    "resolve": "resolve",
    "tcp": "tcp(silent)",
    "tls": "tls",
    "amqp": "amqp(slow)",
    "auth": "amqp(slow)",
    "channel": "amqp(slow)",
}
"""The code of an opening that was still in this stage at its deadline."""


CERTIFICATE_FAULTS = {9: "tls(expired)", 10: "tls(expired)", 62: "tls(name)", 64: "tls(name)"}
"""OpenSSL's X509_V_ERR numbers: not yet valid, expired, hostname mismatch, IP address mismatch (x509_vfy.h). All
others are reasons not to trust it."""

OWN_CERTIFICATE_REFUSED = re.compile("ALERT.*(CERTIFICATE|UNKNOWN_CA)")
"""OpenSSL's names of the alerts that judge the certificate of the other side (RFC 8446, section 6.2)."""

NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
"""What OpenSSL calls an answer that is no TLS record; the second since OpenSSL 3.2."""


def is_reported(record: logging.LogRecord) -> bool:
    """Say whether a log record is pika's word for what it reports as well."""
    return record.name.partition(".")[0] == "pika" and record.funcName in REPORTED


def timeout_error(address: BrokerAddress, stage: str, waited_s: float) -> BrokerError:
    """Give the error of an opening that did not get past `stage`."""
    return BrokerError(TIMED_OUT[stage], f"{address.display}: no answer in {waited_s:.1f} s (stage {stage})")


def resolve_error(address: BrokerAddress, exc: OSError) -> BrokerError:
    """Give the error of a name that did not resolve."""
    return BrokerError("resolve", f"{address.host!r} does not resolve: {exc.strerror or exc}")


def tcp_error(address: BrokerAddress, exc: OSError) -> BrokerError:
    """Give the error of a TCP connection that was refused, or that nobody answered (also: no route)."""
    refused = isinstance(exc, ConnectionRefusedError | ConnectionResetError)
    return BrokerError(
        "tcp(refused)" if refused else "tcp(silent)", f"{address.display}: {exc.strerror or 'no answer'}"
    )


class SpeaksTlsError(ConnectionError):
    """Who was greeted in clear answered by TLS."""


def tls_error(address: BrokerAddress, exc: OSError) -> BrokerError:
    """Give the error of a failed TLS handshake, or of a stream that TLS ended behind it.

    Codes: tls(untrusted), tls(name), tls(expired): what is wrong with the broker's certificate; tls(client_cert): it
    refuses ours, or that there is none, which with TLS 1.3 it says when we count the handshake as over; tls(no_tls): it
    speaks none; tls: anything else.
    """
    if isinstance(exc, ssl.SSLCertVerificationError):
        code = CERTIFICATE_FAULTS.get(exc.verify_code, "tls(untrusted)")
        return BrokerError(code, f"{address.display}: the broker's certificate: {exc.verify_message}")
    reason = (exc.reason if isinstance(exc, ssl.SSLError) else None) or str(exc)
    if OWN_CERTIFICATE_REFUSED.search(reason):
        return BrokerError("tls(client_cert)", f"{address.display}: the broker refuses our certificate: {reason}")
    if reason in NOT_TLS:
        return BrokerError("tls(no_tls)", f"{address.display}: what answers there speaks no TLS")
    return BrokerError("tls", f"{address.display}: TLS handshake: {reason}")


def handshake_error(address: BrokerAddress, peer: str, exc: BaseException | None) -> BrokerError:
    """Give the error of an AMQP handshake that the other side ended; `peer` is its IP address."""
    if isinstance(exc, ssl.SSLError):
        return tls_error(address, exc)
    if isinstance(exc, SpeaksTlsError):
        return BrokerError("amqp(tls)", f"{address.display}: what answers there speaks TLS, and was greeted in clear")
    # pika keeps the reason as text only; a stream that just ended says nothing about user and virtual host
    is_refusal = "ConnectionClosedByBroker" in str(exc)
    if isinstance(exc, ProbableAuthenticationError) and is_refusal:
        if address.user == "guest" and not _is_loopback(peer):
            return BrokerError("guest_remote", f"{address.display}: RabbitMQ lets guest in from its own host only")
        return BrokerError("auth", f"{address.display}: user {address.user!r} or its password is refused")
    if isinstance(exc, ProbableAccessDeniedError) and is_refusal:
        return BrokerError("vhost", f"{address.display}: no access to virtual host {address.vhost!r}: {exc}")
    return BrokerError("amqp", f"{address.display}: not an AMQP broker, or it hung up: {exc}")


def closed_error(address: BrokerAddress, exc: BaseException | None) -> BrokerError:
    """Give the error of a channel or connection that was open and ended."""
    match exc:
        case ChannelClosedByBroker() if exc.reply_code == NOT_FOUND and "no exchange" in exc.reply_text:
            return BrokerError("exchange", f"{address.display}: {exc.reply_text}")
        case ChannelClosedByBroker() | ConnectionClosedByBroker():
            return BrokerError("closed", f"{address.display}: {exc.reply_code} {exc.reply_text}")
        case _:
            return BrokerError("lost", f"{address.display}: {exc}")


def _is_loopback(peer: str) -> bool:
    return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
