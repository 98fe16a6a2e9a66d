"""What is in the packages, and what is not."""

import hashlib
import re
import shutil
import stat
import subprocess
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

import pytest

from mirosd import __version__
from tests.packaging.conftest import ROOT, Package

SITE = "usr/lib/mirosd/lib/python*/site-packages"
NOT_INSTALLED = ("pip", "setuptools", "wheel", "hatchling", "pytest", "ruff", "mypy", "manual", "tests")


def _site(package: Package) -> Path:
    (site,) = package.contents.glob(SITE)
    return site


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.py")
    }


def test_the_daemon_depends_on_its_own_client_and_on_this_python(packages: dict[str, Package]) -> None:
    """Both share one tree, so they go together; its modules are built for one release of Python."""
    depends = packages["mirosd"].field("Depends")

    assert packages["mirosd"].field("Version") == packages["mirosd-client"].field("Version") == __version__
    assert f"mirosd-client (= {__version__})" in depends
    for package in packages.values():
        release = _site(package).parent.name.removeprefix("python")
        major, minor = map(int, release.split("."))
        assert f"python3 (>= {release}), python3 (<< {major}.{minor + 1})" in package.field("Depends")


def test_the_sources_are_in_them(packages: dict[str, Package]) -> None:
    """Every module of the daemon, the client and mirosctl, byte for byte."""
    for name, parts in {
        "mirosd": {"mirosd": ROOT / "mirosd"},
        "mirosd-client": {part: ROOT / "client" / part for part in ("mirosd_client", "mirosctl")},
    }.items():
        for part, source in parts.items():
            assert _hashes(source) == _hashes(_site(packages[name]) / part)


def test_they_hold_nothing_twice(packages: dict[str, Package]) -> None:
    """What the client has, the daemon takes from it."""
    held = [{path.relative_to(package.contents) for path in package.files()} for package in packages.values()]

    assert set.intersection(*held) == set()


def test_files_lie_where_they_may(packages: dict[str, Package]) -> None:
    """Nothing in /etc, where the operator's files are: none is a conffile, and no key or password comes along."""
    allowed = (
        r"usr/bin/(mirosd|mirosctl)|usr/lib/mirosd/.*|usr/lib/(sysusers|tmpfiles)\.d/mirosd\.conf"
        r"|lib/systemd/system/mirosd[-a-z]*\.(service|target)|usr/share/man/man[158]/.*\.gz"
        r"|usr/share/(doc|lintian|bash-completion|zsh|fish)/.*"
    )
    paths = [str(path.relative_to(each.contents)) for each in packages.values() for path in each.files()]

    assert [] == [path for path in paths if not re.fullmatch(allowed, path) or path.endswith((".key", ".pem"))]


def test_all_is_roots_and_read_only(packages: dict[str, Package]) -> None:
    """No file can be changed by anybody else, or changes who runs it."""
    for package in packages.values():
        listed = subprocess.run(
            ["dpkg-deb", "--contents", package.path], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert [] == [line for line in listed if line.split()[1] != "root/root"]
        for path in package.files():
            mode = stat.S_IMODE(path.lstat().st_mode)
            expected = (0o777,) if path.is_symlink() else (0o755,) if path.parent.name == "bin" else (0o644, 0o755)
            assert mode in expected, path


def test_nothing_tells_of_the_machine_that_built_them(packages: dict[str, Package]) -> None:
    """No path of the sources, of the environment they were built in, or of a builder's home."""
    told = re.compile(b"|".join(re.escape(word) for word in (bytes(ROOT), b"/tmp/pip-", b"build/deb/")))
    for package in packages.values():
        files = [path for path in package.files() if not path.is_symlink()]
        assert [] == [path for path in files if path.name == "direct_url.json" or told.search(path.read_bytes())]


def test_only_what_is_needed_is_in_them(packages: dict[str, Package]) -> None:
    """No installer, no tool of the developers, no test; every other distribution in the version that is tested."""
    pins = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", (ROOT / "packaging/constraints.txt").read_text().lower()))
    for package in packages.values():
        site = _site(package)
        held = {each.name.lower().replace("-", "_"): each.version for each in distributions(path=[str(site)])}
        others = {name: version for name, version in held.items() if name not in ("mirosd", "mirosd_client")}
        assert others.items() <= {name.replace("-", "_"): version for name, version in pins.items()}.items()
        assert not set(NOT_INSTALLED) & {path.name for path in site.iterdir()}
        assert [] == list(chain(site.rglob("test_*.py"), site.rglob("*.pyc"), site.rglob("_yaml.*.so")))


def test_each_licence_is_named(packages: dict[str, Package]) -> None:
    """Of every distribution that a package holds."""
    for name, package in packages.items():
        text = (package.contents / "usr/share/doc" / name / "copyright").read_text()
        for each in distributions(path=[str(_site(package))]):
            assert each.name in ("mirosd", "mirosd-client") or f"  {each.name} {each.version}: " in text


@pytest.mark.skipif(shutil.which("lintian") is None, reason="the package lintian is not installed")
def test_lintian_finds_no_error(packages: dict[str, Package]) -> None:
    """Debian's own checks of packages; what is overridden is a warning, never an error."""
    paths = [package.path for package in packages.values()]

    done = subprocess.run(
        ["lintian", "--no-cfg", "--allow-root", "--fail-on", "error", "--tag-display-limit", "0", *paths],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    overrides = "".join(path.read_text() for path in (ROOT / "packaging/debian").glob("*.lintian-overrides"))
    assert set(re.findall(r"(?m)^[\w-]+: (\S+)", overrides)) == {"unusual-interpreter"}
