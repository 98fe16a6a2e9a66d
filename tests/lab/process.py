"""A long-running program of a host of the lab, with its log beside the host's other files."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.namespaces import Host

STOP_DEADLINE_S = 30.0  # what a program may take to end in order on two busy cores


class Process:
    """One program: started, stopped, killed, paused; its output is kept through restarts."""

    def __init__(self, host: Host, name: str) -> None:
        """Describe the program, with an empty log; nothing runs yet."""
        self.host = host
        self.name = name
        self.log_path = host.directory / f"{name}.log"
        self.log_path.unlink(missing_ok=True)  # hosts outlive tests, and a test's lines are its own
        self._process: subprocess.Popen[str] | None = None

    def launch(self, argv: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None) -> None:
        """Start `argv` with `environment` added to this process's; returns at once."""
        with self.log_path.open("a") as log:
            self._process = self.host.popen(
                argv, env=os.environ | dict(environment), cwd=cwd, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        """The process id; RuntimeError when nothing was started."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait(self, deadline_s: float = STOP_DEADLINE_S) -> int:
        """Give the exit status once it ended by itself."""
        return self._started().wait(timeout=deadline_s)

    def stop(self) -> int:
        """End it in order (SIGTERM) and give its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning (SIGKILL)."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Hang it: sockets stay open, nothing answers."""
        self._started().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._started().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it if it still runs; for the end of a test."""
        if self.is_running:
            self.kill()

    def log(self) -> str:
        """Give all it has printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None:
            raise RuntimeError(f"{self.name} on {self.host.name} was never started")
        return self._process

    def _end(self, number: signal.Signals) -> int:
        process = self._started()
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)  # a paused program would not hear SIGTERM
        return process.wait(timeout=STOP_DEADLINE_S)
