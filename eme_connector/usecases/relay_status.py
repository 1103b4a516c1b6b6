"""How the relay stands at each target, and what people do about it there (C4).

Who is in which group is for administrators of the organisation that runs this sidecar. A person
confirms exactly what they have read, and takes back exactly the run that they have read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from eme_connector.config import SyncTarget
from eme_connector.domain.relay import Run, Tombstone, Write
from eme_connector.domain.rights import Caller
from eme_connector.domain.schedule import Turn
from eme_connector.errors import NotFound
from eme_connector.usecases import relay_fleet
from eme_connector.usecases.cerebrate_links import LATE, need_keeper
from eme_connector.usecases.relay_cycle import Report
from eme_connector.usecases.relay_fleet import Relaying
from eme_connector.usecases.relay_seen import job_name, keep
from eme_connector.usecases.relay_undo import Undone, preview_undo
from eme_connector.usecases.system import System, micros

State = Literal["never", "writing", "converged", "differs", "failed", "late"]
LAST_RUNS = 50


class RelaySystem(System, Relaying, Protocol):
    """The running system; `bootstrap.Eme` is one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one target stands; the detail of `turn` is what its last cycle found (relay_seen).

    `applied` is the last run that wrote there, `undone` the last that took one back; `came_back`
    are members that some MISP's sync has brought back, `names` what groups and organisations are
    called there, by uuid.
    """

    name: str
    kind: Literal["misp", "cerebrate"]
    url: str
    state: State
    turn: Turn
    every_s: float | None
    applied: Run | None
    undone: Run | None
    came_back: tuple[Tombstone, ...]
    names: Mapping[str, str]


def standings(*, caller: Caller, system: System) -> tuple[Standing, ...]:
    """Return how each target stands, as far as it is known here: no target is asked.

    Raises:
        NotAllowed, StoreUnavailable
    """
    need_keeper(caller, system)
    sync = system.config.sync
    if sync is None:
        return ()
    turns = {one.job: one for one in system.store.turns()}
    return tuple(_standing(one, sync.every_s, turns, system) for one in sync.targets)


def find_standing(target: str, *, caller: Caller, system: System) -> Standing:
    """Return how *target* stands.

    Raises:
        NotAllowed, NotFound, StoreUnavailable
    """
    for one in standings(caller=caller, system=system):
        if one.name == target:
            return one
    raise NotFound(f"no target in the configuration is called {target}")


def document(one: Standing) -> dict[str, Any]:
    """Return how a target stands as JSON shows it."""
    return {
        "target": one.name,
        "kind": one.kind,
        "url": one.url,
        "state": one.state,
        "reason": one.turn.reason,
        "ended_at": one.turn.ended_at,
        "succeeded_at": one.turn.succeeded_at,
        "found": dict(one.turn.detail),
        "last_apply": asdict(one.applied) if one.applied else None,
        "last_undo": asdict(one.undone) if one.undone else None,
        "came_back": [asdict(dead) for dead in one.came_back],
    }


def read_run(run: str, *, caller: Caller, system: System) -> tuple[Run, tuple[Write, ...]]:
    """Return one of the last runs, and what it wrote.

    Raises:
        NotAllowed, NotFound, StoreUnavailable
    """
    need_keeper(caller, system)
    sync = system.config.sync
    targets = {one.name for one in sync.targets} if sync else set()
    found = system.store.transact(lambda tx: tx.find_run(run))
    if found is None or found.target not in targets:
        raise NotFound("there is no such run of the relay here")
    return found, system.store.writes(run)


def compare(target: str, *, caller: Caller, system: RelaySystem) -> Report:
    """Ask *target* and the source now; nothing is written there, what differs is kept here.

    Raises:
        NotAllowed, NotFound, DeliveryError, StoreUnavailable
    """
    need_keeper(caller, system)
    office = relay_fleet.office(system, caller.name)
    (report,) = relay_fleet.diff(system.fleet(), office, [target])
    keep(report, office)
    return report


def apply(
    target: str, confirmed: Collection[str], *, caller: Caller, system: RelaySystem
) -> Report:
    """Apply at *target* now; *confirmed* are confirmations of exactly what was read (`UUID@CODE`).

    Raises:
        NotAllowed, NotFound, DeliveryError, StoreUnavailable
    """
    need_keeper(caller, system)
    office = relay_fleet.office(system, caller.name)
    exact = [one for one in confirmed if "@" in one]
    (report,) = relay_fleet.apply(system.fleet(), office, [target], confirmed=exact)
    return report


def preview(target: str, *, caller: Caller, system: RelaySystem) -> Undone:
    """Return what an undo of the last apply at *target* would take back; nothing is written.

    Raises:
        NotAllowed, NotFound, DeliveryError, StoreUnavailable
    """
    need_keeper(caller, system)
    (found,) = system.fleet().named([target])
    return preview_undo(found, relay_fleet.office(system, caller.name))


def undo(target: str, run: str, *, caller: Caller, system: RelaySystem) -> Undone:
    """Take back *run*, which has to be the last apply at *target*.

    Raises:
        NotAllowed, NotFound, DeliveryError, StoreUnavailable
        Conflict: another apply came after it, or somebody is writing there.
    """
    need_keeper(caller, system)
    office = relay_fleet.office(system, caller.name)
    (undone,) = relay_fleet.undo(system.fleet(), office, [target], run=run)
    return undone


def _standing(
    target: SyncTarget, every_s: float | None, turns: Mapping[str, Turn], system: System
) -> Standing:
    at = micros(system.clock())
    memory, runs = system.store.memory(target.name), system.store.runs(target.name, LAST_RUNS)
    turn = turns.get(job_name(target.name), Turn(job_name(target.name), state="done"))
    writing = any(one.state == "running" and one.lease_until > at for one in runs)
    names = {uuid: one.name for uuid, one in memory.organisations.items()}
    names |= {uuid: one.name for uuid, one in memory.groups.items()}
    came_back = [one for one in memory.tombstones if one.came_back]
    return Standing(
        target.name,
        target.kind,
        target.url,
        "writing" if writing else _state(turn, every_s, at),
        turn,
        every_s,
        next((one for one in runs if one.kind == "apply" and one.state != "running"), None),
        next((one for one in runs if one.kind == "undo"), None),
        tuple(sorted(came_back, key=lambda one: -one.at)),
        names,
    )


def _state(turn: Turn, every_s: float | None, at: int) -> State:
    if turn.state == "failed":
        return "failed"
    if not turn.ended_at:
        return "never"
    if every_s is not None and at - turn.ended_at > LATE * every_s * 1_000_000:
        return "late"
    return "differs" if any(turn.detail.get("counts", {}).values()) else "converged"
