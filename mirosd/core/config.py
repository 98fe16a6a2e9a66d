"""Makes Settings of a configuration text, or tells everything that is wrong with it.

Pure and total: any text gives Settings or ConfigError, nothing else. It reads YAML's
nodes and not its values, because a node knows its line, and its text is what the
operator wrote: a system called `no` stays "no", and a mode 0660 stays octal. The walk
follows the settings and not the text, so neither deep nor recursive YAML can lead it far.
"""

import re
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeGuard, Union, get_args, get_origin, get_type_hints

import yaml

from mirosd.core.config_text import compose
from mirosd.core.setting_checks import NOT_WRITTEN, OCTAL
from mirosd.core.settings import Settings
from mirosd.errors import ConfigError

MAX_SECTIONS = 256
"""Sections in one list: rules, for a host with very many groups. Aliases make thousands of them in a short file."""

MAX_FAULTS = 100
"""Faults that are told; a file with more is no configuration, and the nearest name is searched for each of them."""

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


class _TooManyFaults(Exception):  # noqa: N818 -- likewise
    pass


def parse_config(text: str) -> Settings:
    """Give the settings that a YAML text holds; an empty text gives the defaults.

    Raises:
        ConfigError: `faults` has one sentence for each fault, in the order of their lines.
            Values of texts are never repeated in it: one may be a password.
    """
    walk, root = _Walk(), compose(text)
    try:
        settings: Settings = walk.section(Settings, root, "")
        walk.check_together(settings)
    except _TooManyFaults:
        pass  # those that were found are told
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


def _is_list_of_sections(hint: Any) -> bool:
    return get_origin(hint) is tuple and _is_section(get_args(hint)[0])


@cache
def _hints(section: type) -> dict[str, Any]:
    hints = get_type_hints(section, include_extras=True)
    return {field.name: hints[field.name] for field in fields(section) if field.metadata != NOT_WRITTEN}


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
            elif _is_list_of_sections(hint):
                values[name] = tuple(self._sections(get_args(hint)[0], child, path))
            else:
                try:
                    values[name] = _value(hint, child)
                except _BadValue as exc:
                    self._fault(exc.node, f"{path}: {exc.cure}")
        return kind(**values)

    def _sections(self, kind: type, node: yaml.Node, path: str) -> Iterator[Any]:
        """Give the sections of a list. Each has `line`, and `fault`: what is wrong with its settings together."""
        if node.tag == _NULL:
            return
        if not isinstance(node, yaml.SequenceNode) or len(node.value) > MAX_SECTIONS:
            self._fault(node, f"{path}: is not a list of at most {MAX_SECTIONS}; write [], or `- NAME: VALUE` for each")
            return
        for item in node.value:
            faults = len(self.faults)
            section = replace(self.section(kind, item, f"{path}."), line=item.start_mark.line + 1)
            if section.fault and len(self.faults) == faults:
                self._fault(item, f"{path}: {section.fault}")
            yield section

    def check_together(self, settings: Settings) -> None:
        """A password has one place, else nobody knows which one holds; a private key is the key of a certificate."""
        for name, account in (("broker", settings.broker), ("peers", settings.peers)):
            if account.password is not None and account.password_file is not None:
                line = self.lines[f"{name}.password_file"]
                self.faults.append(
                    _Fault(line, f"{name}.password_file: {name}.password is set too; remove one of them")
                )
        if settings.tls.key_file is not None and settings.tls.cert_file is None:
            line = self.lines["tls.key_file"]
            self.faults.append(_Fault(line, "tls.key_file: there is no certificate with it; write tls.cert_file too"))

    def _members(self, node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, yaml.Node]]:
        if node is None or node.tag == _NULL:
            return
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, f"{prefix.rstrip('.') or 'the file'}: write settings here, one NAME: VALUE a line")
            return
        seen: dict[str, int] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, f"{prefix}?: a setting's name is a plain word")
                continue
            line = key.start_mark.line + 1
            if key.value in seen:
                self._fault(
                    key, f"{prefix}{_word(key.value)}: set already on line {seen[key.value]}; remove one of them"
                )
                continue
            seen[key.value] = self.lines[prefix + key.value] = line
            yield key.value, child

    def _fault(self, node: yaml.Node, sentence: str) -> None:
        self.faults.append(_Fault(node.start_mark.line + 1, sentence))
        if len(self.faults) == MAX_FAULTS:
            raise _TooManyFaults


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
    """Give the advice for an unknown name: the nearest that there is, of its section where others have it too."""
    if prefix + name in setting_paths():
        return "a dot makes no section; indent it beneath its section's name"
    by_name = {path.rpartition(".")[2]: path for path in setting_paths()}
    by_name |= {near: prefix + near for near in _hints(section)}
    for near in get_close_matches(name, by_name, n=1):
        return f"did you mean {by_name[near]}?"
    return f"those here are {', '.join(_hints(section))}"


def _word(name: str) -> str:
    """Give a setting's name as it stands, unless it could not be read so."""
    return name if name.isprintable() and 0 < len(name) <= 40 else _shown(name)


def _shown(text: str) -> str:
    """Give a piece of the file as one short printable word."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
