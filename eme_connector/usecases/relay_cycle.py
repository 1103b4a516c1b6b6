"""One cycle of the relay at one target: fetch, plan, write, look again, remember (C4).

A run holds its target, so that two never write at once; what a dead process left open is settled
by what the target has now. The network is never touched inside a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import uuid4

from eme_connector.domain.directory import Snapshot
from eme_connector.domain.relay import Doubt, Memory, Run, Tombstone, Write
from eme_connector.errors import Conflict, DeliveryError, EmeError, RemoteEmptied
from eme_connector.ports import Clock, Directory, Store, Transaction
from eme_connector.sync import relay
from eme_connector.sync.after import after
from eme_connector.sync.agree import agree
from eme_connector.sync.engine import plan
from eme_connector.sync.relay import Outcome, Progress
from eme_connector.sync.steps import Plan
from eme_connector.sync.terms import Terms
from eme_connector.usecases.relay_journal import LEASE, StoreJournal, audit, settle
from eme_connector.usecases.system import micros

State = Literal["converged", "differs", "failed"]


@dataclass(frozen=True)
class Target:
    """A place to keep true, and how."""

    directory: Directory
    terms: Terms

    @property
    def name(self) -> str:
        """Its short name."""
        return self.terms.target


def hold_nothing(target: str) -> AbstractContextManager[bool]:
    """Leave it to the leases of runs alone, that nobody else writes to *target* now."""
    return nullcontext(False)


@dataclass(frozen=True)
class Office:
    """Who runs the relay: the store that remembers, the time, us, and on whose behalf.

    `hold` keeps everybody else from a target for a while, and says whether that is certain: then
    whoever is written down as being at it has died. It raises Conflict where somebody has it.
    """

    store: Store
    clock: Clock
    organisation: str
    by: str
    sleep: Callable[[float], None] = time.sleep
    hold: Callable[[str], AbstractContextManager[bool]] = hold_nothing

    @property
    def at(self) -> int:
        """Now, in µs."""
        return micros(self.clock())


@dataclass(frozen=True)
class Report:
    """How one target stands: `plan` is what still differs, `outcome` what was just done.

    `requests` and `seconds` are those of the whole cycle; `reason` says why it failed.
    """

    target: str
    state: State
    plan: Plan = field(default_factory=lambda: Plan(""))
    outcome: Outcome = field(default_factory=Outcome)
    run: str = ""
    requests: int = 0
    seconds: float = 0.0
    reason: str = ""
    detail: str = ""


def look(
    target: Target, source: Snapshot, office: Office, confirmed: Collection[str] = ()
) -> Report:
    """Return what differs at *target*; nothing is written, there or here."""
    began, before = time.monotonic(), target.directory.calls
    try:
        present = target.directory.fetch()
        memory = office.store.memory(target.name)
        found = plan(source, present, memory, target.terms, at=office.at, confirmed=confirmed)
    except (DeliveryError, RemoteEmptied) as exc:
        return _failed(target, exc, began, before)
    state: State = "converged" if found.is_converged else "differs"
    return _report(target, state, found, began, before)


def run_cycle(
    target: Target,
    source: Snapshot,
    office: Office,
    *,
    confirmed: Collection[str] = (),
    digest: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Make *target* hold what *source* holds; *digest* is that of the plan that was reviewed.

    Raises:
        Conflict: another run is at this target, or the plan would be another one now.
        StoreUnavailable: nothing more is written until it can be written down.
    """
    with opened(target, office) as run:
        return _cycle(run, target, source, office, confirmed, digest, progress)


def _cycle(
    run: Run,
    target: Target,
    source: Snapshot,
    office: Office,
    confirmed: Collection[str],
    digest: str | None,
    progress: Progress | None,
) -> Report:
    began, before = time.monotonic(), target.directory.calls
    try:
        present = target.directory.fetch()
        _settle_broken(target, present, office)
        memory = office.store.memory(target.name)
        found = plan(source, present, memory, target.terms, at=office.at, confirmed=confirmed)
        if digest is not None and found.digest != digest:
            raise Conflict("the world has moved since this was planned; plan again and review it")
        outcome = _carry_out(found, target, run, office, progress)
        is_sure = not outcome.failed and not outcome.stopped
        seen = after(present, found.calls) if is_sure else target.directory.fetch()
        kept = _remember(found, source, seen, memory, target, run, outcome, office)
        rest = plan(source, seen, kept, target.terms, at=office.at, confirmed=confirmed)
    except (DeliveryError, RemoteEmptied) as exc:
        worked = bool(office.store.writes(run.id))
        close_run(run, office, target.directory.calls - before, worked, _reason(exc))
        return replace(_failed(target, exc, began, before), run=run.id)
    except Conflict:
        close_run(run, office, 0, worked=False)
        raise
    except BaseException:
        abandon_run(run, office)
        raise
    failed = bool(outcome.stopped)
    state: State = "failed" if failed else "converged" if rest.is_converged else "differs"
    close_run(run, office, target.directory.calls - before, found.calls != (), outcome.stopped)
    report = _report(target, state, rest, began, before)
    return replace(report, outcome=outcome, run=run.id, reason=outcome.stopped)


