"""What large bodies may cost together: few are read at once, and what they took is given back."""

from __future__ import annotations

import ctypes
import threading

from flask import Flask, g

LARGE_BYTES = 65_536
AT_ONCE = 2
_ARENAS = 2
_BLOCK_BYTES = 131_072
_MALLOPT = {-8: _ARENAS, -3: _BLOCK_BYTES, -1: _BLOCK_BYTES}
"""M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h."""
_turns = threading.BoundedSemaphore(AT_ONCE)


def install(app: Flask) -> None:
    """End the turn of each request that took one."""
    app.teardown_request(_end_turn)


def take_turn(size: int) -> None:
    """Wait until this request may make a tree of its *size* bytes: it costs thirty times that.

    Call it when the body is here: nobody's turn depends on how fast another sends.
    """
    if size > LARGE_BYTES and "has_turn" not in g:
        _turns.acquire()
        g.has_turn = True


def give_back_early() -> None:
    """Let the C library return what was freed: it would keep a heap for each of many threads.

    Does nothing where it is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOPT.items():
            mallopt(parameter, value)


def _end_turn(_: BaseException | None) -> None:
    if g.pop("has_turn", False):
        _turns.release()
