"""The calls to a Cerebrate that the connector makes, each with its traps taken care of.

Records are found by uuid and changed by the numeric id of this instance. Filters that it does
not know are ignored without a word, so what an index gives is compared again here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eme_connector.adapters.cerebrate import shapes
from eme_connector.adapters.cerebrate.connection import Connection, Json, Refused
from eme_connector.adapters.cerebrate.shapes import TemplateField
from eme_connector.domain.cerebrate import Access, Brood, Message
from eme_connector.domain.directory import (
    EncryptionKey,
    Individual,
    RemoteGroup,
    RemoteOrganisation,
)

GROUPS_A_PAGE = 25
"""Every group carries every field of every member: all at once can be more than PHP may hold."""


class CerebrateClient:
    """One Cerebrate as one key sees it; every call raises Refused or DeliveryError."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def access(self) -> Access:
        """Return whose key this is and what it may see, asked anew."""
        return shapes.access(self.connection.get("/instance/status"))

    def organisations(self) -> dict[int, RemoteOrganisation]:
        """Return the organisations that the key may see, by id."""
        rows = self.connection.whole("/organisations/index")
        return {int(row["id"]): shapes.organisation(row) for row in rows}

    def find_organisation(self, uuid: str) -> tuple[int, RemoteOrganisation] | None:
        """Return (id, organisation), None where there is none that we may see."""
        rows = self.connection.rows("/organisations/index", uuid=uuid)
        found = {int(row["id"]): shapes.organisation(row) for row in rows}
        return next(((i, one) for i, one in found.items() if one.uuid == uuid), None)

    def add_organisation(self, organisation: RemoteOrganisation) -> int:
        """Make *organisation* and return its id; look for its uuid before."""
        body = {"uuid": organisation.uuid, **_organisation(organisation)}
        return int(self.connection.add("/organisations/add", body)["id"])

    def edit_organisation(self, number: int, organisation: RemoteOrganisation) -> None:
        """Make organisation *number* look like *organisation*; meta fields stay as they are."""
        path = f"/organisations/edit/{number}"
        row = self.connection.edit(path, _organisation(organisation))
        _check(str(row.get("uuid")).lower() == organisation.uuid, "another organisation")

    def set_fields(self, number: int, values: Mapping[TemplateField, Iterable[str]]) -> None:
        """Set meta fields of organisation *number* to *values*.

        Check values against the field's pattern before: a refusal has already deleted the old.
        """
        body = [
            {
                "template_uuid": field.template_uuid,
                "template_version": field.template_version,
                "field": field.name,
                "value": value,
            }
            for field, wanted in values.items()
            for value in wanted
        ]
        self.connection.edit(f"/organisations/edit/{number}", {"meta_fields": body})

    def organisation(self, number: int) -> RemoteOrganisation:
        """Return organisation *number* as it is now."""
        return shapes.organisation(self.connection.get(f"/organisations/view/{number}"))

    def template_fields(self) -> tuple[TemplateField, ...]:
        """Return the meta fields that organisations can have; needs an administrator's key."""
        rows = self.connection.rows("/metaTemplates/index")
        return tuple(field for row in rows for field in shapes.template_fields(row))

    def groups(self, *, every: bool) -> dict[int, RemoteGroup]:
        """Return the sharing groups that the key may see, by id; *every*: these must be all."""
        rows = self.connection.pages("/sharingGroups/index", page=GROUPS_A_PAGE, every=every)
        return {int(row["id"]): shapes.group(row) for row in rows}

    def find_group(self, uuid: str) -> tuple[int, RemoteGroup] | None:
        """Return (id, group), None where there is none that we may see."""
        rows = self.connection.rows("/sharingGroups/index", **{"SharingGroups.uuid": uuid})
        found = {int(row["id"]): shapes.group(row) for row in rows}
        return next(((i, one) for i, one in found.items() if one.uuid == uuid), None)

    def group(self, number: int) -> RemoteGroup:
        """Return group *number* as it is now."""
        return shapes.group(self.connection.get(f"/sharingGroups/view/{number}"))

    def add_group(self, group: RemoteGroup, owner: int) -> int:
        """Make *group* without members, owned by organisation *owner*; return its id."""
        body = {"uuid": group.uuid, "organisation_id": owner, **_group(group)}
        row = self.connection.add("/sharingGroups/add", body)
        # a key that may not choose the owner gets a group of its own organisation, and a 200
        _check(int(row.get("organisation_id") or 0) == owner, "another owner")
        return int(row["id"])

    def edit_group(self, number: int, group: RemoteGroup) -> None:
        """Set the texts and the active flag of group *number*; its owner cannot change."""
        row = self.connection.edit(f"/sharingGroups/edit/{number}", _group(group))
        _check(str(row.get("uuid")).lower() == group.uuid, "another group")

    def add_members(self, number: int, organisations: Iterable[int], *, extend: bool) -> None:
        """Make *organisations* members of group *number*, or set their extend flag."""
        wanted = list(organisations)
        body: Json = {"organisation_id": wanted, "extend": int(extend)}
        answer = self.connection.post(f"/sharingGroups/addOrg/{number}", body)
        data = answer.get("data") if isinstance(answer, dict) else None
        rows = data.get("sharing_group_orgs") if isinstance(data, dict) else None
        flags = {row["id"]: bool(row["_joinData"]["extend"]) for row in rows or ()}
        _check(all(flags.get(one) is extend for one in wanted), "not all became members")

    def remove_member(self, number: int, organisation: int) -> None:
        """Take an organisation out of group *number*; what it answers is the same either way."""
        self.connection.post(f"/sharingGroups/removeOrg/{number}/{organisation}", {})

    def individuals(self) -> tuple[Individual, ...]:
        """Return the people that the key may see, with their organisations."""
        return tuple(shapes.individual(row) for row in self.connection.rows("/individuals/index"))

    def encryption_keys(self) -> tuple[tuple[int, EncryptionKey], ...]:
        """Return (id, key) of every public key, revoked ones too."""
        rows = self.connection.whole("/encryptionKeys/index")
        found = [(int(row["id"]), shapes.key(row)) for row in rows]
        return tuple((number, one) for number, one in found if one is not None)

    def add_key(self, key: EncryptionKey, owner: int) -> EncryptionKey:
        """Give organisation *owner* a key; it gets a uuid of Cerebrate's choosing."""
        body: Json = {
            "type": key.kind,
            "owner_model": "organisation",
            "owner_id": owner,
            "encryption_key": key.text,
        }
        row = self.connection.add("/encryptionKeys/add", body)
        found = shapes.key({**row, "organisation": {"uuid": key.owner}})
        _check(found is not None and found.text == key.text, "the key was changed")
        assert found is not None
        return found

    def revoke_key(self, number: int) -> None:
        """Revoke key *number*."""
        row = self.connection.edit(f"/encryptionKeys/edit/{number}", {"revoked": True})
        _check(bool(row.get("revoked")), "it is not revoked")

    def broods(self) -> tuple[Brood, ...]:
        """Return the Cerebrates that this one knows; needs a community administrator's key."""
        return tuple(shapes.brood(row) for row in self.connection.rows("/broods/index"))

    def inbox(self) -> tuple[Message, ...]:
        """Return what waits for an administrator; needs a community administrator's key."""
        return tuple(shapes.message(row) for row in self.connection.rows("/inbox/index"))

    def outbox(self) -> tuple[Message, ...]:
        """Return what could not be sent; needs an administrator's key."""
        return tuple(shapes.message(row) for row in self.connection.rows("/outbox/index"))


_TEXTS = ("name", "nationality", "sector", "type", "url", "contacts")


def _organisation(organisation: RemoteOrganisation) -> Json:
    return {name: getattr(organisation, name) for name in _TEXTS}


def _group(group: RemoteGroup) -> Json:
    return {
        "name": group.name,
        "releasability": group.releasability,
        "description": group.description,
        "active": group.active,
    }


def _check(held: bool, what: str) -> None:
    """Raise unless the answer says what was asked for: it says 200 either way."""
    if not held:
        raise Refused(200, what, reason="not-as-asked")
