"""What a Cerebrate says, taken into this sidecar's directory: weighed first, then kept.

The directory holds what each source told, under its name. What was told before is what both
agreed on, so only the doubts have to be remembered: they stand in the detail of the last turn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from eme_connector.config import Cerebrate as Section
from eme_connector.config import Upstream
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.directory import EncryptionKey, Entry, Snapshot, snapshot
from eme_connector.domain.relay import Doubt, Memory
from eme_connector.ports import Transaction
from eme_connector.sync.engine import is_retired, plan
from eme_connector.sync.relay import apply
from eme_connector.sync.steps import Call, Difference, Plan
from eme_connector.sync.terms import Terms
from eme_connector.usecases.cerebrate_links import job_name
from eme_connector.usecases.kept import Kept
from eme_connector.usecases.system import System, micros

MOST_NAMED = 1_000


@dataclass(frozen=True, slots=True)
class Weighed:
    """The plan for what a source says now, and what the directory holds once it is carried out."""

    plan: Plan
    accepted: Snapshot


def weigh(
    section: Section | Upstream, there: Snapshot, confirmed: Collection[str], system: System
) -> Weighed:
    """Say what of *there* is to be believed now, after what *section*'s Cerebrate told before.

    Raises:
        RemoteEmptied, StoreUnavailable
    """
    told = snapshot(_told(section.name, system))
    memory = Memory(told.organisations, told.groups, doubts=_doubts(section.name, system))
    terms = terms_of(section, f"directory<{section.name}")
    found = plan(there, told, memory, terms, at=micros(system.clock()), confirmed=confirmed)
    kept = Kept(section.name, told)
    apply(found, kept, _Silent())
    after = kept.fetch()
    # whole: with the meta fields, which no plan compares
    fresh = {u: one for u, one in there.organisations.items() if u in after.organisations}
    if terms.only_new:
        fresh = {uuid: one for uuid, one in fresh.items() if uuid not in told.organisations}
    groups = {u: one for u, one in after.groups.items() if u in there.groups or not is_retired(one)}
    return Weighed(found, Snapshot({**after.organisations, **fresh}, groups))


def keep(
    section: Section | Upstream,
    weighed: Weighed,
    keys: Iterable[EncryptionKey] | None,
    system: System,
) -> bool:
    """Keep what was weighed as all that *section*'s Cerebrate tells; say whether that is new.

    *keys*: None keeps those that it told before. A line of the audit log tells of every group
    that changed.

    Raises:
        StoreUnavailable
    """
    at = micros(system.clock())
    before = [one.what for one in _told(section.name, system)]
    own = [one for one in before if isinstance(one, EncryptionKey)] if keys is None else list(keys)
    records = list(_records(section.name, weighed.plan, at, system))

    def work(tx: Transaction) -> bool:
        changed = tx.replace_entries(section.name, weighed.accepted, own, at)
        for record in records:
            tx.record(record)
        return changed

    return system.store.transact(work)


def keep_keys(name: str, keys: Iterable[EncryptionKey], system: System) -> bool:
    """Keep *keys* as those that the Cerebrate called *name* tells; say whether that is new.

    Raises:
        StoreUnavailable
    """
    told, at = snapshot(_told(name, system)), micros(system.clock())
    all_of_them = list(keys)
    return system.store.transact(lambda tx: tx.replace_entries(name, told, all_of_them, at))


def terms_of(section: Section | Upstream, target: str) -> Terms:
    """Return how *section*'s Cerebrate is to be treated as a source."""
    upstream = section if isinstance(section, Upstream) else None
    return Terms(
        target,
        kind="cerebrate",
        groups=upstream.groups if upstream else frozenset(),
        organisations=upstream.organisations if upstream else "all",
        only_new=upstream is not None and upstream.strategy == "new-records",
        cycles=section.patience,
        # a reading by hand between two turns is no further evidence
        spacing=round(section.every_s * 500_000),
    )


def report(found: Plan) -> dict[str, Any]:
    """Return what people are told about a plan: what waits, and the doubts to remember."""
    return {
        "held": _held(found),
        "stuck": found.count("stuck"),
        "doubts": [asdict(one) for one in found.doubts],
    }


def _told(name: str, system: System) -> tuple[Entry, ...]:
    return system.store.told_by(name)


def _doubts(name: str, system: System) -> Mapping[str, Doubt]:
    turn = next((one for one in system.store.turns() if one.job == job_name(name)), None)
    known = [Doubt(**one) for one in turn.detail.get("doubts", ())] if turn else []
    return {one.subject: one for one in known}


def _held(found: Plan) -> list[dict[str, str]]:
    by_subject: dict[str, list[Difference]] = {}
    for one in found.differences:
        if one.verdict == "held":
            by_subject.setdefault(one.subject, []).append(one)
    return [
        {
            "uuid": several[0].uuid,
            "name": several[0].name,
            "hold": several[0].hold,
            "note": several[0].note,
            "confirm": several[0].confirm,
            "said": _said(several),
        }
        for several in by_subject.values()
    ]


def _said(several: list[Difference]) -> str:
    lost = sorted(one.member_name for one in several if one.member)
    if not lost:
        return "the group is gone"
    more = f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else ""
    return f"{len(lost)} members would go: {', '.join(lost[:MOST_NAMED])}{more}"


def _records(name: str, found: Plan, at: int, system: System) -> Iterable[AuditRecord]:
    changed: dict[str, list[dict[str, Any]]] = {}
    for one in found.steps:
        if one.subject.startswith("group/"):
            changed.setdefault(one.uuid, []).append({"word": one.word, "member": one.member})
    for uuid, differences in changed.items():
        detail: dict[str, object] = {"uuid": uuid, "source": name, "differences": differences}
        yield AuditRecord(
            "group-told", at, f"cerebrate:{name}", system.organisation.uuid, detail=detail
        )


class _Silent:
    """A journal for what happens in memory."""

    def begin(self, number: int, call: Call) -> None:
        """Nothing can be cut off here."""

    def end(self, number: int, call: Call, reason: str) -> None:
        """Nothing fails here."""
