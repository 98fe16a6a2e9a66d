"""The parsers that are fed junk, each with all that is done to its bytes before anybody has looked at them.

The first byte of an input says how the rest is meant where a parser has a seal, or lengths of its own, before it:
almost no mutation would come past that, so the rest is sealed, or framed, here.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mirosd.core.cache_document import hosts_text, is_expired, parse_hosts, parse_lan_cache
from mirosd.core.config import parse_config, setting_paths
from mirosd.core.control_messages import Heartbeat, decode_control
from mirosd.core.delivery_set import parse_delivery_set
from mirosd.core.envelope import Envelope
from mirosd.core.interest import read_watching
from mirosd.core.peer_memory import memory_of, parse_peers
from mirosd.core.probe import MAGIC, PROBE_BYTES, ProbeSeal
from mirosd.core.replay import parse_table
from mirosd.core.seal import TAG_BYTES, Keys, Opener, Sealer, derive, length_prefixed
from mirosd.errors import ConfigError, MirosdError, RemoteProtocolError
from mirosd.localapi.verbs import VERBS, check_arguments, find_verb
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.event_id import decode_extension
from mirosd_client.messages import Ask, decode_client_message, decode_daemon_message
from mirosd_client.record import after_sequence, encode_record, salvage_records, scan_records
from mirosd_client.wire import (
    Frame,
    FrameReader,
    FrameType,
    decode_ack,
    decode_delivery,
    decode_events,
    decode_settled,
    encode_frame,
)

FOLDER = Path(__file__).parent
CLIENT = b"c" * 16  # who sends the records of the corpus
KEY = "a.b"
"""The routing key that bodies are sealed for."""
SECRET = bytes(32)
"""The key of all networks."""

_PROBE_CIPHER = AESGCM(derive(SECRET, salt=b"", info=b"mirosd 2 probe"))


@dataclass(frozen=True, slots=True)
class Target:
    """A parser.

    Attributes:
        run: gives it bytes. It raises nothing, unless something is wrong with the parser.
        words: pieces of what it reads.
        max_bytes: of an input; much of what is found, is found in short ones.
        cost: how many times as long as others it takes for an input.
    """

    name: str
    run: Callable[[bytes], None]
    words: tuple[bytes, ...]
    max_bytes: int = 16 * 1024
    cost: int = 1

    def corpus(self) -> dict[str, bytes]:
        """Give the inputs that are kept, by their names: each was worth something once."""
        return {path.name: path.read_bytes() for path in sorted((FOLDER / self.name / "corpus").iterdir())}


def _frames(data: bytes) -> None:
    how, rest = data[:1], data[1:]
    stream = rest if how == b"\0" else encode_frame(FrameType(1 + how[0] % len(FrameType)), rest) if how else b""
    try:
        frames = FrameReader().feed(stream)
    except RemoteProtocolError:
        return
    reader = FrameReader()
    assert frames == [frame for n in range(0, len(stream), 7) for frame in reader.feed(stream[n : n + 7])]
    for frame in frames:
        for step in _steps(frame):
            try:
                step()
            except (RemoteProtocolError, DaemonRefusedError):
                pass  # its own words


def _steps(frame: Frame) -> Iterator[Callable[[], object]]:
    body = frame.body
    match frame.type:
        case FrameType.MESSAGE:
            yield lambda: _message(body)
            yield lambda: decode_daemon_message(body)
        case FrameType.EVENTS:
            yield lambda: _records(decode_events(body).records)
        case FrameType.DELIVERY:
            yield lambda: _records(decode_delivery(body).records)
        case FrameType.ACK:
            yield lambda: decode_ack(body)
        case FrameType.SETTLED:
            yield lambda: decode_settled(body)


def _message(body: bytes) -> None:
    message = decode_client_message(body)
    if isinstance(message, Ask):
        check_arguments(find_verb(message.verb), message.args)


def _records(records: bytes) -> None:
    salvaged, errors = salvage_records(records)
    for record in salvaged:
        decode_extension(record.extension)
    assert errors or records == b"".join(map(encode_record, salvaged))
    span = scan_records(records, CLIENT)
    assert after_sequence(records, span.first_sequence)[1] == span.records - 1


def _envelope(network: str) -> Envelope:
    keys = Keys(SECRET)
    sealer = Sealer(keys, "default", network, node="a" * 32, random=bytes, clock=lambda: 0.0)
    return Envelope("default", network, sealer, Opener(keys, "default", network))


def _bodies(data: bytes) -> None:
    mesh, control = _envelope("mesh"), _envelope("system")
    how, rest = data[:1], data[1:]
    try:
        match how:
            case b"\0":
                mesh.open(rest, KEY)
            case b"\1":
                _, records = mesh.open_records(mesh.seal(rest, KEY), KEY)
                assert records == rest[4:]
                _records(records)
            case _:
                message = decode_control(control.open(control.seal(rest, KEY), KEY))
                if isinstance(message, Heartbeat):
                    read_watching(message.watching)
    except RemoteProtocolError:
        pass  # its own word


def _datagrams(data: bytes) -> None:
    probes = ProbeSeal(Keys(SECRET), "default", random=bytes)
    how, rest = data[:1], data[1:]
    if how != b"\0":  # as a member could seal: his kind, and bytes of his choice
        header = MAGIC + rest[:1].ljust(8, b"\0") + probes.key_ids[0] + bytes(12)
        plaintext = rest[1:].ljust(PROBE_BYTES, b"\0")[: PROBE_BYTES - len(header) - TAG_BYTES]
        rest = header + _PROBE_CIPHER.encrypt(bytes(12), plaintext, header + length_prefixed(b"default") + b"\2")
    try:
        datagram = probes.open(rest)
    except RemoteProtocolError:
        return
    assert datagram == probes.open(probes.seal(datagram))


def _documents(data: bytes) -> None:
    text = data.decode("utf-8-sig", errors="replace")  # as files are read
    for parse in (_hosts, _cache, _peers, parse_delivery_set, parse_table):
        try:
            parse(text)
        except MirosdError as exc:
            assert exc.code == "document"
            assert str(exc).startswith("line ")


def _hosts(text: str) -> None:
    document = parse_hosts(text)
    assert document == parse_hosts(hosts_text(document["hosts"]))


def _cache(text: str) -> None:
    is_expired(parse_lan_cache(text), modified_s=1.7e9, now_s=1.7e9)


def _peers(text: str) -> None:
    memory_of(parse_peers(text)).at(1.7e9)


def _configuration(data: bytes) -> None:
    try:
        parse_config(data.decode(errors="replace"))
    except ConfigError as exc:
        assert exc.faults
        assert all(fault.startswith("line ") for fault in exc.faults)


_JSON = (b"{}", b"[]", b"null", b"true", b"-1", b"1e999", b"9" * 20, b'""', b'"\\ud800"', b'"type":', b"\xff", b"\0")
_YAML = (b": ", b"- ", b"&a ", b"*a", b"!!int ", b"<<: *a", b"[", b"{", b"|\n", b"? ", b"---\n", b"\t", b"%", b'"\\x')
_NUMBERS = tuple(struct.pack(">I", number) for number in (0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))

TARGETS = {
    target.name: target
    for target in (
        Target("local_frames", _frames, (*_JSON, *_NUMBERS, *(name.encode() for name in VERBS), CLIENT)),
        Target("sealed_bodies", _bodies, (*_JSON, *_NUMBERS, CLIENT, b'"type":"heartbeat"', b'"watching":')),
        Target("probe_datagrams", _datagrams, (*_NUMBERS, bytes(10) + b"\xff\xff\x0a\0\0\1", b"\xfe\x80"), 256),
        Target("documents", _documents, (*_JSON, b'"hosts"', b'"addresses"', b'"amqp_urls"', b'"counters"', b"[::1]")),
        Target("configuration", _configuration, (*_YAML, *(word.encode() for word in setting_paths())), cost=20),
    )
}
