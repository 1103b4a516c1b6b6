"""A MISP as a directory of organisations and groups (ports.Directory), with a site admin's key.

REST edits of MISP only add: members leave by removeOrg alone, servers never (its removeServer
deletes the row of another group), and nobody can change an owner or switch a group off. Much is
dropped or renamed with 200, so every answer is compared with what was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json, Refused
from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.errors import DeliveryError
from eme_connector.formats import misp_directory as shapes

PAGE = 500
OWN_PAGE = 60
"""MISP's own page size, should it not heed ours."""
TRIES = 2
"""An organisation can stand twice in a group; removeOrg takes out one row."""
_WORDS = (
    ("organisation with this name already exists", "name-taken"),
    ("organisation is not in the sharing group", "not-a-member"),
    ("no editing rights", "group-missing"),
    ("invalid sharing group", "group-missing"),
    ("invalid organisation", "organisation-missing"),
)


class MispDirectory:
    """One MISP; names and server ids are looked up once and stay in here."""

    kind: Literal["cerebrate", "misp"] = "misp"

    def __init__(self, name: str, url: str, client: MispClient) -> None:
        self.name = name
        self.calls = 0
        self._url, self._client = url, client
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._groups: set[str] = set()
        self._has_all = False
        self._modified: dict[str, str] = {}

    def fetch(self) -> Snapshot:
        """Return every organisation, group (inactive ones too) and server entry, read anew."""
        self._need_site_admin()
        servers = shapes.servers(self._get("/servers/index"))
        rows = [*self._pages("/sharing_groups/index"), *self._pages("/sharing_groups/index/true")]
        # after the groups: whoever joined one meanwhile is among them
        organisations = shapes.organisations(self._get("/organisations/index/scope:all"))
        groups = {one.uuid: one for one in (shapes.group(row, servers) for row in rows)}
        self._names = {uuid: one.name for uuid, one in organisations.items()}
        self._groups = set(groups)
        self._has_all = True
        return Snapshot(organisations, groups, frozenset({"", *servers.values()}))

    def put_organisation(self, organisation: RemoteOrganisation) -> None:
        """Add it as a remote one, or edit its name, nationality, sector and type."""
        fields = {name: getattr(organisation, name) for name in shapes.FIELDS}
        if self._find_name(organisation.uuid) is None:
            body = {**fields, "uuid": organisation.uuid, "local": organisation.local}
            answer = self._post("/admin/organisations/add", body)
        else:
            answer = self._post(f"/admin/organisations/edit/{organisation.uuid}", fields)
        kept = shapes.organisation(answer)
        _compare(
            (name, getattr(kept, name), getattr(organisation, name))
            for name in ("uuid", *shapes.FIELDS)
        )
        self._names[organisation.uuid] = kept.name

    def put_group(self, group: RemoteGroup) -> None:
        """Add it, or edit its texts and roaming; servers are added, members stay as they are."""
        if not self._has(group.uuid):
            owner = {"uuid": group.owner, "name": self._name(group.owner)}
            body = shapes.group_body(group, self._url) | {
                "uuid": group.uuid,
                "active": group.active,
                "organisation_uuid": group.owner,
                "Organisation": owner,
                "SharingGroupOrg": [],
            }
            self._post("/sharing_groups/add", body)
            self._groups.add(group.uuid)
        kept = self._edit(group.uuid, shapes.group_body(group, self._url))
        _compare(
            (name, getattr(kept, name), getattr(group, name))
            for name in ("name", "releasability", "description", "roaming", "owner")
        )
        if lost := group.servers - kept.servers:
            raise DeliveryError("server-unknown", ", ".join(sorted(one.url for one in lost)))

    def set_members(self, group: str, members: Mapping[str, bool]) -> None:
        """Make these organisations members, each with its extend flag, in one request."""
        rows = [
            {"extend": extend, "Organisation": {"uuid": uuid, "name": self._name(uuid)}}
            for uuid, extend in sorted(members.items())
        ]
        kept = self._edit(group, {"SharingGroupOrg": rows}).members
        _compare((uuid, kept.get(uuid), extend) for uuid, extend in members.items())

    def remove_members(self, group: str, organisations: Collection[str]) -> None:
        """Take them out one by one, and look whether they are gone."""
        left: set[str] = set(organisations)
        for _ in range(TRIES):
            for uuid in sorted(left):
                self._remove(group, uuid)
            left &= self._view(group).members.keys()
            if not left:
                return
        raise DeliveryError("not-as-asked", f"still members: {', '.join(sorted(left))}")

    def announce(self, group: str) -> None:
        """Let MISP stamp the group anew: peers take what is newer than their own copy."""
        before = self._modified.get(group, "")
        self._edit(group, {"uuid": group})
        if self._modified[group] <= before:
            raise DeliveryError("not-newer", "MISP keeps seconds; it is tried again later")

    def ping(self) -> None:
        """Raise DeliveryError when it cannot be reached, or its key is no site admin's."""
        self._need_site_admin()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._client.connection.close()

    def _need_site_admin(self) -> None:
        me = self._client.me()
        if "perm_site_admin" not in me.permissions:
            raise DeliveryError(
                "key-sees-too-little", f"role {me.role} is no site admin", permanent=True
            )

    def _pages(self, path: str) -> list[Json]:
        """Return every row of a paged list; MISP answers 404 beyond the last page."""
        found: dict[str, Json] = {}
        for page in range(1, 10_000):
            rows = shapes.rows(self._page(path, page))
            fresh = {shapes.group_uuid(row): row for row in rows}
            if not fresh.keys() - found.keys():
                break
            found |= fresh
            if len(rows) < PAGE and len(rows) != OWN_PAGE:
                break
        return list(found.values())

    def _page(self, path: str, page: int) -> Any:
        try:
            return self._get(f"{path}/limit:{PAGE}/page:{page}")
        except Refused as exc:
            if exc.status == 404 and page > 1:
                return {"response": []}
            raise

    def _edit(self, group: str, body: Json) -> RemoteGroup:
        answer = self._post(f"/sharing_groups/edit/{group}", body)
        self._modified[group] = shapes.modified(answer)
        return shapes.group_of_edit(answer)

    def _view(self, group: str) -> RemoteGroup:
        answer = self._get(f"/sharing_groups/view/{group}")
        self._modified[group] = shapes.modified(answer)
        return shapes.group_of_edit(answer)

    def _remove(self, group: str, organisation: str) -> None:
        try:
            self._post("/sharing_groups/removeOrg", {"sg_id": group, "org_id": organisation})
        except DeliveryError as exc:
            if exc.reason != "not-a-member":
                raise

    def _has(self, group: str) -> bool:
        if not self._has_all and self._find(f"/sharing_groups/view/{group}") is not None:
            self._groups.add(group)
        return group in self._groups

    def _name(self, organisation: str) -> str:
        found = self._find_name(organisation)
        if found is None:
            raise DeliveryError("organisation-missing", organisation, permanent=True)
        return found

    def _find_name(self, organisation: str) -> str | None:
        if organisation not in self._names and not self._has_all:
            answer = self._find(f"/organisations/view/{organisation}")
            if answer is None:
                return None
            self._names[organisation] = shapes.organisation(answer).name
        return self._names.get(organisation)

    def _get(self, path: str) -> Any:
        self._count()
        return self._client.connection.get(path)

    def _find(self, path: str) -> Any:
        try:
            return self._get(path)
        except Refused as exc:
            # an organisation that is not there is 404, a group 405
            if exc.status == 404 or exc.reason == "not-there":
                return None
            raise

    def _post(self, path: str, body: Json) -> Any:
        self._count()
        try:
            return self._client.connection.post(path, body)
        except Refused as exc:
            said = exc.detail.lower()
            reason = next((reason for word, reason in _WORDS if word in said), exc.reason)
            raise DeliveryError(
                reason, exc.detail, maybe_sent=exc.maybe_sent, retry_after=exc.retry_after
            ) from exc

    def _count(self) -> None:
        with self._lock:
            self.calls += 1


def _compare(asked: Iterable[tuple[str, object, object]]) -> None:
    """Raise where MISP kept something else than it was asked to, naming the fields."""
    lost = [name for name, kept, wanted in asked if kept != wanted]
    if lost == ["name"]:
        raise DeliveryError("name-taken", "MISP kept another name")
    if lost:
        raise DeliveryError("not-as-asked", ", ".join(lost[:5]))
