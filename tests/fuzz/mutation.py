"""How one input is made of others: changes that keep enough of its shape to be read on, each of a kind of its own."""

import random
import re
import struct
from collections.abc import Callable, Sequence

MAX_CHANGES = 6  # of one input; most have one or two
MAX_REPEATS = 64

_TOKENS = re.compile(rb"[A-Za-z0-9_.]+|\"(?:[^\"\\]|\\.)*\"|\s+|.", re.DOTALL)
_NUMBER = re.compile(rb"-?[0-9]+")
_NUMBERS = [b"0", b"-1", b"1e308", b"1e999", b"0.5", b"65536", b"4294967296", b"18446744073709551616", b"9" * 5000]
_FIELDS = [">B", ">H", ">I", ">Q"]

Change = Callable[["Mutator", bytes], bytes]


class Mutator:
    """Makes inputs of inputs. The same dice make the same ones.

    Args:
        words: pieces of what the parser reads.
    """

    def __init__(self, words: Sequence[bytes], max_bytes: int, dice: random.Random) -> None:
        self._words, self._max_bytes, self._dice = words, max_bytes, dice

    def mutate(self, data: bytes, others: Sequence[bytes]) -> bytes:
        """Give `data` with some changes; pieces of `others` may come into it."""
        self._others = others
        for _ in range(min(self._dice.randint(1, MAX_CHANGES), self._dice.randint(1, MAX_CHANGES))):
            data = self._dice.choice(_CHANGES)(self, data)[: self._max_bytes]
        return data

    def _place(self, data: bytes) -> int:
        return self._dice.randint(0, len(data))

    def _piece(self, data: bytes) -> tuple[int, int]:
        begin = self._place(data)
        return begin, min(len(data), begin + self._dice.choice((1, 2, 4, 8, 16, 64, len(data))))

    def flip(self, data: bytes) -> bytes:
        """One bit."""
        if not data:
            return data
        changed, place = bytearray(data), self._dice.randrange(len(data))
        changed[place] ^= 1 << self._dice.randrange(8)
        return bytes(changed)

    def put_byte(self, data: bytes) -> bytes:
        """The first one as well as any other: it says what the rest is."""
        place = min(self._place(data), self._place(data))
        return data[:place] + self._dice.randbytes(1) + data[place + 1 :]

    def put_number(self, data: bytes) -> bytes:
        """A field of a header, at one of its bounds or a little beside."""
        form = self._dice.choice(_FIELDS)
        size = struct.calcsize(form)
        bound = 1 << self._dice.randint(0, 8 * size)
        number = max(0, bound + self._dice.randint(-2, 1)) % (1 << 8 * size)
        place = self._place(data)
        return data[:place] + struct.pack(form, number) + data[place + size :]

    def insert(self, data: bytes) -> bytes:
        """Noise, or a word."""
        place = self._place(data)
        noise = self._dice.randbytes(self._dice.choice((1, 2, 4, 16, 128)))
        return data[:place] + self._dice.choice((noise, *self._words)) + data[place:]

    def cut(self, data: bytes) -> bytes:
        """A piece away."""
        begin, end = self._piece(data)
        return data[:begin] + data[end:]

    def repeat(self, data: bytes) -> bytes:
        """A piece again and again."""
        begin, end = self._piece(data)
        return data[:end] + data[begin:end] * self._dice.randint(1, MAX_REPEATS) + data[end:]

    def splice(self, data: bytes) -> bytes:
        """The beginning of one and the end of another."""
        other = self._dice.choice(self._others)
        return data[: self._place(data)] + other[self._place(other) :]

    def graft(self, data: bytes) -> bytes:
        """A token for a token of another input, or a word: what stands around it can still be read."""
        tokens, donors = _TOKENS.findall(data), _TOKENS.findall(self._dice.choice(self._others))
        if not tokens:
            return data
        tokens[self._dice.randrange(len(tokens))] = self._dice.choice([*donors, *self._words])
        return b"".join(tokens)

    def count(self, data: bytes) -> bytes:
        """Another number for one that stands in a text."""
        found = list(_NUMBER.finditer(data))
        if not found:
            return data
        number = self._dice.choice(found)
        return data[: number.start()] + self._dice.choice(_NUMBERS) + data[number.end() :]

    def nest(self, data: bytes) -> bytes:
        """Brackets around brackets."""
        begin, end = self._piece(data)
        left, right = self._dice.choice(((b"[", b"]"), (b"{", b"}"), (b'{"a":', b"}"), (b"- ", b"")))
        depth = self._dice.choice((1, 2, 50, 2000))
        return data[:begin] + left * depth + data[begin:end] + right * depth + data[end:]


_CHANGES: list[Change] = [
    Mutator.flip,
    Mutator.put_byte,
    Mutator.put_number,
    Mutator.insert,
    Mutator.cut,
    Mutator.repeat,
    Mutator.splice,
    Mutator.graft,
    Mutator.count,
    Mutator.nest,
]
