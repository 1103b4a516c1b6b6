"""Which of our processes holds a connection, read from /proc: a test kills the right one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def holder(local: int, remote: int, pids: Iterable[int]) -> int | None:
    """Return which of *pids* has the IPv4 connection from port *local* to port *remote*."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        ports = [int(words[place].split(":")[1], 16) for place in (1, 2)]
        if ports == [local, remote]:
            inodes.add(f"socket:[{words[9]}]")
    for pid in pids:
        with suppress(OSError):  # it may end meanwhile
            if inodes & {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}:
                return pid
    return None
