"""Makes Settings of a configuration text, or tells everything that is wrong with it.

Pure and total: any text gives Settings or ConfigError, nothing else. It reads YAML's
nodes and not its values, because a node knows its line, and its text is what the
operator wrote: a system called `no` stays "no", and a mode 0660 stays octal. The walk
follows the settings and not the text, so neither deep nor recursive YAML can lead it far.
"""

import re
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, TypeGuard, Union, get_args, get_origin, get_type_hints

import yaml

from mirosd.core.setting_checks import OCTAL
from mirosd.core.settings import Settings
from mirosd.errors import ConfigError

MAX_CONFIG_CHARS = 64 * 1024
"""Many times the example with all its comments; bounds the work that a wrong file can cause."""

_TAG = "tag:yaml.org,2002:"
_NULL = _TAG + "null"
_SCALARS = {_TAG + kind for kind in ("str", "int", "float", "bool", "null", "timestamp", "value")}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")  # no octal, hexadecimal, sexagesimal: YAML has all of them
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?")
_MODE = re.compile(r"0?o?[0-7]{3}")


class _Fault(NamedTuple):
    line: int
    text: str


class _BadValue(Exception):  # noqa: N818 -- never leaves this module
    def __init__(self, node: yaml.Node, cure: str) -> None:
        super().__init__(cure)
        self.node, self.cure = node, cure


def parse_config(text: str) -> Settings:
    """Give the settings that a YAML text holds; an empty text gives the defaults.

    Raises:
        ConfigError: `faults` has one sentence for each fault, in the order of their lines.
            Values of texts are never repeated in it: one may be a password.
    """
    walk = _Walk()
    settings: Settings = walk.section(Settings, _compose(text), "")
    walk.check_accounts(settings)
    if walk.faults:
        raise ConfigError([f"line {line}: {sentence}" for line, sentence in sorted(walk.faults)])
    return settings


@cache
def setting_paths() -> tuple[str, ...]:
    """Give every setting's dotted path, in the order of their definition."""
    return tuple(_paths(Settings, ""))


def _paths(section: type, prefix: str) -> Iterator[str]:
    for name, hint in _hints(section).items():
        if _is_section(hint):
            yield from _paths(hint, f"{prefix}{name}.")
        else:
            yield prefix + name


def _is_section(hint: Any) -> TypeGuard[type]:
    return is_dataclass(hint)


@cache
def _hints(section: type) -> dict[str, Any]:
    hints = get_type_hints(section, include_extras=True)
    return {field.name: hints[field.name] for field in fields(section)}


def _compose(text: str) -> yaml.Node | None:
    """Give the text's root node, None when it is empty; ConfigError when it is not YAML."""
    if len(text) > MAX_CONFIG_CHARS:
        raise ConfigError(
            [f"line 1: the file is longer than {MAX_CONFIG_CHARS} characters; take out what is no setting"]
        )
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
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


class _Walk:
    """One reading of one text: gathers faults, and the line where each setting stands."""

    def __init__(self) -> None:
        self.faults: list[_Fault] = []
        self.lines: dict[str, int] = {}

    def section(self, kind: type, node: yaml.Node | None, prefix: str) -> Any:
        """Give a section's settings; what is missing or wrong in it has its default."""
        values: dict[str, Any] = {}
        for name, child in self._members(node, prefix):
            path = prefix + name
            hint = _hints(kind).get(name)
            if hint is None:
                self._fault(child, f"{prefix}{_word(name)}: there is no such setting; {_nearest(kind, name, prefix)}")
            elif _is_section(hint):
                values[name] = self.section(hint, child, f"{path}.")
            else:
                try:
                    values[name] = _value(hint, child)
                except _BadValue as exc:
                    self._fault(exc.node, f"{path}: {exc.cure}")
        return kind(**values)

    def check_accounts(self, settings: Settings) -> None:
        """A password has one place; with two, nobody knows which one holds."""
        for name, account in (("broker", settings.broker), ("peers", settings.peers)):
            if account.password is not None and account.password_file is not None:
                line = self.lines[f"{name}.password_file"]
                self.faults.append(
                    _Fault(line, f"{name}.password_file: {name}.password is set too; remove one of them")
                )

    def _members(self, node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, yaml.Node]]:
        if node is None or node.tag == _NULL:
            return
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, f"{prefix.rstrip('.') or 'the file'}: write settings here, one NAME: VALUE a line")
            return
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, f"{prefix}?: a setting's name is a plain word")
                continue
            path = prefix + key.value
            line = key.start_mark.line + 1
            if path in self.lines:
                self._fault(
                    key, f"{prefix}{_word(key.value)}: set already on line {self.lines[path]}; remove one of them"
                )
                continue
            self.lines[path] = line
            yield key.value, child

    def _fault(self, node: yaml.Node, sentence: str) -> None:
        self.faults.append(_Fault(node.start_mark.line + 1, sentence))


