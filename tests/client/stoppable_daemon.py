"""A fake daemon in a process of its own, which a test can hang (SIGSTOP). It ends with its test.

python -m tests.client.stoppable_daemon SOCKET
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.client.fake_daemon import FakeDaemon

ROOT = Path(__file__).parents[2]


@contextmanager
def stoppable(socket_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give the process of a daemon that listens, and settles what it is handed."""
    argv = [sys.executable, "-m", __name__, str(socket_file)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    FakeDaemon(Path(sys.argv[1]), settles=True)
    print("ready", flush=True)
    sys.stdin.read()
