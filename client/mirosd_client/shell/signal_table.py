"""miros' process-wide table of signals, made safe for threads and quick to ask.

miros builds each Event by walking `signals`, so a name that one thread adds breaks
the Event another thread is building ("OrderedDict mutated during iteration"), and
inside a handler that ends a chart. A lock cannot cure it: the walk is in miros.
Instead the class of the one table is exchanged for a subclass whose walks go over
copies that are never changed (made anew after a name was added), whose additions
are serialised, and whose questions (is this a signal? what is its name? is it
internal?) no longer take a walk.

`signals.NAME` and `return_status.NAME` are found by miros only after Python has looked for an
attribute in vain, in 0.3 us, and one step of miros' engine asks a dozen times. So their
names are made attributes: a step takes half the time.

What remains linear is the walk over `items()` in miros' `Event.__init__`, some
20 ns a signal, which only `event_of` does without.
"""

import threading
from collections.abc import ItemsView, Iterator, KeysView
from typing import Any, NamedTuple, cast

from miros.event import Event, SignalSource, return_status, signals

INTERNAL_SIGNALS: frozenset[str] = frozenset(list(signals.keys())[: signals.highest_inner_signal])
"""Names of the signals that drive miros itself; none may be posted, published or come off a wire."""


class _Copy(NamedTuple):
    """The table at one moment, both ways; never changed, so any thread may walk it at leisure."""

    numbers: dict[str, int]
    names: dict[int, str]


class SignalTable(SignalSource):  # type: ignore[misc]
    """Name to number, growing for the life of the process; every method may be called from any thread.

    An attribute look-up answers as in miros: a name that is not there yet becomes a signal.
    """

    # Set by install(), as __init__ never runs here; were they missing, reading them would make signals of them.
    _lock: threading.RLock
    _copy: _Copy | None
    _taken: frozenset[str]  # attributes that no signal may hide

    def __setitem__(self, name: str, number: int) -> None:
        with self._lock:
            super().__setitem__(name, number)
            self._copy = None
            if name not in self._taken:
                self.__dict__[name] = number

    def __delitem__(self, name: str) -> None:
        with self._lock:
            super().__delitem__(name)
            self._copy = None
            if name not in self._taken:
                self.__dict__.pop(name, None)

    def append(self, string: str) -> None:
        """Gives the name the next number, unless it has one."""
        if string not in self:
            with self._lock:
                if string not in self:
                    self[string] = len(self) + 1

    def __getattr__(self, item: str) -> int:
        try:
            return cast(int, self[item])
        except KeyError:
            self.append(item)
            return cast(int, self[item])

    def _renewed(self) -> _Copy:
        with self._lock:
            numbers = dict(super().items())
            names: dict[int, str] = {}
            for name, number in numbers.items():
                names.setdefault(number, name)  # of two names with one number, which miros permits, the first answers
            self._copy = copy = _Copy(numbers, names)
            return copy

    def __iter__(self) -> Iterator[str]:
        return iter((self._copy or self._renewed()).numbers)

    def keys(self) -> KeysView[str]:
        """Names in the order of their creation."""
        return (self._copy or self._renewed()).numbers.keys()

    def values(self) -> KeysView[int]:
        """Numbers, each once; asking whether a number is among them is one look-up."""
        return (self._copy or self._renewed()).names.keys()

    def items(self) -> ItemsView[str, int]:
        """(name, number) pairs in the order of their creation."""
        return (self._copy or self._renewed()).numbers.items()

    def name_for_signal(self, signal: int) -> str:
        """The name of a signal's number; ValueError if there is none, as in miros."""
        try:
            return (self._copy or self._renewed()).names[signal]
        except KeyError:
            raise ValueError(f"{signal!r} is not a signal") from None

    def is_inner_signal(self, other: Any) -> bool:
        """Whether a name or a number is one of miros' own."""
        number = cast(Any, self).get(other) if isinstance(other, str) else other
        return isinstance(number, int) and 1 <= number <= self.highest_inner_signal


def event_of(name: str, payload: Any) -> Event:
    """The same as `Event(signal=name, payload=payload)`, in a third of the time, however many signals there are."""
    signals.append(name)
    event = Event.__new__(Event)
    event.payload, event.signal_name, event.signal = payload, name, signals[name]
    return event


def install() -> None:
    """Exchanges the class of miros' table; the object stays the same, and a second call does nothing."""
    if type(signals) is SignalTable:
        return
    taken = frozenset({*dir(SignalTable), *SignalTable.__annotations__, *vars(signals)})
    names = {name: number for name, number in signals.items() if name not in taken}
    vars(signals).update(names, _lock=threading.RLock(), _copy=None, _taken=taken)
    signals.__class__ = SignalTable
    vars(return_status).update(return_status)
