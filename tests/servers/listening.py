"""Wait for a server that a test has started."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

MOST_S = 30


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once *process* listens on *port*; raise AssertionError with its log if it does not."""
    until = time.monotonic() + MOST_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(log.read_text())