def _value(hint: Any, node: yaml.Node) -> Any:
    """Give the value that `hint` makes of a node, or raise _BadValue."""
    if get_origin(hint) in (Union, types.UnionType):
        if node.tag == _NULL:
            return None
        hint = next(choice for choice in get_args(hint) if choice is not types.NoneType)
    if node.tag == _NULL:
        raise _BadValue(node, "has no value; write one, or remove the line to have the default")
    if get_origin(hint) is tuple:
        if not isinstance(node, yaml.SequenceNode):
            raise _BadValue(node, "is not a list; write [ONE, ANOTHER]")
        return tuple(_value(get_args(hint)[0], item) for item in node.value)
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS:
        raise _BadValue(node, "is not a single value; write one behind the colon")
    if get_origin(hint) is Literal:
        return _choice(get_args(hint), node)
    base, *rules = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if base is bool:
        return _switch(node)
    return _text(rules, node) if base is str else _number(base, rules, node)


def _choice(choices: tuple[str, ...], node: yaml.ScalarNode) -> str:
    if node.value not in choices:
        raise _BadValue(node, f"cannot be {_shown(node.value)}; write {', '.join(choices[:-1])} or {choices[-1]}")
    return str(node.value)


def _switch(node: yaml.ScalarNode) -> bool:
    if node.style is not None or node.value not in ("true", "false"):
        raise _BadValue(node, f"{_shown(node.value)} is not a switch; write true or false, without quotes")
    return bool(node.value == "true")


def _text(checks: list[Any], node: yaml.ScalarNode) -> str:
    text = str(node.value)
    if not text or not text.isprintable():
        raise _BadValue(node, "is empty or holds a control character; write printable text")
    for check in checks:
        if cure := check(text):
            raise _BadValue(node, f"cannot be used; {cure}")
    return text


def _number(base: type, rules: list[Any], node: yaml.ScalarNode) -> int | float:
    if OCTAL in rules:
        if not _MODE.fullmatch(node.value):
            raise _BadValue(node, f"{_shown(node.value)} is not a file mode; write three octal digits, such as 660")
        return int(node.value.replace("o", ""), 8)
    shape, name = (_WHOLE, "whole number") if base is int else (_NUMBER, "number")
    if node.style is not None or not shape.fullmatch(node.value):
        raise _BadValue(node, f"{_shown(node.value)} is not a {name}; write digits, without quotes or a unit")
    number = base(node.value)
    for allowed in rules:
        if not allowed.low <= number <= allowed.high:
            unit = f" {allowed.unit}" if allowed.unit else ""
            raise _BadValue(node, f"{_shown(node.value)} is out of range; write {allowed.low} to {allowed.high}{unit}")
    return number  # type: ignore[no-any-return]  # base is int or float


def _nearest(section: type, name: str, prefix: str) -> str:
    """Give the advice for an unknown name: its nearest neighbour in the section, else anywhere."""
    if prefix + name in setting_paths():
        return "a dot makes no section; indent it beneath its section's name"
    for near in get_close_matches(name, _hints(section), n=1):
        return f"did you mean {prefix}{near}?"
    by_name = {path.rpartition(".")[2]: path for path in setting_paths()}
    for near in get_close_matches(name, by_name, n=1):
        return f"did you mean {by_name[near]}?"
    return f"those here are {', '.join(_hints(section))}"


def _word(name: str) -> str:
    """Give a setting's name as it stands, unless it could not be read so."""
    return name if name.isprintable() and 0 < len(name) <= 40 else _shown(name)


def _shown(text: str) -> str:
    """Give a piece of the file as one short printable word."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
