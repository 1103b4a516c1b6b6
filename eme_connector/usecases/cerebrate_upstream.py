"""Take over from an upstream Cerebrate into our own, over REST (C7).

Cerebrate's own download of a sharing group fails at its first member, and nothing there is
automatic; so organisations, groups, members and meta fields are read from the one and written
to the other. What both agreed on is remembered, so that a change on either side can be told from
what was always different.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from eme_connector.config import Upstream
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.directory import Snapshot
from eme_connector.domain.relay import Memory, Tombstone
from eme_connector.errors import DeliveryError
from eme_connector.ports import Cerebrate, Transaction
from eme_connector.sync.agree import agree
from eme_connector.sync.engine import plan
from eme_connector.sync.relay import Outcome, apply
from eme_connector.sync.steps import Call, Plan
from eme_connector.sync.terms import Terms
from eme_connector.usecases.cerebrate_directory import report, terms_of
from eme_connector.usecases.system import System, micros

MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Sides:
    """An upstream's Cerebrate, ours, and what both hold now."""

    source: Cerebrate
    target: Cerebrate
    there: Snapshot
    here: Snapshot
    memory: Memory
    terms: Terms

    def plan(self, confirmed: Collection[str], at: int) -> Plan:
        """Return what is to be written.

        Raises:
            RemoteEmptied
        """
        return plan(self.there, self.here, self.memory, self.terms, at=at, confirmed=confirmed)


def open_sides(section: Upstream, system: System) -> Sides:
    """Read both sides.

    Raises:
        DeliveryError: one of them, or `not-allowed`: our own key cannot write.
    """
    own = system.config.cerebrate
    assert own is not None
    source, target = system.cerebrates()[section.name], system.cerebrates()[own.name]
    access = target.access()
    if not access.may_write:
        detail = f"role {access.role} of {own.name} needs perm_community_admin"
        raise DeliveryError("not-allowed", detail, permanent=True)
    terms = terms_of(section, f"{own.name}<{section.name}")
    memory = system.store.memory(terms.target)
    return Sides(source, target, source.fetch(), target.fetch(), memory, terms)


def take_over(section: Upstream, confirmed: Collection[str], system: System) -> Mapping[str, Any]:
    """Write to our Cerebrate what *section*'s says; return what people are told about it.

    Raises:
        DeliveryError, RemoteEmptied, StoreUnavailable
    """
    sides = open_sides(section, system)
    found = sides.plan(confirmed, micros(system.clock()))
    outcome = apply(found, sides.target, _Journal(section.name, system))
    after = sides.target.fetch() if found.calls and not outcome.stopped else sides.here
    _remember(sides, found, outcome, after, system)
    unset = _carry_fields(sides, after) if not outcome.stopped else []
    return {
        "organisations": len(sides.there.organisations),
        "groups": len(sides.there.groups),
        "changed": bool(outcome.done),
        "done": len(outcome.done),
        "requests": outcome.requests,
        "failed": _failed(outcome),
        "unset_fields": unset[:MOST_SHOWN],
        **report(found),
    }


def _remember(sides: Sides, found: Plan, outcome: Outcome, after: Snapshot, system: System) -> None:
    target = sides.terms.target
    organisations, groups = agree(sides.there, after, sides.memory, sides.terms, found)
    at = micros(system.clock())
    times = {(one.group, one.organisation): one.came_back for one in sides.memory.tombstones}
    members = [one for one in outcome.done if one.member]
    gone = [
        Tombstone(
            one.uuid,
            one.member,
            at,
            times.get((one.uuid, one.member), 0) + (one.word == "member-resurrected"),
        )
        for one in members
        if one.after is None
    ]
    back = [(one.uuid, one.member) for one in members if one.after is not None]

    def work(tx: Transaction) -> None:
        tx.remember(target, organisations, groups)
        tx.bury(target, gone)
        tx.exhume(target, back)
        tx.save_doubts(target, found.doubts)

    system.store.transact(work)


def _carry_fields(sides: Sides, after: Snapshot) -> list[str]:
    """Set the meta fields that the upstream has and ours has otherwise; return what could not be.

    Fields of which the upstream says nothing are ours and stay.
    """
    left: list[str] = []
    for uuid, one in sorted(sides.there.organisations.items()):
        here = after.organisations.get(uuid)
        if here is None or (sides.terms.only_new and uuid in sides.here.organisations):
            continue
        wanted = {path: v for path, v in one.fields.items() if here.fields.get(path) != v}
        if not wanted:
            continue
        try:
            unset = sides.target.put_fields(uuid, wanted)
        except DeliveryError as exc:
            return [*left, f"meta fields: {exc.reason}"]
        left += [f"{one.name}: {path}" for path in unset]
    return left


def _failed(outcome: Outcome) -> list[dict[str, str]]:
    return [
        {"word": one.word, "name": one.name, "member": one.member_name, "reason": reason}
        for one, reason in outcome.failed[:MOST_SHOWN]
    ]


@dataclass(frozen=True)
class _Journal:
    """Write each call to the audit log once it has ended."""

    source: str
    system: System

    def begin(self, number: int, call: Call) -> None:
        """Nothing is owed before: the next plan starts from what is really there."""

    def end(self, number: int, call: Call, reason: str) -> None:
        detail: dict[str, object] = {
            "source": self.source,
            "uuid": call.uuid,
            "action": call.action,
            "differences": [{"word": one.word, "member": one.member} for one in call.steps],
            "reason": reason,
        }
        at, own = micros(self.system.clock()), self.system.organisation.uuid
        record = AuditRecord(
            "cerebrate-written", at, f"cerebrate:{self.source}", own, detail=detail
        )
        self.system.store.transact(lambda tx: tx.record(record))
