"""`python -m manual FOLDER`: write mirosd.8, mirosctl.1 and mirosd.yaml.5 there."""

import os
import sys
import time
from pathlib import Path

from manual.command_page import command_page
from manual.daemon_page import daemon_page
from manual.settings_page import settings_page
from mirosd import __version__


def main(folder: Path) -> None:
    """Write the pages; their date is $SOURCE_DATE_EPOCH (seconds, as packagers have it), else today."""
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    footer = (time.strftime("%Y-%m-%d", moment), f"mirosd {__version__}")
    folder.mkdir(parents=True, exist_ok=True)
    for page in (daemon_page(), command_page(), settings_page()):
        (folder / page.file_name).write_text(page.text(*footer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