@contextmanager
def opened(target: Target, office: Office, **more: str) -> Iterator[Run]:
    """Take the target for a run of our own; whoever closes or abandons the run lets it go.

    Raises:
        Conflict: another run has it.
    """
    with office.hold(target.name) as is_alone:
        yield _open(target, office, is_alone, more)


def _open(target: Target, office: Office, is_alone: bool, more: Mapping[str, str]) -> Run:
    at = office.at
    fresh = Run(str(uuid4()), target.name, "apply", office.by, at, at + LEASE)
    run = replace(fresh, **more)  # type: ignore[arg-type]

    def work(tx: Transaction) -> None:
        held = tx.find_open_run(target.name, at)
        if held and not is_alone:
            raise Conflict(f"{held.by} is writing to {target.name} now; look again in a moment")
        if held:
            tx.save_run(replace(held, lease_until=0))
        tx.save_run(run)

    office.store.transact(work)
    return run


def close_run(run: Run, office: Office, calls: int, worked: bool = True, reason: str = "") -> None:
    """Let the target go; a run that found nothing to do leaves no trace."""
    ended = replace(
        run,
        state="failed" if reason else "done",
        ended_at=office.at,
        lease_until=0,
        calls=calls,
        reason=reason,
    )

    def work(tx: Transaction) -> None:
        if worked:
            tx.save_run(ended)
        else:
            tx.drop_run(run.id)

    office.store.transact(work)


def abandon_run(run: Run, office: Office) -> None:
    """Let the target go as a dead process would: the next run settles what was left open."""
    try:
        known = office.store.transact(lambda tx: tx.find_run(run.id))
        if known is not None:
            office.store.transact(lambda tx: tx.save_run(replace(known, lease_until=0)))
    except EmeError:
        return


def remember(
    tx: Transaction, target: Target, memory: Memory, gone: Collection[tuple[str, str]]
) -> None:
    """Keep *memory* as what is known of *target*; *gone* are tombstones to forget."""
    tx.remember(target.name, memory.organisations, memory.groups)
    tx.save_doubts(target.name, list(memory.doubts.values()))
    tx.exhume(target.name, gone)


def _carry_out(
    found: Plan, target: Target, run: Run, office: Office, progress: Progress | None
) -> Outcome:
    if not found.calls:
        return Outcome()
    memory = office.store.memory(target.name)
    buried = _tombstones(found, memory, office.at)
    changing = {one.uuid for one in found.calls if one.action == "announce"}

    def work(tx: Transaction) -> None:
        tx.bury(target.name, buried)
        tx.owe_announcements(target.name, changing)

    office.store.transact(work)
    journal = StoreJournal(run, office.store, office.clock, office.organisation)
    return relay.apply(found, target.directory, journal, progress=progress, sleep=office.sleep)


def _tombstones(found: Plan, memory: Memory, at: int) -> list[Tombstone]:
    known = {(one.group, one.organisation): one for one in memory.tombstones}
    buried = []
    for one in found.steps:
        if one.kind == "remove" and one.member:
            old = known.get((one.uuid, one.member))
            came_back = old.came_back if old else 0
            if one.word == "member-resurrected":
                came_back += 1
            buried.append(Tombstone(one.uuid, one.member, at, came_back))
    return buried


def _remember(
    found: Plan,
    source: Snapshot,
    seen: Snapshot,
    memory: Memory,
    target: Target,
    run: Run,
    outcome: Outcome,
    office: Office,
) -> Memory:
    organisations, groups = agree(source, seen, memory, target.terms, found)
    doubts: dict[str, Doubt] = {one.subject: one for one in found.doubts}
    kept = replace(memory, organisations=organisations, groups=groups, doubts=doubts)
    gone = [
        (one.group, one.organisation)
        for one in memory.tombstones
        if one.group in source.groups and one.organisation in source.groups[one.group].members
    ]
    office.store.transact(lambda tx: remember(tx, target, kept, gone))
    return office.store.memory(target.name)


def _settle_broken(target: Target, present: Snapshot, office: Office) -> None:
    at = office.at
    for run in office.store.transact(lambda tx: tx.broken_runs(target.name, at)):
        settled = settle(run, office.store.writes(run.id), present)
        ended = replace(run, state="failed", reason="interrupted", ended_at=at, lease_until=0)

        def work(tx: Transaction, run: Run = ended, settled: list[Write] = settled) -> None:
            tx.save_writes(run.id, settled)
            for one in settled:
                tx.record(audit(one, run, office.organisation, at))
            tx.save_run(run)

        office.store.transact(work)


def _report(target: Target, state: State, found: Plan, began: float, before: int) -> Report:
    return Report(
        target.name,
        state,
        found,
        requests=target.directory.calls - before,
        seconds=time.monotonic() - began,
    )


def _failed(target: Target, exc: EmeError, began: float, before: int) -> Report:
    report = _report(target, "failed", Plan(target.name), began, before)
    detail = exc.detail if isinstance(exc, DeliveryError) else str(exc)
    return replace(report, reason=_reason(exc), detail=detail)


def _reason(exc: EmeError) -> str:
    return exc.reason if isinstance(exc, DeliveryError) else "source-emptied"
