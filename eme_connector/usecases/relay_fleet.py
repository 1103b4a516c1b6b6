"""The relay over many targets at once: differences, plans, applies (`eme sg`, `sync.every_s`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from eme_connector.config import Config, Sync, SyncTarget
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.directory import Snapshot
from eme_connector.errors import ConfigError, Conflict, DeliveryError, NotFound
from eme_connector.ports import Cerebrate, Clock, Directory, Store
from eme_connector.sync.reasons import explain
from eme_connector.sync.relay import Progress
from eme_connector.sync.terms import Terms
from eme_connector.usecases.relay_cycle import Office, Report, Target, look, run_cycle
from eme_connector.usecases.relay_files import carried_source
from eme_connector.usecases.relay_seen import keep
from eme_connector.usecases.relay_undo import Undone, undo_last
from eme_connector.usecases.schedule import Job

log = structlog.get_logger("eme.relay")
LEAST_SPACING_S = 30.0
BY = "relay"
"""Who acts when nobody asked."""


@dataclass(frozen=True)
class Fleet:
    """The source of truth, and every place that is to hold the same."""

    source: Callable[[], Snapshot]
    targets: tuple[Target, ...]
    width: int = 4

    def named(self, names: Collection[str]) -> tuple[Target, ...]:
        """Return the targets with these names; all of them for none.

        Raises:
            NotFound
        """
        if unknown := set(names) - {one.name for one in self.targets}:
            known = ", ".join(one.name for one in self.targets)
            raise NotFound(f"no target is called {', '.join(sorted(unknown))}; there are: {known}")
        return tuple(one for one in self.targets if not names or one.name in names)


Told = Callable[[str, int, int, str], None]
"""Hears (target, calls made, all calls, what is done now)."""


class Relaying(Protocol):
    """What the relay needs of the running system; `bootstrap.Eme` is one."""

    @property
    def config(self) -> Config: ...
    @property
    def store(self) -> Store: ...
    @property
    def clock(self) -> Clock: ...
    def cerebrates(self) -> Mapping[str, Cerebrate]: ...
    def fleet(self) -> Fleet: ...
    def hold_target(self, target: str) -> AbstractContextManager[bool]: ...


def build_fleet(system: Relaying, directories: Mapping[str, Directory]) -> Fleet:
    """Return the source and the targets; *directories* are the targets' by name.

    Raises:
        ConfigError: there is no section `sync`.
    """
    sync, cerebrate = system.config.sync, system.config.cerebrate
    if sync is None:
        raise ConfigError(["sync: is missing; it names the MISPs to keep true"])
    targets = tuple(Target(directories[one.name], terms_of(one, sync)) for one in sync.targets)
    if sync.source == "cerebrate" and cerebrate is not None:
        return Fleet(system.cerebrates()[cerebrate.name].fetch, targets, sync.width)
    return Fleet(lambda: carried_source(system.store, sync.certificate), targets, sync.width)


def office(system: Relaying, by: str) -> Office:
    """Return who runs the relay here, on behalf of *by*."""
    own = system.config.instance.organisation
    return Office(system.store, system.clock, own, by, hold=system.hold_target)


def jobs(system: Relaying) -> tuple[Job, ...]:
    """Return the work that repeats where `sync.every_s` is set."""
    sync = system.config.sync
    if sync is None or sync.every_s is None:
        return ()
    return (Job("relay-groups", sync.every_s, lambda: cycle(system, BY)),)


def cycle(system: Relaying, by: str) -> dict[str, Any]:
    """Apply at every target once; return how each stands.

    Raises:
        DeliveryError: the source does not answer.
        StoreUnavailable
    """
    reports = apply(system.fleet(), office(system, by))
    for one in reports:
        log.info("relayed", target=one.target, state=one.state, reason=one.reason)
    return {"targets": {one.target: summary(one) for one in reports}}


def terms_of(target: SyncTarget, sync: Sync) -> Terms:
    """Return how the configuration says that *target* is to be treated."""
    return Terms(
        target.name,
        target.kind,
        roaming=target.roaming,
        servers=frozenset(target.servers),
        groups=target.groups,
        organisations=target.organisations,
        share=sync.shrink_share,
        cycles=sync.patience,
        spacing=round(max(LEAST_SPACING_S, (sync.every_s or 0.0) / 2) * 1_000_000),
    )


def diff(
    fleet: Fleet, office: Office, names: Collection[str] = (), confirmed: Collection[str] = ()
) -> list[Report]:
    """Return what differs at each target; nothing is written.

    Raises:
        DeliveryError: the source does not answer.
        NotFound, StoreUnavailable
    """
    targets = fleet.named(names)
    source = _source(fleet)
    return _each(fleet, targets, lambda one: look(one, source, office, confirmed))


def apply(
    fleet: Fleet,
    office: Office,
    names: Collection[str] = (),
    *,
    confirmed: Collection[str] = (),
    digests: Mapping[str, str] | None = None,
    told: Told | None = None,
) -> list[Report]:
    """Make each target hold what the source holds; *digests* are those of a reviewed plan.

    A target that is down, or at which another run is, does not keep the others from it.

    Raises:
        DeliveryError: the source does not answer.
        Conflict: a plan was given, and it would be another one at some target now.
        NotFound, StoreUnavailable
    """
    targets = fleet.named(names if digests is None else digests.keys())
    source = _source(fleet)
    if digests is not None:
        _refuse_moved(_each(fleet, targets, lambda o: look(o, source, office, confirmed)), digests)

    if confirmed:
        _record_confirmed(targets, confirmed, office)

    def one(target: Target) -> Report:
        report = run_cycle(
            target,
            source,
            office,
            confirmed=confirmed,
            digest=None if digests is None else digests[target.name],
            progress=_progress(target.name, told),
        )
        keep(report, office)
        return report

    return _each(fleet, targets, lambda target: _named_conflict(target, one, digests is None))


def undo(
    fleet: Fleet,
    office: Office,
    names: Collection[str] = (),
    *,
    run: str = "",
    told: Told | None = None,
) -> list[Undone]:
    """Take back the last apply at each target, one after the other; *run* is the one expected.

    Raises:
        NotFound: there is nothing to undo at some target.
        Conflict: another run is at it, or the last apply is not *run*.
        DeliveryError, StoreUnavailable
    """
    targets = fleet.named(names)
    source = _source(fleet)
    undone = []
    for target in targets:
        progress = _progress(target.name, told)
        undone.append(undo_last(target, source, office, run=run, progress=progress))
        keep(look(target, source, office), office)
    return undone


def summary(report: Report) -> dict[str, Any]:
    """Return how a target stands, in a few numbers."""
    return {
        "state": report.state,
        "reason": report.reason,
        "done": len(report.outcome.done),
        "failed": len(report.outcome.failed),
        "differences": len(report.plan.differences),
        "held": report.plan.count("held"),
        "stuck": report.plan.count("stuck"),
        "requests": report.requests,
        "seconds": round(report.seconds, 3),
    }


def _source(fleet: Fleet) -> Snapshot:
    try:
        return fleet.source()
    except DeliveryError as exc:
        said, fix = explain(exc.reason)
        detail = f"the source: {said or exc.detail}"
        raise DeliveryError(exc.reason, detail, permanent=exc.permanent, remedy=fix) from exc


def _each(
    fleet: Fleet, targets: tuple[Target, ...], work: Callable[[Target], Report]
) -> list[Report]:
    if not targets:
        return []
    with ThreadPoolExecutor(max_workers=min(fleet.width, len(targets))) as pool:
        return list(pool.map(work, targets))


def _refuse_moved(reports: Iterable[Report], digests: Mapping[str, str]) -> None:
    failed = [one for one in reports if one.state == "failed"]
    if failed:
        raise Conflict(f"{failed[0].target} cannot be compared with the plan: {failed[0].reason}")
    moved = [one.target for one in reports if one.plan.digest != digests[one.target]]
    if moved:
        raise Conflict(
            f"the world has moved since the plan was made ({', '.join(moved)});"
            " nothing was written, plan again"
        )


def _named_conflict(target: Target, work: Callable[[Target], Report], forgiving: bool) -> Report:
    try:
        return work(target)
    except Conflict as exc:
        if not forgiving:
            raise
        return Report(target.name, "failed", reason="busy", detail=str(exc))


def _record_confirmed(
    targets: Iterable[Target], confirmed: Collection[str], office: Office
) -> None:
    detail: dict[str, object] = {
        "targets": [one.name for one in targets],
        "groups": sorted(confirmed),
    }
    record = AuditRecord("loss-confirmed", office.at, office.by, office.organisation, detail=detail)
    office.store.transact(lambda tx: tx.record(record))


def _progress(target: str, told: Told | None) -> Progress | None:
    if told is None:
        return None
    return lambda made, total, call: told(target, made, total, f"{call.action} {call.uuid}")
