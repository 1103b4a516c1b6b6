"""Write down each call of a run before it is made and after, with an audit record per change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.directory import Snapshot
from eme_connector.domain.relay import Run, Write, WriteState
from eme_connector.ports import Clock, Store, Transaction
from eme_connector.sync.steps import Call, Difference
from eme_connector.sync.values import value_at
from eme_connector.usecases.system import micros

LEASE = 300_000_000
"""µs for which a run holds its target after its last sign of life: longer than any call."""


@dataclass
class StoreJournal:
    """`sync.relay.Journal` in the store, for one run."""

    run: Run
    store: Store
    clock: Clock
    organisation: str
    _next: int = 1
    _sent: list[Write] = field(default_factory=list)

    def begin(self, number: int, call: Call) -> None:
        """Note the call's changes as being sent; the run lives on."""
        self._sent = list(_writes(call.steps, number, self._next))
        self._next += len(self._sent)
        at = micros(self.clock())
        self.run = replace(self.run, lease_until=at + LEASE)

        def work(tx: Transaction) -> None:
            tx.save_run(self.run)
            tx.save_writes(self.run.id, self._sent)

        self.store.transact(work)

    def end(self, number: int, call: Call, reason: str) -> None:
        """Note how the call ended: what, before, after, and who asked for it."""
        at = micros(self.clock())
        state: WriteState = "failed" if reason else "done"
        ended = [replace(one, state=state, reason=reason) for one in self._sent]

        def work(tx: Transaction) -> None:
            tx.save_writes(self.run.id, ended)
            for one in ended:
                tx.record(audit(one, self.run, self.organisation, at))
            if call.action == "announce" and not reason:
                tx.announced(self.run.target, call.uuid)

        self.store.transact(work)


def settle(run: Run, writes: Iterable[Write], present: Snapshot) -> list[Write]:
    """Return the writes that a dead process left open, settled by what the target has now."""
    found = []
    for one in writes:
        if one.state == "sending":
            arrived = value_at(present, one) == one.after
            state: WriteState = "done" if arrived else "failed"
            found.append(replace(one, state=state, reason="" if arrived else "interrupted"))
    return found


def audit(write: Write, run: Run, organisation: str, at: int) -> AuditRecord:
    """Return the audit record of one change at one target."""
    detail = {
        "target": run.target,
        "run": run.id,
        "word": write.word,
        "subject": write.subject,
        "before": write.before,
        "after": write.after,
    }
    if write.member:
        detail["member"] = write.member
    if write.reason:
        detail["reason"] = write.reason
    event = "relay-failed" if write.reason else "relayed"
    return AuditRecord(event, at, run.by, organisation, detail=detail)


def _writes(steps: Iterable[Difference], call: int, first: int) -> Iterator[Write]:
    for number, one in enumerate(steps, start=first):
        yield Write(number, call, one.word, one.subject, one.member, one.before, one.after)
