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


@dataclass(frozen=True, slots=True)
class View:
    """What is there beside what is here, filtered; `counts` are of everything, by state."""

    rows: tuple[Row, ...]
    counts: Mapping[State, int]
    found: int


def browse(
    name: str,
    *,
    state: str = "",
    kind: str = "",
    text: str = "",
    caller: Caller,
    system: System,
    most: int = MOST,
) -> View:
    """Return what the Cerebrate called *name* has, beside what is where its records go.

    It is read now. *state*, *kind* and *text* (a part of a name, or a uuid) filter.

    Raises:
        NotAllowed, NotFound, DeliveryError
    """
    need_keeper(caller, system)
    link = find_link(name, caller=caller, system=system)
    there = find(name, system).fetch()
    here = target(link.into, system)
    rows = compare(there, here)
    wanted = [
        one
        for one in rows
        if state in ("", one.state)
        and kind in ("", one.kind)
        and (text.casefold() in one.name.casefold() or text.lower() == one.uuid)
    ]
    return View(tuple(wanted[:most]), Counter(one.state for one in rows), len(wanted))


def target(into: str, system: System) -> Snapshot:
    """Return what is where a link's records go.

    Raises:
        DeliveryError, StoreUnavailable
    """
    if into == "directory":
        return system.store.directory()
    return find(None, system).fetch()
