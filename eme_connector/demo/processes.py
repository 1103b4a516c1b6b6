"""Start the demo's processes and end them: none outlives the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from eme_connector.errors import Conflict, Unavailable

_PR_SET_PDEATHSIG = 1
START_S = 30.0
STOP_S = 15.0


def free_port() -> int:
    """Return a port on loopback that is free now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def check_port(port: int, option: str) -> None:
    """Raise Conflict when *port* is taken, naming the *option* that chooses another."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as exc:
            raise Conflict(f"port {port} is taken; choose another with {option}") from exc


class Child:
    """One process of the demo; what it prints goes to *log*."""

    def __init__(self, name: str, words: list[str], log: Path) -> None:
        self.name, self.log = name, log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, our own words
                [sys.executable, "-m", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),
            )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until *ready*.

        Raises:
            Unavailable: it ended, or took longer than 30 s; the log says more.
        """
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise Unavailable(f"{self.name} ended at once; see {self.log}")
            if ready():
                return
            time.sleep(0.05)
        raise Unavailable(f"{self.name} did not start within {START_S:.0f} s; see {self.log}")

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Say whether the process is there."""
        return self._process.poll() is None

    def ask_to_stop(self) -> None:
        """Send the process SIGTERM."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait for its end; after 15 s it is killed."""
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a child does first: ask to be ended when its parent is gone."""
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask
