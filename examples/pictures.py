"""Pictures of a battle of horse archers, as one terminal shows it: docs/pictures, made by `make pictures`.

    charts      `mirosctl charts`: twelve archers on three hosts
    sequence    `mirosctl trace --sequence`: what the first archer of each host did, and who made it do so

The hosts are network namespaces of this machine, each with a RabbitMQ and a mirosd of its own (tests/lab).
"""

import io
import os
import pty
import re
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Daemon, Program
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

PICTURES = ROOT / "docs" / "pictures"
UNITS = ("Batu", "Jebe", "Tolui")  # of the hosts h1, h2, h3
SPEED = 20
ROUND_S = 15.0  # of a battle at that speed: from an advance to the next one
ROWS = 60
LOCAL_FONTS = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""rich's picture without the fonts that it has fetched from elsewhere: who looks has one of even width."""


def shot(host: Host, columns: int, *words: str) -> str:
    """Give what `mirosctl WORDS` prints on a terminal of so many columns."""
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (ROWS, columns))
    argv = [sys.executable, "-c", "from mirosctl.main import main; main()", *words]
    environment = {"MIROSD_SOCKET": str(host.socket), "PYTHONPATH": str(ROOT / "client"), "TERM": "xterm-256color"}
    with host.popen(argv, stdout=terminal, env=os.environ | environment, cwd=ROOT) as process:
        os.close(terminal)
        printed = b"".join(iter(lambda: _read(screen), b""))
        os.close(screen)
    if process.returncode:
        raise RuntimeError(f"mirosctl {' '.join(words)} ended with {process.returncode}: {printed.decode()}")
    return printed.decode().replace("\r\n", "\n")


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:  # which is how a terminal says that its last program has ended
        return b""


def save(name: str, title: str, printed: str) -> None:
    """Draw what was printed."""
    text = Text.from_ansi(printed.rstrip())
    columns = max(line.cell_len for line in text.split())
    console = Console(record=True, width=columns, file=io.StringIO())
    console.print(text, no_wrap=True)
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.svg"
    console.save_svg(str(path), title=title, code_format=LOCAL_FONTS, unique_id=name)
    print(f"{path.relative_to(ROOT)}: {columns} columns, {len(text.split())} lines", flush=True)


@contextmanager
def hosts() -> Iterator[Sequence[Host]]:
    """Give three hosts that have found each other."""
    with ExitStack() as exits:
        lan = Lan(len(UNITS))
        exits.callback(lan.close)
        brokers = [Broker(host) for host in lan.hosts]
        for broker in brokers:
            broker.start()
            exits.callback(broker.close)
        daemons = []
        for host, broker in zip(lan.hosts, brokers, strict=True):
            broker.wait_ready()
            peers = [other.address for other in lan.hosts if other is not host]
            daemons.append(Daemon(host, broker, hosts=peers))
            exits.callback(daemons[-1].close)
            daemons[-1].start()
        for daemon in daemons:
            daemon.ctl("wait", "--peers", str(len(UNITS) - 1))
        yield lan.hosts


@contextmanager
def battle(field: Sequence[Host], archers: int) -> Iterator[None]:
    """Have so many archers fight on each host."""
    script = Path(__file__).with_name("horse_archer.py")
    with ExitStack() as exits:
        for seed, (host, name) in enumerate(zip(field, UNITS, strict=True)):
            words = ["--name", name, "--archers", str(archers), "--speed", str(SPEED), "--seed", str(seed)]
            program = Program(host, script, *words, "--seconds", "600", "--show", "nothing")
            exits.callback(program.close)
            program.start()
        yield


def main() -> None:
    """Fight, and draw."""
    with hosts() as field:
        with battle(field, archers=4):
            look = ("charts", *(f"{name}-*" for name in UNITS))
            until(lambda: "waiting_to_lure" in shot(field[0], 120, *look), 120, "a battle at its height")
            save("charts", "mirosctl charts", shot(field[0], 120, *look))
        with battle(field, archers=1):
            story = ("trace", "--sequence", *UNITS)
            until(lambda: "[marshal]" in shot(field[0], 120, *story, "--since", "60s", "--for", "0s"), 120, "a round")
            printed = shot(field[0], 120, *story, "--since", f"{ROUND_S:g}s", "--for", "0s")
            save("sequence", "mirosctl trace --sequence", printed)


if __name__ == "__main__":
    main()
