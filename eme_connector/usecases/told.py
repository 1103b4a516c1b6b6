"""What Cerebrates tell of organisations and sharing groups: read, put, withdrawn (D6).

Each Cerebrate has a token of its own; the token's name is the source. The source that told of a
group first is believed; another one is refused, so that nobody can add members to a group that
is not theirs to tell of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.directory import Entry, RemoteGroup, RemoteOrganisation
from eme_connector.domain.rights import Caller, Right
from eme_connector.errors import Conflict, Fault, InvalidInput, NotFound
from eme_connector.ports import Transaction
from eme_connector.usecases.system import System, micros

Outcome = Literal["new", "changed", "same"]


def list_organisations(*, caller: Caller, system: System) -> tuple[Entry, ...]:
    """Return the organisations that *caller* may know: its own, those it told of, and whoever
    shares a group with it; by name.

    Raises:
        NotAllowed, StoreUnavailable
    """
    caller.need(Right.READ)
    entries = system.store.directory_entries()
    known = {caller.organisation}
    for entry in entries:
        if isinstance(entry.what, RemoteGroup) and _may_know(entry, caller):
            known |= {entry.what.owner, *entry.what.members}
    return tuple(
        entry
        for entry in entries
        if isinstance(entry.what, RemoteOrganisation)
        and (entry.what.uuid in known or _told_by(entry, caller))
    )


def list_groups(*, caller: Caller, system: System) -> tuple[Entry, ...]:
    """Return the groups that *caller* owns, is a member of or has told of; by name.

    Raises:
        NotAllowed, StoreUnavailable
    """
    caller.need(Right.READ)
    return tuple(
        entry
        for entry in system.store.directory_entries()
        if isinstance(entry.what, RemoteGroup) and _may_know(entry, caller)
    )


def put_organisations(
    organisations: Sequence[RemoteOrganisation], *, caller: Caller, system: System
) -> tuple[Outcome, ...]:
    """Keep what *caller*'s Cerebrate tells of organisations, all or none.

    Another Cerebrate that told of one first is still believed there; that is no error, because
    brood communities tell of the same organisations.

    Raises:
        NotAllowed, StoreUnavailable
    """
    caller.need(Right.SYNC)
    at = micros(system.clock())

    def work(tx: Transaction) -> tuple[Outcome, ...]:
        return tuple(_put(one, caller, at, system, tx) for one in organisations)

    return system.store.transact(work)


def put_group(group: RemoteGroup, *, caller: Caller, system: System) -> Outcome:
    """Keep what *caller*'s Cerebrate tells of a group.

    Raises:
        NotAllowed, Conflict: another Cerebrate told of it first.
        InvalidInput: its owner or a member is not known here.
    """
    caller.need(Right.SYNC)
    at = micros(system.clock())

    def work(tx: Transaction) -> Outcome:
        _need_authority(group.uuid, caller, tx)
        faults = _unknown(group, system, tx)
        if faults:
            raise InvalidInput(faults)
        return _put(group, caller, at, system, tx)

    return system.store.transact(work)


def withdraw_group(uuid: str, *, caller: Caller, system: System) -> None:
    """Forget a group that *caller*'s Cerebrate no longer has: it is for nobody then.

    Raises:
        NotAllowed, NotFound, Conflict: another Cerebrate tells of it.
    """
    caller.need(Right.SYNC)
    at = micros(system.clock())

    def work(tx: Transaction) -> None:
        _need_authority(uuid, caller, tx)
        if not tx.remove_entry(caller.name, RemoteGroup, uuid):
            raise NotFound("this Cerebrate has told of no such group")
        _record("group-withdrawn", uuid, caller, at, system, tx)

    system.store.transact(work)


def _put(
    what: RemoteOrganisation | RemoteGroup,
    caller: Caller,
    at: int,
    system: System,
    tx: Transaction,
) -> Outcome:
    before = tx.find_entry(type(what), what.uuid)
    if isinstance(what, RemoteOrganisation):
        what = _with_what_is_not_put(what, before, caller)
    if not tx.save_entry(caller.name, what, at):
        return "same"
    is_group = isinstance(what, RemoteGroup)
    _record("group-told" if is_group else "organisation-told", what.uuid, caller, at, system, tx)
    return "changed" if before and before.source == caller.name else "new"


def _with_what_is_not_put(
    what: RemoteOrganisation, before: Entry | None, caller: Caller
) -> RemoteOrganisation:
    """Contacts and meta fields come by reading Cerebrate only: a put leaves them."""
    if before is None or before.source != caller.name:
        return what
    known = before.what
    if not isinstance(known, RemoteOrganisation):
        return what
    return replace(what, contacts=known.contacts, fields=known.fields)


def _need_authority(uuid: str, caller: Caller, tx: Transaction) -> None:
    known = tx.find_entry(RemoteGroup, uuid)
    if known is not None and known.source != caller.name:
        raise Conflict("another Cerebrate told of this group first, and is believed")


def _unknown(group: RemoteGroup, system: System, tx: Transaction) -> list[Fault]:
    known = system.topology.organisations

    def is_known(uuid: str) -> bool:
        return uuid in known or tx.find_entry(RemoteOrganisation, uuid) is not None

    faults = [] if is_known(group.owner) else [Fault("/owner", "is not known here: push it first")]
    return faults + [
        Fault(f"/members/{index}/uuid", "is not known here: push it first")
        for index, uuid in enumerate(group.members)
        if not is_known(uuid)
    ]


def _may_know(entry: Entry, caller: Caller) -> bool:
    group = entry.what
    if not isinstance(group, RemoteGroup):
        return False
    return caller.organisation in {group.owner, *group.members} or _told_by(entry, caller)


def _told_by(entry: Entry, caller: Caller) -> bool:
    return Right.SYNC in caller.rights and entry.source == caller.name


def _record(
    event: str, uuid: str, caller: Caller, at: int, system: System, tx: Transaction
) -> None:
    detail: dict[str, object] = {"uuid": uuid, "source": caller.name}
    tx.record(AuditRecord(event, at, caller.name, system.organisation.uuid, detail=detail))
