"""Carry a plan out at one target, call by call.

Each call is written down before it is made and after: whatever stops this, the next plan starts
from what is really there. What one call could not do does not keep the others from being made,
unless the target is down. The announcement comes last, in a later second than the changes: MISP
keeps `modified` to the second, and a peer takes only what is strictly newer than its own copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from eme_connector.errors import DeliveryError
from eme_connector.ports import Directory
from eme_connector.sync.steps import Call, Difference, Plan, organisation_subject

ANNOUNCE_AFTER_S = 1.1
DOWN = frozenset(
    {
        "unreachable",
        "name-unresolved",
        "connect-timeout",
        "tls",
        "private-address",
        "plain-http",
        "redirect-refused",
        "key-refused",
        "misp-down",
        "not-misp",
    }
)
"""Reasons for which no other call to the same target can work now."""


class Journal(Protocol):
    """Where calls are written down."""

    def begin(self, number: int, call: Call) -> None:
        """Note that *call* is about to be made."""
        ...

    def end(self, number: int, call: Call, reason: str) -> None:
        """Note how it ended: an empty *reason* is success."""
        ...


@dataclass
class Outcome:
    """What became of a plan: how many requests it took, what was done, what was not and why."""

    requests: int = 0
    done: list[Difference] = field(default_factory=list)
    failed: list[tuple[Difference, str]] = field(default_factory=list)
    stopped: str = ""


Progress = Callable[[int, int, Call], None]


def apply(
    plan: Plan,
    directory: Directory,
    journal: Journal,
    *,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Make the plan's calls at *directory*; *progress* hears (made, all, call) before each.

    Raises:
        StoreUnavailable: the journal cannot be written; nothing further is done.
    """
    outcome, before = Outcome(), directory.calls
    missing: set[str] = set()
    changed_at = None
    for number, planned in enumerate(plan.calls, start=1):
        if progress is not None:
            progress(number - 1, len(plan.calls), planned)
        call = _possible(planned, missing, outcome)
        if call is None:
            continue
        if call.action == "announce" and changed_at is not None:
            sleep(max(0.0, changed_at + ANNOUNCE_AFTER_S - clock()))
        reason = _make(number, call, directory, journal)
        if call.action != "announce":
            changed_at = clock()
        if not reason:
            outcome.done += call.steps
            continue
        outcome.failed += [(one, reason) for one in call.steps]
        if _creates(call):
            missing.add(call.subject)
        if reason in DOWN:
            outcome.stopped = reason
            break
    outcome.requests = directory.calls - before
    return outcome


def _make(number: int, call: Call, directory: Directory, journal: Journal) -> str:
    journal.begin(number, call)
    try:
        _call(call, directory)
    except DeliveryError as exc:
        journal.end(number, call, exc.reason)
        return exc.reason
    journal.end(number, call, "")
    return ""


def _call(call: Call, directory: Directory) -> None:
    if call.organisation is not None:
        directory.put_organisation(call.organisation)
    elif call.group is not None:
        directory.put_group(call.group)
    elif call.action == "set-members":
        directory.set_members(call.uuid, call.members)
    elif call.action == "remove-members":
        directory.remove_members(call.uuid, list(call.members))
    else:
        directory.announce(call.uuid)


def _possible(call: Call, missing: set[str], outcome: Outcome) -> Call | None:
    """Return the part of *call* whose organisations and group are there, None for nothing.

    MISP would make an organisation that it lacks out of thin air, with a name of its own.
    """
    if call.subject in missing:
        outcome.failed += [(one, "group-failed") for one in call.steps]
        return None
    needed = set(call.members) if call.action == "set-members" else set()
    if call.group is not None and _creates(call):
        needed.add(call.group.owner)
    absent = {uuid for uuid in needed if organisation_subject(uuid) in missing}
    if not absent:
        return call
    lost = [one for one in call.steps if not one.member or one.member in absent]
    outcome.failed += [(one, "organisation-failed") for one in lost]
    members = {uuid: extend for uuid, extend in call.members.items() if uuid not in absent}
    if not members:
        missing.add(call.subject)
        return None
    return replace(call, steps=tuple(s for s in call.steps if s not in lost), members=members)


def _creates(call: Call) -> bool:
    return call.action in ("put-organisation", "put-group") and any(
        one.kind == "add" for one in call.steps
    )
