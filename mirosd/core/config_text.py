"""The YAML of a configuration text as nodes, each of which knows its line: any text gives them or ConfigError, soon."""

from typing import Any, NoReturn

import yaml

from mirosd.errors import ConfigError

MAX_CONFIG_CHARS = 64 * 1024
"""Many times the example with all its comments; bounds the work that a wrong file can cause."""

MAX_DEPTH = 32
"""Levels of lists and mappings inside each other; settings have five."""


class _Loader(yaml.SafeLoader):
    """Stops at a depth that no settings have: PyYAML takes seconds to come to the end of its stack."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Give the node that comes next, with all that is in it."""
        if self._depth == MAX_DEPTH:
            raise RecursionError
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def compose(text: str) -> yaml.Node | None:
    """Give the text's root node, None when it is empty; ConfigError when it is not YAML."""
    if len(text) > MAX_CONFIG_CHARS:
        raise ConfigError(
            [f"line 1: the file is longer than {MAX_CONFIG_CHARS} characters; take out what is no setting"]
        )
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        _refuse(mark.line if mark else 0, str(exc.problem or exc.context))
    except yaml.reader.ReaderError as exc:
        _refuse(text.count("\n", 0, int(exc.position)), f"character {exc.character!r} may not stand here")
    except RecursionError:
        _refuse(0, "lists or mappings stand too deep inside each other")
    except (ValueError, OverflowError) as exc:  # PyYAML turns escapes such as "\UFFFFFFFF" into numbers unchecked
        _refuse(0, str(exc))


def _refuse(line: int, problem: str) -> NoReturn:
    cure = "indent with spaces" if "'\\t'" in problem else "write it as in config.example.yaml"
    raise ConfigError([f"line {line + 1}: this is not YAML ({problem}); {cure}"]) from None
