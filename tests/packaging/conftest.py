"""The packages that `make deb` made; without them these tests are skipped, and say so."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirosd import __version__
from tests.packaging.throwaway_root import ThrowawayRoot

ROOT = Path(__file__).parents[2]
NEXT_VERSION = f"{__version__}+next"
SOURCES = ("mirosd", "client", "packaging", "systemd", "pyproject.toml", "config.example.yaml")


@dataclass(frozen=True)
class Package:
    """One of the two packages."""

    path: Path
    contents: Path
    """Where it is unpacked, as it would be installed."""

    def field(self, name: str) -> str:
        """Give a field of its control file."""
        done = subprocess.run(["dpkg-deb", "--field", self.path, name], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def as_version(self, version: str, folder: Path, *, without: str = "no/module.py") -> Path:
        """Give it in `folder` as a package of another version: its daemon says so, and one module is gone."""
        tree, path = folder / f"{self.path.stem}-next", folder / f"{self.path.stem}-next.deb"
        subprocess.run(["dpkg-deb", "--raw-extract", self.path, tree], check=True)
        site = next(tree.glob("usr/lib/mirosd/lib/python*/site-packages"))
        for named in (tree / "DEBIAN/control", *site.glob("mirosd/__init__.py")):
            named.write_text(named.read_text().replace(__version__, version))
        (site / without).unlink(missing_ok=True)
        subprocess.run(
            ["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, path], check=True, capture_output=True
        )
        shutil.rmtree(tree)
        return path

    def files(self) -> Iterator[Path]:
        """Give each file and link in it, as paths in `contents`."""
        return (path for path in self.contents.rglob("*") if path.is_symlink() or not path.is_dir())


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """Give both packages by name; they must be of these sources."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb: this is no Debian")
    paths = {path.name.partition("_")[0]: path for path in (ROOT / "dist").glob("*.deb")}
    if set(paths) != {"mirosd", "mirosd-client"}:
        pytest.skip("dist/ does not hold the two packages; run make deb")
    _check_age(paths.values())
    made = {}
    for name, path in paths.items():
        contents = tmp_path_factory.mktemp(name)
        subprocess.run(["dpkg-deb", "--extract", path, contents], check=True)
        made[name] = Package(path, contents)
    return made


@pytest.fixture
def next_packages(packages: dict[str, Package], tmp_path: Path) -> Iterator[list[Path]]:
    """Give the packages of a later version, in which one module is gone."""
    made = [package.as_version(NEXT_VERSION, tmp_path, without="mirosctl/wsl.py") for package in packages.values()]
    yield made
    for path in made:
        path.unlink()  # pytest keeps the folders of its last runs


@pytest.fixture(scope="session")
def wheelhouses() -> list[Path]:
    """Give the folders of wheels that the packages are made of: the client's with all that it needs, and the rest."""
    folders = [ROOT / "build/deb/wheels" / part for part in ("client", "daemon")]
    ours = [path for folder in folders for path in folder.glob("mirosd*.whl")]
    if len(ours) != len(folders):
        pytest.skip("build/ does not hold the wheels that the packages are made of; run make deb")
    _check_age(ours)
    return folders


def _check_age(made: Iterable[Path]) -> None:
    """Skip the test unless these are of the sources as they are."""
    if min(path.stat().st_mtime for path in made) < _last_change():
        pytest.skip("what make deb made is older than what it is made of; run it")


def _last_change() -> float:
    files = (path for source in SOURCES for path in ((ROOT / source), *(ROOT / source).rglob("*")))
    return max(path.stat().st_mtime for path in files if path.is_file() and "__pycache__" not in path.parts)


@pytest.fixture(scope="session")
def installation(packages: dict[str, Package], tmp_path_factory: pytest.TempPathFactory) -> tuple[ThrowawayRoot, str]:
    """Give a root in which both packages were installed, no longer in use, and what they said."""
    missing = [tool for tool in ("systemd-sysusers", "systemd-tmpfiles", "py3compile") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not here, and the packages depend on it")
    root = ThrowawayRoot(tmp_path_factory.mktemp("installation"), hidden=ROOT)
    said = root.install(*(package.path for package in packages.values()))
    root.close()
    return root, said


@pytest.fixture
def installed(installation: tuple[ThrowawayRoot, str], tmp_path: Path) -> Iterator[ThrowawayRoot]:
    """Give a machine of the test's own, on which both packages are installed, and that is gone afterwards."""
    root = ThrowawayRoot(tmp_path, hidden=ROOT, like=installation[0])
    yield root
    root.close()
