"""The `mirosd` command: read the configuration, then run until told to stop."""

import argparse
import asyncio
import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import uvloop

from mirosd import __version__, logs
from mirosd.core.config import parse_config
from mirosd.core.settings import Settings
from mirosd.daemon import Daemon
from mirosd.errors import ConfigError, StartError
from mirosd_client.printable import without_account

DEFAULT_CONFIG = "/etc/mirosd/config.yaml"
CONFIG_VARIABLE = "MIROSD_CONFIG"

STDERR = 2

EXIT_FAILED = 1
EXIT_CONFIG = 2


def main(
    argv: Sequence[str] | None = None,
    *,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
) -> int:
    """Run the daemon; gives the exit status: 0 stopped in order, 1 cannot start, 2 the configuration is wrong."""
    _ensure_outputs()
    options = parser().parse_args(argv)
    try:
        settings = load(options.config)
    except ConfigError as error:
        print(f"{without_account(str(options.config))}:", file=sys.stderr)  # some give the broker's URL here
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        return EXIT_CONFIG
    if options.check:
        print("configuration OK")
        return 0
    logs.configure(options.log_format or settings.log.format, settings.log.level)
    faulthandler.enable(STDERR)  # to standard error, on SIGABRT, by which a watchdog ends us: where each thread was
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(_run(options.config, settings))
    except StartError as error:
        print(f"mirosd cannot start: {error}", file=sys.stderr)
        return EXIT_FAILED


def load(path: Path) -> Settings:
    """Give the settings of a configuration file; ConfigError with every fault, a missing file among them."""
    try:
        return parse_config(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ConfigError(
            [f"there is no such file; mirosctl init writes one, or give --config or ${CONFIG_VARIABLE}"]
        ) from exc
    except PermissionError as exc:
        raise ConfigError(["this user may not read the file; run it as root: sudo mirosd --check"]) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError([f"the file is not UTF-8 text (byte {exc.start}); save it as such"]) from exc
    except OSError as exc:
        raise ConfigError([f"the file cannot be read: {exc.strerror}"]) from exc


def _ensure_outputs() -> None:
    """Have standard outputs where the caller has closed them: else a socket of ours would get such a number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:  # the lowest that is free
        pass
    os.close(descriptor)
    for name, number in (("stdout", STDERR - 1), ("stderr", STDERR)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 -- a number, for good


async def _run(config: Path, settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    daemon = Daemon(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: daemon.reload(lambda: load(config)))
    await daemon.run(stop)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(without_account(message))


def parser() -> argparse.ArgumentParser:
    """Give what reads the command line; mirosd(8) is made of it too."""
    made = _Parser(prog="mirosd", description="Carries statechart events between hosts.")
    made.add_argument(
        "--config",
        type=Path,
        default=Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG),
        help=f"configuration file (default: ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG})",
    )
    made.add_argument(
        "--check", action="store_true", help="check the configuration and exit: 0 good, 2 with every fault"
    )
    made.add_argument("--log-format", choices=("auto", "json", "console"), help="overrides log.format")
    made.add_argument("--version", action="version", version=f"mirosd {__version__}")
    return made


if __name__ == "__main__":
    sys.exit(main())
