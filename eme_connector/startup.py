"""What a start leaves out: the search for garbage among what has only just been made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 250_000
"""A start makes fewer objects; an upgrade of many threats makes more, and may leave garbage."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage seldom while the block imports and builds: nearly all of it stays."""
    often = gc.get_threshold()
    gc.set_threshold(SELDOM, *often[1:])
    try:
        yield
    finally:
        gc.set_threshold(*often)
