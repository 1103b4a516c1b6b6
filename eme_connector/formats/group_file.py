"""Sharing groups and their organisations as one JSON document, carried to disconnected sites.

    {"eme": "groups", "version": 1, "serial": 1700000000000000, "organisation": UUID,
     "organisations": [{"uuid", "name", "nationality", "sector", "type", "url"}, …],
     "groups": [{"uuid", "name", "owner", "releasability", "description", "active",
                 "members": [{"uuid", "extend"}, …]}, …]}

It travels as the payload of a compact JWS. `serial` is the time of the export in µs. Members
that we do not know are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.errors import Fault, InvalidMessage
from eme_connector.formats import strict_json

VERSION = 1
MOST = 32 * 1024 * 1024
LONGEST = 65_535
_TEXTS = ("name", "nationality", "sector", "type", "url")
_GROUP_TEXTS = ("name", "releasability", "description")


@dataclass(frozen=True, slots=True)
class GroupFile:
    """What one file says: who exported it, when (µs), and everything it holds."""

    serial: int
    organisation: str
    snapshot: Snapshot


def render(snapshot: Snapshot, organisation: str, serial: int) -> bytes:
    """Return the document of *snapshot*, exported by *organisation* (uuid)."""
    return json.dumps(document(snapshot, organisation, serial), ensure_ascii=False).encode()


def document(snapshot: Snapshot, organisation: str, serial: int) -> dict[str, Any]:
    """Return the same as a dictionary; equal snapshots give equal ones."""
    organisations = sorted(snapshot.organisations.values(), key=lambda one: one.uuid)
    groups = sorted(snapshot.groups.values(), key=lambda one: one.uuid)
    return {
        "eme": "groups",
        "version": VERSION,
        "serial": serial,
        "organisation": organisation,
        "organisations": [
            {"uuid": one.uuid} | {name: getattr(one, name) for name in _TEXTS}
            for one in organisations
        ],
        "groups": [
            {"uuid": one.uuid, "owner": one.owner, "active": one.active}
            | {name: getattr(one, name) for name in _GROUP_TEXTS}
            | {"members": [{"uuid": u, "extend": e} for u, e in sorted(one.members.items())]}
            for one in groups
        ],
    }


def parse(data: bytes) -> GroupFile:
    """Return what a file says.

    Raises:
        Malformed, TooLarge
        InvalidMessage: naming each place.
    """
    return read(strict_json.loads(data, max_bytes=MOST, max_depth=8))


def read(found: Any) -> GroupFile:
    """Return what the document *found* says.

    Raises:
        InvalidMessage: naming each place.
    """
    faults = list(_faults(found))
    if faults:
        raise InvalidMessage(faults)
    organisations = [
        RemoteOrganisation(_uuid(one), *(one.get(name, "") for name in _TEXTS))
        for one in found["organisations"]
    ]
    groups = [
        RemoteGroup(
            _uuid(one),
            one["name"],
            one["owner"].lower(),
            {_uuid(member): member["extend"] for member in one["members"]},
            one.get("releasability", ""),
            one.get("description", ""),
            one.get("active", True),
        )
        for one in found["groups"]
    ]
    snapshot = Snapshot({o.uuid: o for o in organisations}, {g.uuid: g for g in groups})
    return GroupFile(found["serial"], found["organisation"].lower(), snapshot)


def _faults(found: Any) -> Iterator[Fault]:
    if not isinstance(found, dict) or found.get("eme") != "groups":
        yield Fault("", "is not a file of sharing groups")
        return
    if found.get("version") != VERSION:
        yield Fault("/version", f"must be {VERSION}")
        return
    if not isinstance(found.get("serial"), int) or isinstance(found["serial"], bool):
        yield Fault("/serial", "must be an integer")
    if not _is_uuid(found.get("organisation")):
        yield Fault("/organisation", "must be a uuid")
    for name, texts in (("organisations", _TEXTS), ("groups", _GROUP_TEXTS)):
        yield from _list_faults(found.get(name), f"/{name}", texts)
    for index, one in enumerate(_dicts(found.get("groups"))):
        yield from _group_faults(one, f"/groups/{index}")


def _list_faults(rows: Any, at: str, texts: tuple[str, ...]) -> Iterator[Fault]:
    if not isinstance(rows, list):
        yield Fault(at, "must be a list")
        return
    seen: set[str] = set()
    for index, one in enumerate(rows):
        where = f"{at}/{index}"
        if not isinstance(one, dict) or not _is_uuid(one.get("uuid")):
            yield Fault(f"{where}/uuid", "must be a uuid")
            continue
        if _uuid(one) in seen:
            yield Fault(f"{where}/uuid", "is there twice")
        seen.add(_uuid(one))
        for name in texts:
            value = one.get(name, "")
            if not isinstance(value, str) or len(value) > LONGEST:
                yield Fault(f"{where}/{name}", "must be text of at most 65,535 characters")
        if not one.get("name"):
            yield Fault(f"{where}/name", "must not be empty")


def _group_faults(one: dict[str, Any], at: str) -> Iterator[Fault]:
    if not _is_uuid(one.get("owner")):
        yield Fault(f"{at}/owner", "must be a uuid")
    if not isinstance(one.get("active", True), bool):
        yield Fault(f"{at}/active", "must be true or false")
    members = one.get("members")
    if not isinstance(members, list):
        yield Fault(f"{at}/members", "must be a list")
        return
    seen: set[str] = set()
    for index, member in enumerate(members):
        where = f"{at}/members/{index}"
        if not isinstance(member, dict) or not _is_uuid(member.get("uuid")):
            yield Fault(f"{where}/uuid", "must be a uuid")
        elif not isinstance(member.get("extend"), bool):
            yield Fault(f"{where}/extend", "must be true or false")
        elif _uuid(member) in seen:
            yield Fault(f"{where}/uuid", "is there twice")
        else:
            seen.add(_uuid(member))


def _dicts(rows: Any) -> Iterator[dict[str, Any]]:
    for one in rows if isinstance(rows, list) else ():
        if isinstance(one, dict):
            yield one


def _uuid(row: dict[str, Any]) -> str:
    return str(row["uuid"]).lower()


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value.lower()
    except ValueError:
        return False
