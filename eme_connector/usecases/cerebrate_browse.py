"""Look at what a Cerebrate has before anything is fetched from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from eme_connector.domain.directory import Snapshot
from eme_connector.domain.rights import Caller
from eme_connector.sync.compare import Row, State, compare
from eme_connector.usecases.cerebrate_check import find
from eme_connector.usecases.cerebrate_links import find_link, need_keeper
from eme_connector.usecases.system import System

MOST = 500
_FIRST: Mapping[State, int] = {"differs": 0, "only-there": 1, "only-here": 2, "same": 3}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show: rows in this state, of this kind, with this in their name (or this uuid)."""

    state: str = ""
    kind: str = ""
    text: str = ""

    def takes(self, row: Row) -> bool:
        """Say whether *row* is to be shown; what is empty takes all."""
        return (
            self.state in ("", row.state)
            and self.kind in ("", row.kind)
            and (self.text.casefold() in row.name.casefold() or self.text.lower() == row.uuid)
        )


@dataclass(frozen=True, slots=True)
class View:
    """What is there beside what is here, filtered; `counts` are of everything, by state."""

    rows: tuple[Row, ...]
    counts: Mapping[State, int]
    found: int


def browse(
    name: str,
    wanted: Wanted,
    *,
    caller: Caller,
    system: System,
    most: int = MOST,
) -> View:
    """Return what the Cerebrate called *name* has, beside what is where its records go.

    It is read now; nothing is kept.

    Raises:
        NotAllowed, NotFound, DeliveryError
    """
    need_keeper(caller, system)
    link = find_link(name, caller=caller, system=system)
    there = find(name, system).fetch()
    here = target(link.into, system)
    rows = compare(there, here)
    shown = sorted((one for one in rows if wanted.takes(one)), key=lambda one: _FIRST[one.state])
    return View(tuple(shown[:most]), Counter(one.state for one in rows), len(shown))


def target(into: str, system: System) -> Snapshot:
    """Return what is where a link's records go.

    Raises:
        DeliveryError, StoreUnavailable
    """
    if into == "directory":
        return system.store.directory()
    return find(None, system).fetch()
