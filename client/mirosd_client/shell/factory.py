"""miros' Factory, with what the shell adds to every chart, and its own slips caught while the chart is built."""

from typing import Any

from miros import Factory

from mirosd_client.shell.chart import ChartMixin
from mirosd_client.shell.step import Guard, State


class ChartFactory(ChartMixin, Factory, Guard):  # type: ignore[misc]
    """A chart whose states are built: `create(state=...).catch(signal=..., handler=...).to_method()`, then `nest`."""

    def create(self, state: str | None = None) -> Any:
        """A new state, by a name that no other state of this chart has."""
        if state in self.states:
            raise ValueError(f"{self.name} has a state {state} already; the second would replace it")
        return super().create(state=state)

    def nest(self, state: State | str, parent: State | str | None) -> "ChartFactory":
        """Puts a state in its parent (None: outermost); both may be given by name."""
        super().nest(self._method(state), None if parent is None else self._method(parent))
        return self

    def start_at(self, initial_state: State | str) -> None:
        """As for every chart; the state may be given by name.

        Raises:
            ValueError: a state was created and never nested.
        """
        for name in self.states:
            if name not in getattr(self, "_parents", {}):
                raise ValueError(
                    f"{self.name}: state {name} was never nested; nest({name}, parent=None) makes it outermost"
                )
        super().start_at(self._method(initial_state))

    def _method(self, state: State | str) -> Any:
        return self.states[state].to_method() if isinstance(state, str) else state
