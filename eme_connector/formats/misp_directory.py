"""Organisations, groups and servers as MISP's lists and answers show them.

Raises DeliveryError("short-list") for a list that hides something: half a list is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eme_connector.domain.directory import GroupServer, RemoteGroup, RemoteOrganisation
from eme_connector.errors import DeliveryError

Json = dict[str, Any]
FIELDS = ("name", "nationality", "sector", "type")
LOCAL = "0"
"""The id by which a group names the MISP itself."""


def organisations(answer: Any) -> dict[str, RemoteOrganisation]:
    """Return the organisations of a list, by uuid; rows without a uuid are MISP's own business."""
    if not isinstance(answer, list):
        raise DeliveryError("not-a-list", "organisations")
    found = [organisation(row) for row in answer if (row.get("Organisation") or {}).get("uuid")]
    return {one.uuid: one for one in found}


def organisation(answer: Any) -> RemoteOrganisation:
    """Return the organisation in one row or answer."""
    row = answer.get("Organisation") if isinstance(answer, dict) else None
    if not isinstance(row, dict) or not row.get("uuid"):
        raise DeliveryError("not-an-organisation")
    name, nationality, sector, kind = (str(row.get(field) or "") for field in FIELDS)
    uuid = str(row["uuid"]).lower()
    local = bool(row.get("local"))
    return RemoteOrganisation(uuid, name, nationality, sector, kind, local=local)


def servers(answer: Any) -> dict[str, str]:
    """Return the URL of each server entry, by its local id."""
    if not isinstance(answer, list):
        raise DeliveryError("not-a-list", "servers")
    entries = [row["Server"] for row in answer]
    return {str(one["id"]): str(one["url"]) for one in entries}


def rows(answer: Any) -> list[Json]:
    """Return the rows of a page of groups."""
    found = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise DeliveryError("not-a-list", "sharing groups")
    return found


def group_uuid(row: Json) -> str:
    """Return the uuid of a group's row."""
    return str(row["SharingGroup"]["uuid"]).lower()


def group(row: Json, urls: Mapping[str, str]) -> RemoteGroup:
    """Return the group in a row of the list; *urls* are the server entries by id."""
    head = row["SharingGroup"]
    if "SharingGroupOrg" not in row or "SharingGroupServer" not in row:
        raise DeliveryError("short-list", "the members of groups are hidden from this key")
    if str(head.get("org_count", len(row["SharingGroupOrg"]))) != str(len(row["SharingGroupOrg"])):
        raise DeliveryError("short-list", f"{group_uuid(row)} shows a part of its members")
    found = set()
    for one in row["SharingGroupServer"]:
        number = str(one.get("server_id"))
        # an entry that was deleted leaves its row behind
        if number == LOCAL or number in urls:
            found.add(GroupServer(urls.get(number, ""), bool(one.get("all_orgs"))))
    return _group(row, frozenset(found))


def group_of_edit(answer: Any) -> RemoteGroup:
    """Return the group that an edit or a view answers with."""
    if not isinstance(answer, dict) or not isinstance(answer.get("SharingGroup"), dict):
        raise DeliveryError("not-a-group", maybe_sent=True)
    found = set()
    for one in answer.get("SharingGroupServer") or ():
        is_local = str(one.get("server_id")) == LOCAL
        url = "" if is_local else str((one.get("Server") or {}).get("url", ""))
        if is_local or url:
            found.add(GroupServer(url, bool(one.get("all_orgs"))))
    return _group(answer, frozenset(found))


def modified(answer: Any) -> str:
    """Return when MISP says that it last changed the group: local time, to the second."""
    head = answer.get("SharingGroup") if isinstance(answer, dict) else None
    return str((head or {}).get("modified", ""))


def group_body(group: RemoteGroup, own_url: str) -> Json:
    """Return what an edit takes of *group*, but for members.

    `all_orgs` counts only inside `Server`, and is compared outside of it.
    """
    return {
        "name": group.name,
        "releasability": group.releasability,
        "description": group.description,
        "roaming": group.roaming,
        "SharingGroupServer": [
            {
                "all_orgs": one.all_orgs,
                "Server": {
                    "url": one.url or own_url,
                    "name": one.url or own_url,
                    "all_orgs": one.all_orgs,
                },
            }
            for one in sorted(group.servers, key=lambda one: one.url)
        ],
    }


def _group(row: Json, servers: frozenset[GroupServer]) -> RemoteGroup:
    head = row["SharingGroup"]
    owner = (row.get("Organisation") or {}).get("uuid") or head.get("organisation_uuid") or ""
    return RemoteGroup(
        group_uuid(row),
        str(head.get("name") or ""),
        str(owner).lower(),
        members=_members(row),
        releasability=str(head.get("releasability") or ""),
        description=str(head.get("description") or ""),
        active=bool(head.get("active")),
        roaming=bool(head.get("roaming")),
        servers=servers,
    )


def _members(row: Json) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for one in row.get("SharingGroupOrg") or ():
        # an organisation that was deleted leaves its row behind
        uuid = (one.get("Organisation") or {}).get("uuid")
        if uuid:
            found[str(uuid).lower()] = bool(one.get("extend"))
    return found
