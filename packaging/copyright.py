"""Print a package's copyright file: our licence, and those of the distributions of others that are in it.

python packaging/copyright.py SITE_PACKAGES
"""

import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

LICENSE = Path(__file__).parents[1] / "LICENSE"
OURS = ("mirosd", "mirosd-client")
OTHERS = """
In /usr/lib/mirosd are these distributions of others, each as its authors released it, but for tests and
what only compilers read. Each one's copyright and licence stand in the folder NAME-VERSION.dist-info
beside it. The whole Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0, the LGPL 2.1 in
/usr/share/common-licenses/LGPL-2.1.
"""


def main(folder: str) -> None:
    """Print it."""
    found = sorted(distributions(path=[folder]), key=lambda one: one.name.lower())
    print(f"mirosd is\n\n{LICENSE.read_text().strip()}\n{OTHERS}")
    for one in found:
        if one.name not in OURS:
            print(f"  {one.name} {one.version}: {license_of(one)}")


def license_of(distribution: Distribution) -> str:
    """Give the name of a licence: SPDX where the distribution has that, else as its authors wrote it."""
    for header in ("License-Expression", "License", "Classifier"):
        names = [
            name.rpartition(" :: ")[2] for name in distribution.metadata.get_all(header) or [] if _is_license(name)
        ]
        if names:
            return ", ".join(names).splitlines()[0]
    raise ValueError(f"{distribution.name} does not say under which licence it is; look, and say it here")


def _is_license(value: str) -> bool:
    return " :: " not in value or value.startswith("License :: ")


if __name__ == "__main__":
    main(sys.argv[1])
