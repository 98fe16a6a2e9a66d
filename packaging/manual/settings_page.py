"""mirosd.yaml(5): every setting, with its docstring, what it may be, and its default."""

import ast
import inspect
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import yaml

from manual.roff import Page
from mirosd.core.setting_checks import NOT_WRITTEN, OCTAL, Range
from mirosd.core.settings import Settings

KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


class Section(NamedTuple):
    """Settings that stand together: where, and what for."""

    path: str
    kind: type


class Setting(NamedTuple):
    """One setting, as people read it."""

    name: str
    values: str
    default: str
    """YAML; "" when it must be given."""
    text: str


def settings_page() -> Page:
    """Give the page."""
    page = Page("mirosd.yaml", 5, "configuration of mirosd")
    page.heading("DESCRIPTION")
    page.paragraph(
        "mirosd reads `/etc/mirosd/config.yaml`, or the file that `--config` or $MIROSD_CONFIG names, when it starts "
        "and when it is reloaded. It is YAML: sections, and one `name: value` a line in them. Every setting has a "
        "default, so an empty file is good. Names that end in _s are seconds, in _bytes bytes. `mirosd --check` names "
        "every fault with its line."
    )
    page.literal("discovery:\n  lan:\n    cache_minutes: 10\nlog:\n  level: debug")
    page.heading("SETTINGS")
    for section in sections():
        page.subheading(section.path or "at the top")
        page.paragraph(str(inspect.getdoc(section.kind)))
        for setting in settings_of(section.kind):
            default = f"Default: `{setting.default}`." if setting.default else "No default."
            page.item(setting.name, [setting.text, f"{setting.values[0].upper()}{setting.values[1:]}. {default}"])
    page.heading("FILES")
    page.item("/etc/mirosd/config.yaml", ["The configuration; 0640 root:mirosd, in a directory of 0500 mirosd:root."])
    page.item("/usr/share/doc/mirosd/examples/config.yaml", ["Every setting with its default."])
    page.see_also(("mirosd", 8), ("mirosctl", 1))
    return page


def sections(kind: type = Settings, path: str = "") -> Iterator[Section]:
    """Give every section, those within others behind them; an entry of a list of sections is called NAME[]."""
    yield Section(path, kind)
    for name, hint in _hints(kind).items():
        if inner := _section(hint):
            yield from sections(inner, ".".join(filter(None, (path, name))) + "[]" * (inner is not hint))


def settings_of(kind: type) -> Iterator[Setting]:
    """Give the settings of a section that are no sections themselves."""
    texts, hints = docstrings(kind), _hints(kind)
    for field in fields(kind):
        if field.name in hints and not _section(hints[field.name]):
            yield Setting(field.name, _values(hints[field.name]), _default(field, hints[field.name]), texts[field.name])


def docstrings(kind: type) -> dict[str, str]:
    """Give the text beneath each field of a class; KeyError where one has none is the caller's to see."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(str(text.value.value))
        for field, text in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind) if field.metadata != NOT_WRITTEN}


def _section(hint: Any) -> type | None:
    """Give the section that a field is, or that each entry of its list is."""
    kind = get_args(hint)[0] if get_origin(hint) is tuple else hint
    return kind if is_dataclass(kind) and isinstance(kind, type) else None


def _values(hint: Any) -> str:
    """Say what a setting may be."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join("null" if choice is types.NoneType else _values(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list: {_values(get_args(hint)[0])} each"
    if get_origin(hint) is Literal:
        *others, last = get_args(hint)
        return f"one of {', '.join(others)} and {last}"
    base, *rules = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if OCTAL in rules:
        return "three octal digits"
    ranges = [f", {rule.low:,} to {rule.high:,} {rule.unit}".rstrip() for rule in rules if isinstance(rule, Range)]
    return KINDS[base] + "".join(ranges)


def _default(field: Field[Any], hint: Any) -> str:
    if field.default is MISSING:
        return ""
    if OCTAL in get_args(hint):
        return f"{field.default:o}"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    if isinstance(value, float):
        return f"{value:g}"
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
