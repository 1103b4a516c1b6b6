"""How a MISP takes a sharing group over from a document: it only ever adds (S10-S14, S16).

The same function works for a REST edit, for a group inside an event and for a pull, which is why
a shorter list removes nobody and why a member who was removed comes back.
"""

from __future__ import annotations

import unicodedata
from typing import Any
from uuid import UUID, uuid4

from tests.doubles.misp.rows import GroupServer, Json, Member, SharingGroup, User
from tests.doubles.misp.state import State

_TAKEN = ("name", "releasability", "description", "roaming", "created")


def capture(state: State, user: User, document: Json) -> int | None:
    """Return the local id of the group that *document* describes, None where it is refused."""
    uuid = str(document.get("uuid") or uuid4()).lower()
    known = state.groups.by(uuid=uuid)
    if known is not None:
        return _existing(state, user, known, document)
    if not is_uuid(uuid) or not document.get("name") or not may_create(state, user, document):
        return None
    now = state.clock.text()
    name = str(document["name"])
    if _named(state, name, None):
        name = f"{name}_{next(state.ids['clash']):04d}"
    owner = _owner(state, user, document)
    made = SharingGroup(
        uuid,
        name,
        str(document.get("releasability") or ""),
        str(document.get("description") or ""),
        owner.id,
        owner.uuid,
        user.id,
        str(document.get("created") or now),
        now,
        roaming=bool(document.get("roaming")),
        active=bool(document.get("active", True)),
    )
    state.groups.put(made)
    _members(state, user, made, document)
    state.log(user, "SharingGroup", made.id, "add", made.name)
    return made.id


def may_create(state: State, user: User, document: Json) -> bool:
    """Say whether *user* may bring this group here: S5 and S6 are this function saying no."""
    if user.may("perm_site_admin"):
        return True
    if not user.may("perm_sharing_group"):
        return False
    member = any(
        str((row.get("Organisation") or {}).get("uuid", "")).lower() == user.org.uuid
        and (row.get("extend") or user.may("perm_sync"))
        for row in document.get("SharingGroupOrg") or ()
    )
    # that it roams does not help a group which names other servers only
    rows = document.get("SharingGroupServer") or ()
    here = [row for row in rows if (row.get("Server") or row).get("url") == state.url]
    member = member or (user.may("perm_sync") and any(row.get("all_orgs") for row in here))
    return member and (not rows or bool(here))


def may_edit(user: User, group: SharingGroup) -> bool:
    """Say whether *user* may change a group by REST: the owner, and members with *extend*."""
    if user.may("perm_site_admin"):
        return True
    member = group.member(user.org.id)
    extends = member is not None and member.extend
    return user.may("perm_sharing_group") and (group.org_id == user.org.id or extends)


def members_in(document: Json) -> list[tuple[str, str, bool]]:
    """Return (uuid, name, extend) of each member; both forms that are sent are understood."""
    found = []
    for row in document.get("SharingGroupOrg") or ():
        org: Json = row.get("Organisation") or row
        if org.get("uuid"):
            entry = (str(org["uuid"]).lower(), str(org.get("name") or ""), bool(row.get("extend")))
            found.append(entry)
    return found


def servers_in(document: Json) -> list[tuple[str, bool]]:
    """Return URL and `all_orgs` of each server; the flag counts only inside `Server` (S9)."""
    return [(url, inside) for url, inside, _ in _servers_in(document)]


def _servers_in(document: Json) -> list[tuple[str, bool, bool]]:
    """Return URL, `all_orgs` for a new row, `all_orgs` for a row that is there already.

    The latter is read beside `Server`, and only where it stands inside of it too.
    """
    found = []
    for row in document.get("SharingGroupServer") or ():
        server: Json = row.get("Server") or {}
        inside = bool(server.get("all_orgs"))
        beside = "all_orgs" in server and bool(row.get("all_orgs"))
        found.append((str(server.get("url", "")), inside, beside))
    return found


def is_uuid(text: Any) -> bool:
    try:
        return str(UUID(str(text))) == str(text).lower()
    except ValueError:
        return False


def _existing(state: State, user: User, group: SharingGroup, document: Json) -> int | None:
    sync = user.may("perm_sync")
    if not sync and not state.may_view(user, group):
        return None
    # strict, and with a resolution of one second: S11; nothing sent counts as newer: S3
    sent = str(document.get("modified") or "")
    if sent and sent <= group.modified:
        return group.id
    by_sync = sync and not group.local
    by_owner = not sync and group.org_id == user.org.id and user.may("perm_sharing_group")
    if not (by_sync or by_owner or user.may("perm_site_admin")):
        return None
    if _named(state, str(document.get("name") or ""), group):
        # the save fails, and the answer is the group as it was
        return group.id
    for name in _TAKEN:
        if document.get(name) is not None:
            setattr(group, name, document[name])
    group.roaming = bool(group.roaming)
    # what the sender says is not kept: the receiver stamps its own time
    group.modified = state.clock.text()
    _members(state, user, group, document)
    return group.id


def _named(state: State, name: str, own: SharingGroup | None) -> bool:
    """Say whether another group has that name; the database sees neither case nor accents."""
    wanted = _folded(name)
    return any(one is not own and _folded(one.name) == wanted for one in state.groups.values())


def _folded(name: str) -> str:
    letters = unicodedata.normalize("NFD", name.casefold())
    return "".join(one for one in letters if not unicodedata.combining(one))


def _owner(state: State, user: User, document: Json) -> Any:
    named: Json = document.get("Organisation") or {}
    uuid = document.get("organisation_uuid") or named.get("uuid")
    if not uuid:
        return user.org
    return state.organisation(named | {"uuid": uuid}, user)


def _members(state: State, user: User, group: SharingGroup, document: Json) -> None:
    for uuid, name, extend in members_in(document):
        org = state.organisation({"uuid": uuid, "name": name}, user)
        known = group.member(org.id)
        if known is None:
            group.members.append(Member(org.id, extend, next(state.ids["member"])))
        else:
            known.extend = extend
    for url, inside, beside in _servers_in(document):
        server_id = state.server_id(url)
        if server_id is None:
            continue
        known_row = group.server(server_id)
        if known_row is None:
            group.servers.append(GroupServer(server_id, inside, next(state.ids["group-server"])))
        else:
            known_row.all_orgs = beside
