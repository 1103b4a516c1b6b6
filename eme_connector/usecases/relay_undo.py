"""Take back what the last apply wrote at a target, and keep it from being written again.

What was undone waits at the next cycles until the source says something else about it, or a
person confirms it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from eme_connector.domain.directory import Snapshot
from eme_connector.domain.relay import Doubt, Memory, Run, Write
from eme_connector.errors import Conflict, DeliveryError, NotFound
from eme_connector.ports import Store, Transaction
from eme_connector.sync import relay
from eme_connector.sync.agree import agree
from eme_connector.sync.organisations import fingerprint
from eme_connector.sync.relay import Outcome, Progress
from eme_connector.sync.steps import Plan
from eme_connector.sync.terms import Terms
from eme_connector.sync.undo import undo
from eme_connector.usecases.relay_cycle import (
    Office,
    Target,
    abandon_run,
    close_run,
    opened,
    remember,
)
from eme_connector.usecases.relay_journal import StoreJournal

LOOK_BACK = 200


@dataclass(frozen=True)
class Undone:
    """What was taken back at one target, and what was left with the reason."""

    target: str
    undoes: str
    plan: Plan
    left: list[tuple[Write, str]]
    outcome: Outcome
    requests: int = 0
    seconds: float = 0.0


def last_apply(store: Store, target: str) -> Run:
    """Return the last apply at *target* that wrote something and was not undone.

    Raises:
        NotFound
    """
    runs = store.runs(target, LOOK_BACK)
    undone = {one.undoes for one in runs if one.kind == "undo"}
    for one in runs:
        if one.kind == "apply" and one.id not in undone and store.writes(one.id):
            return one
    raise NotFound(f"nothing was applied at {target} that could be undone")


def preview_undo(target: Target, office: Office) -> Undone:
    """Return what an undo would take back; nothing is written.

    Raises:
        NotFound, DeliveryError, StoreUnavailable
    """
    run = last_apply(office.store, target.name)
    present = target.directory.fetch()
    found, left = undo(office.store.writes(run.id), present, target.terms)
    return Undone(target.name, run.id, found, left, Outcome())


def undo_last(
    target: Target,
    source: Snapshot,
    office: Office,
    *,
    run: str = "",
    progress: Progress | None = None,
) -> Undone:
    """Take back the last apply at *target*; *run* is the one that was reviewed.

    Raises:
        NotFound: there is nothing to undo.
        Conflict: another run is at this target, or has written since *run*.
        DeliveryError, StoreUnavailable
    """
    undone = last_apply(office.store, target.name)
    if run not in ("", undone.id):
        raise Conflict(f"something else was applied at {target.name} since you looked; look again")
    with opened(target, office, kind="undo", undoes=undone.id) as fresh:
        return _take_back(fresh, undone, target, source, office, progress)


def _take_back(
    run: Run,
    undone: Run,
    target: Target,
    source: Snapshot,
    office: Office,
    progress: Progress | None,
) -> Undone:
    began, before = time.monotonic(), target.directory.calls
    try:
        present = target.directory.fetch()
        memory = office.store.memory(target.name)
        found, left = undo(office.store.writes(undone.id), present, target.terms)
        _hold(found, source, memory, target, office)
        journal = StoreJournal(run, office.store, office.clock, office.organisation)
        outcome = relay.apply(
            found, target.directory, journal, progress=progress, sleep=office.sleep
        )
        seen = target.directory.fetch()
        _remember(found, source, seen, target, office)
    except DeliveryError as exc:
        close_run(run, office, target.directory.calls - before, reason=exc.reason)
        raise
    except BaseException:
        abandon_run(run, office)
        raise
    requests = target.directory.calls - before
    close_run(run, office, requests, reason=outcome.stopped)
    seconds = time.monotonic() - began
    return Undone(target.name, undone.id, found, left, outcome, requests, seconds)


def _hold(found: Plan, source: Snapshot, memory: Memory, target: Target, office: Office) -> None:
    """Keep the next cycle from doing it again, before anything is undone."""
    at = office.at
    doubts = dict(memory.doubts)
    for subject in {one.subject for one in found.differences}:
        content = _content(subject, source, target.terms)
        doubts[subject] = Doubt(subject, "undone", content, 0, at, at)
    groups = {one.uuid for one in found.calls if one.action == "announce"}

    def work(tx: Transaction) -> None:
        tx.save_doubts(target.name, list(doubts.values()))
        tx.owe_announcements(target.name, groups)

    office.store.transact(work)


def _content(subject: str, source: Snapshot, terms: Terms) -> str:
    kind, _, uuid = subject.partition("/")
    if kind == "organisation":
        one = source.organisations.get(uuid)
        return fingerprint(one, terms) if one else "gone"
    group = source.groups.get(uuid)
    return group.fingerprint if group else "gone"


def _remember(
    found: Plan, source: Snapshot, seen: Snapshot, target: Target, office: Office
) -> None:
    memory = office.store.memory(target.name)
    organisations, groups = agree(source, seen, memory, target.terms, found)
    kept = replace(memory, organisations=organisations, groups=groups)
    back = [(one.uuid, one.member) for one in found.steps if one.member and one.after is not None]
    office.store.transact(lambda tx: remember(tx, target, kept, back))
