"""The manual pages say what the programs say."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from manual.command_page import command_page, commands
from manual.roff import Page
from manual.settings_page import docstrings, sections, settings_of, settings_page
from mirosctl.main import VERBS
from mirosctl.main import main as mirosctl
from mirosd.core.config import parse_config, setting_paths

ROOT = Path(__file__).parents[2]
PAGES = ("mirosctl.1", "mirosd.8", "mirosd.yaml.5")


@dataclass
class Sample:
    """A section of its own."""

    first: int = 1
    """What it is for,
    in two lines."""
    bare: int = 2
    last: str = "x"
    """The last."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the pages as a build writes them."""
    made = tmp_path_factory.mktemp("man")
    _write(made, "86400")
    return made


def _write(folder: Path, moment: str) -> None:
    variables = os.environ | {"PYTHONPATH": str(ROOT / "packaging"), "SOURCE_DATE_EPOCH": moment}
    subprocess.run([sys.executable, "-m", "manual", str(folder)], env=variables, check=True)


def _shown(page: Path) -> str:
    """Give a page as man(1) prints it, on one line, after seeing that groff has nothing to say about it."""
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-P-cbou", "-rLL=500n", str(page)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return " ".join(done.stdout.split())


needs_groff = pytest.mark.skipif(
    not list(Path("/usr/share/groff").glob("*/tmac/an.tmac")),
    reason="the package groff, which has the macros of manual pages, is not installed",
)


def test_three_pages_are_written(folder: Path) -> None:
    """With the date that a build is given, so that two builds are alike."""
    assert sorted(PAGES) == sorted(path.name for path in folder.iterdir())
    assert all('"1970\\-01\\-02"' in (folder / page).read_text() for page in PAGES)


@needs_groff
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_good_roff(folder: Path, page: str) -> None:
    """No macro is unknown, no escape lost."""
    assert page.split(".")[0] in _shown(folder / page)


def test_every_verb_and_option_stands_in_mirosctl_1() -> None:
    """A command that is added is in the manual."""
    text = command_page().text("", "").replace("\\", "")
    with click.Context(mirosctl, info_name="mirosctl") as context:
        inner = list(commands(context))

    assert set(VERBS) <= {each.info_name for each in inner}
    for each in inner:
        assert f'.SS "{each.command_path} ' in text
        for parameter in each.command.params:
            assert all(name in text for name in parameter.opts if name.startswith("-")), (each.command_path, parameter)


def test_every_setting_stands_in_mirosd_yaml_5() -> None:
    """With its docstring; one without cannot be explained, and ends the build."""
    documented = [
        f"{section.path}.{setting.name}".removeprefix(".")
        for section in sections()
        for setting in settings_of(section.kind)
    ]
    lists = {section.path.removesuffix("[]") for section in sections() if section.path.endswith("[]")}

    assert set(setting_paths()) - lists == {path for path in documented if "[]" not in path}
    assert all(setting.text for section in sections() for setting in settings_of(section.kind))


@pytest.mark.parametrize(
    ("path", "values", "default"),
    [
        ("socket.mode", "three octal digits", "660"),
        ("peers.password", "text or null", "null"),
        ("delivery.ttl_s", "number, 1 to 86,400 seconds", "50"),
        ("discovery.lan.enabled", "true or false", "true"),
        ("discovery.lan.sweep", "one of auto, always and off", "auto"),
        ("broker.advertise", "list: text each", "[]"),
    ],
)
def test_a_setting_says_what_it_may_be(path: str, values: str, default: str) -> None:
    """Its kind, its range with the unit, and the default as it is written in the file."""
    where, _, name = path.rpartition(".")
    kind = next(section.kind for section in sections() if section.path == where)

    setting = next(setting for setting in settings_of(kind) if setting.name == name)

    assert (values, default) == (setting.values, setting.default)


def test_defaults_are_written_as_the_file_has_them() -> None:
    """A file with every default in it means the same as an empty one."""
    lines: list[str] = []
    for section in sections():
        if "[]" not in section.path:
            depth = len(section.path.split(".")) if section.path else 0
            lines += [f"{'  ' * (depth - 1)}{section.path.rpartition('.')[2]}:"] * bool(section.path)
            lines += [f"{'  ' * depth}{each.name}: {each.default}" for each in settings_of(section.kind)]

    assert parse_config("") == parse_config("\n".join(lines))


def test_a_docstring_belongs_to_the_field_above() -> None:
    """One that has none is not given its neighbour's."""
    assert {"first": "What it is for,\nin two lines.", "last": "The last."} == docstrings(Sample)


@pytest.mark.parametrize("text", [".SH mine", "'quoted'", r"a\fBb", "-- x", '"', "^~`", "a\n.TP\nb"])
@needs_groff
def test_no_text_is_a_macro(text: str, tmp_path: Path) -> None:
    """What docstrings hold prints as it stands."""
    page = Page("sample", 1, " ".join(text.split()))
    page.paragraph(text)
    page.item(" ".join(text.split()), [text])
    (tmp_path / page.file_name).write_text(page.text("today", "here"))

    assert _shown(tmp_path / page.file_name).count(" ".join(text.split())) == 4


def test_backquotes_are_bold_and_literal_lines_stay() -> None:
    """Bold needs no quotes; a literal's lines are not filled."""
    page = Page("sample", 1, "s")
    page.paragraph("use `--check` first")
    page.literal("one:\n  two: 3")

    assert r"use \fB\-\-check\fR first" in page.text("", "")
    assert ".nf\none:\n  two: 3\n.fi" in page.text("", "")


def test_the_settings_page_names_lists_of_sections() -> None:
    """An entry's settings stand below NAME[]."""
    assert '.SS "rights[]"' in settings_page().text("", "")
