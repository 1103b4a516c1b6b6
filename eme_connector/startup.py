"""What a start leaves out: the search for garbage among what has only just been made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage while the block imports and builds: all of it stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
