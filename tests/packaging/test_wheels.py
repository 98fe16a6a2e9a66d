"""Both distributions as wheels, installed where nothing else is, and without a network."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PathDistribution, packages_distributions
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest

from mirosctl.main import VERBS
from mirosd import __version__
from tests.packaging.conftest import ROOT

PACKAGES = {"mirosd-client": ("mirosd_client", "mirosctl"), "mirosd": ("mirosd",)}
LOAD_ALL = """
import click, mirosd_client
from mirosctl.main import VERBS, main

print(*(main.get_command(click.Context(main), verb).name for verb in VERBS))
"""


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin/python"

    def install(self, requirement: str, wheelhouses: Iterable[Path]) -> None:
        """Install a distribution and what it declares to need, from these folders alone."""
        found = [f"--find-links={folder}" for folder in wheelhouses]
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", self.python]
        subprocess.run([*pip, "install", "--no-index", "--no-compile", *found, requirement], check=True)

    def run(self, *argv: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a command of it; nothing but the environment's own is found."""
        command = [self.python.with_name(str(argv[0])), *argv[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")


@pytest.fixture(scope="module")
def client(wheelhouses: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with mirosctl, for which there were only the client's wheels."""
    made = Environment(tmp_path_factory.mktemp("client"))
    made.install("mirosd-client[cli]", wheelhouses[:1])
    return made


@pytest.fixture(scope="module")
def daemon(wheelhouses: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the daemon."""
    made = Environment(tmp_path_factory.mktemp("daemon"))
    made.install("mirosd[systemd]", wheelhouses)
    return made


def test_the_client_suffices_for_mirosctl(client: Environment) -> None:
    """Every command is there, and asks for a daemon; nothing of one was installed."""
    loaded = client.run("python", "-c", LOAD_ALL)
    asked = client.run("mirosctl", "--socket", "/nowhere", "peers")

    assert f"mirosctl {__version__}\n" == client.run("mirosctl", "--version").stdout.replace(", version", "")
    assert loaded.stdout.split() == list(VERBS), loaded.stderr
    assert 3 == asked.returncode, asked
    assert 1 == client.run("python", "-c", "import mirosd").returncode


def test_the_daemon_is_installed_with_all_it_needs(daemon: Environment) -> None:
    """It reads a configuration, and every module of it can be loaded."""
    example = ROOT / "config.example.yaml"
    loaded = daemon.run("python", "-c", "import mirosd.daemon, systemd.journal")

    assert f"mirosd {__version__}\n" == daemon.run("mirosd", "--version").stdout
    assert "configuration OK\n" == daemon.run("mirosd", "--check", "--config", example).stdout
    assert 0 == loaded.returncode, loaded.stderr


@pytest.mark.parametrize(("name", "tree"), [("mirosd-client", ROOT / "client"), ("mirosd", ROOT)])
def test_a_wheel_holds_its_sources_and_its_licence(wheelhouses: list[Path], name: str, tree: Path) -> None:
    """Each file, the marker of types included, byte for byte, and nothing else."""
    with ZipFile(wheel_of(name, wheelhouses)) as wheel:
        held = {path: wheel.read(path) for path in wheel.namelist() if ".dist-info/" not in path}
        licences = [wheel.read(path) for path in wheel.namelist() if path.endswith(".dist-info/licenses/LICENSE")]
    sources = {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for package in PACKAGES[name]
        for path in (tree / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert sources == held
    assert (name == "mirosd-client") == ("mirosd_client/py.typed" in held)
    assert [(ROOT / "LICENSE").read_bytes()] == licences


@pytest.mark.parametrize("name", PACKAGES)
def test_a_wheel_declares_what_it_imports(wheelhouses: list[Path], name: str) -> None:
    """Each distribution that a module of it imports, lazily or not, is a requirement, if only of an extra."""
    wheel = wheel_of(name, wheelhouses)
    with ZipFile(wheel) as opened:
        modules = [opened.read(path).decode() for path in opened.namelist() if path.endswith(".py")]
    names = {top for module in modules for top in imports(module)}.difference(sys.stdlib_module_names, PACKAGES[name])
    owners = {**packages_distributions(), "mirosd_client": ["mirosd-client"]}

    assert set() == {canonical(owners[top][0]) for top in names}.difference(requirements(wheel))


def wheel_of(name: str, wheelhouses: Iterable[Path]) -> Path:
    """Give the wheel of one of our distributions."""
    [found] = [path for folder in wheelhouses for path in folder.glob(f"{name.replace('-', '_')}-*.whl")]
    return found


def requirements(wheel: Path) -> Iterator[str]:
    """Give the names of what a wheel declares to need, for whatever extra."""
    [metadata] = [path for path in ZipPath(wheel).iterdir() if path.name.endswith(".dist-info")]
    for requirement in PathDistribution(metadata).requires or ():  # type: ignore[arg-type]
        yield canonical(re.split(r"[^\w.-]", requirement)[0])


def canonical(name: str) -> str:
    """Give a distribution's name as all its spellings have it in common."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(module: str) -> Iterator[str]:
    """Give the top-level name of each import in a module, also of those made by importlib with a name as it stands."""
    for node in ast.walk(ast.parse(module)):
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom():
                yield str(node.module).partition(".")[0]
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name))]):
                yield name.partition(".")[0]
