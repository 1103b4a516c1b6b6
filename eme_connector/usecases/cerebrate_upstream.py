"""Take over from an upstream Cerebrate into our own, over REST (C7).

Cerebrate's own download of a sharing group fails at its first member, and nothing there is
automatic; so organisations, groups, members and meta fields are read from the one and written
to the other, as the relay does it (usecases.relay_cycle): what both agreed on is remembered, so
that a change on either side can be told from what was always different.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from eme_connector.config import Upstream
from eme_connector.domain.directory import RemoteOrganisation, Snapshot
from eme_connector.errors import DeliveryError, RemoteEmptied
from eme_connector.ports import Cerebrate
from eme_connector.sync.relay import Outcome
from eme_connector.sync.steps import Plan
from eme_connector.usecases.cerebrate_directory import report, terms_of
from eme_connector.usecases.relay_cycle import Office, Report, Target, look, run_cycle
from eme_connector.usecases.system import System

MOST_SHOWN = 50


def preview(section: Upstream, confirmed: Collection[str], system: System) -> Plan:
    """Return what the next turn would write to our Cerebrate.

    Raises:
        DeliveryError, RemoteEmptied, StoreUnavailable
    """
    there = system.cerebrates()[section.name].fetch()
    target = _target(section, _ours(system))
    found = look(target, there, _office(section, system), confirmed)
    _raise_failure(found)
    return found.plan


def take_over(section: Upstream, confirmed: Collection[str], system: System) -> Mapping[str, Any]:
    """Write to our Cerebrate what *section*'s says; return what people are told about it.

    Raises:
        DeliveryError, RemoteEmptied, StoreUnavailable
        Conflict: somebody else is writing there for this upstream.
    """
    ours = _ours(system)
    there = system.cerebrates()[section.name].fetch()
    target = _target(section, ours)
    told = _with_fields(there)
    before = ours.fetch().organisations if told and target.terms.only_new else {}
    found = run_cycle(target, there, _office(section, system), confirmed=confirmed)
    _raise_failure(found)
    told = {uuid: one for uuid, one in told.items() if uuid not in before}
    return {
        "organisations": len(there.organisations),
        "groups": len(there.groups),
        "changed": bool(found.outcome.done),
        "done": len(found.outcome.done),
        "requests": found.requests,
        "failed": _failed(found.outcome),
        "unset_fields": _carry_fields(told, ours)[:MOST_SHOWN],
        **report(found.plan),
    }


def _ours(system: System) -> Cerebrate:
    """Return our own Cerebrate; raise where our key cannot write there."""
    own = system.config.cerebrate
    assert own is not None
    found = system.cerebrates()[own.name]
    access = found.access()
    if not access.may_write:
        detail = f"role {access.role} of {own.name} needs perm_community_admin"
        raise DeliveryError("not-allowed", detail, permanent=True)
    return found


def _target(section: Upstream, ours: Cerebrate) -> Target:
    return Target(ours, terms_of(section, f"{ours.name}<{section.name}"))


def _office(section: Upstream, system: System) -> Office:
    own = system.organisation.uuid
    by = f"cerebrate:{section.name}"
    return Office(system.store, system.clock, own, by, hold=system.hold_target)


def _raise_failure(found: Report) -> None:
    if found.state != "failed":
        return
    if found.reason == "source-emptied":
        raise RemoteEmptied(found.detail)
    raise DeliveryError(found.reason, found.detail)


def _with_fields(there: Snapshot) -> dict[str, RemoteOrganisation]:
    return {uuid: one for uuid, one in there.organisations.items() if one.fields}


def _carry_fields(told: Mapping[str, RemoteOrganisation], ours: Cerebrate) -> list[str]:
    """Set the meta fields that the upstream has and ours has otherwise; return what could not be.

    Fields of which the upstream says nothing are ours and stay.
    """
    left: list[str] = []
    here = ours.fetch().organisations if told else {}
    for uuid, one in sorted(told.items()):
        if uuid not in here:
            continue
        known = here[uuid].fields
        wanted = {path: values for path, values in one.fields.items() if known.get(path) != values}
        if not wanted:
            continue
        try:
            left += [f"{one.name}: {path}" for path in ours.put_fields(uuid, wanted)]
        except DeliveryError as exc:
            return [*left, f"meta fields: {exc.reason}"]
    return left


def _failed(outcome: Outcome) -> list[dict[str, str]]:
    return [
        {"word": one.word, "name": one.name, "member": one.member_name, "reason": reason}
        for one, reason in outcome.failed[:MOST_SHOWN]
    ]
