"""Locks in the data folder: the kernel gives them back whatever becomes of their holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from eme_connector.errors import Conflict

RUNNING = "running.lock"
DELIVERING = "delivering.lock"
UPGRADE = "upgrade.lock"
RESTORING = "restoring"
"""No lock: it is there from the first step of a restore until all is settled."""
TARGET = "relay-{}.lock"


class FileLock:
    """An advisory lock on one file, held until `release`, or until the process ends.

    A process that is forked from its holder holds it too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, *, shared: bool = False, wait: bool = True) -> bool:
        """Take the lock; False when another holds it and we do not *wait*.

        Raises:
            OSError: the file cannot be made.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True

    def release(self) -> None:
        """Give the lock back; twice changes nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


@contextmanager
def hold_target(folder: Path, target: str) -> Iterator[bool]:
    """Hold one target of the relay; gives True, as nobody else on *folder* can be at it.

    Raises:
        Conflict: somebody is at it.
    """
    lock = FileLock(folder / TARGET.format(target.replace("/", "_")))
    if not lock.acquire(wait=False):
        raise Conflict(f"another process is writing to {target} now; look again in a moment")
    try:
        yield True
    finally:
        lock.release()
