"""Rows of a Cerebrate's answers, as the domain knows them; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eme_connector.domain.cerebrate import Access, Brood, Message, Reach
from eme_connector.domain.directory import (
    EncryptionKey,
    Individual,
    RemoteGroup,
    RemoteOrganisation,
)
from eme_connector.errors import DeliveryError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TemplateField:
    """A meta field that can be written: `pattern` is checked there, and destroys on a mismatch."""

    template: str
    template_uuid: str
    template_version: str
    name: str
    pattern: str
    multiple: bool

    @property
    def path(self) -> str:
        """As RemoteOrganisation.fields names it."""
        return f"{self.template}/{self.name}"

    def takes(self, values: tuple[str, ...]) -> bool:
        """Say whether Cerebrate would take *values*; a pattern that is not ours to read: no."""
        if len(values) > 1 and not self.multiple:
            return False
        try:
            return all(not self.pattern or re.search(self.pattern, one) for one in values)
        except re.error:
            return False


def access(status: Any) -> Access:
    """Return what `/instance/status` says of our key."""
    user = _part(status, "user")
    role, organisation = _part(user, "role"), _part(user, "organisation")
    community = bool(role.get("perm_community_admin"))
    all_organisations = bool(role.get("perm_admin") or role.get("perm_view_all_orgs"))
    reach: Reach = "own"
    if all_organisations:
        reach = "mirror" if community else "reader"
    return Access(
        version=_text(status, "version"),
        user=_text(user, "username"),
        organisation=_uuid(organisation),
        organisation_name=_text(organisation, "name"),
        role=_text(role, "name"),
        reach=reach,
        may_write=community and all_organisations,
    )


def organisation(row: Json) -> RemoteOrganisation:
    """Return an organisation, meta fields included."""
    return RemoteOrganisation(
        uuid=_uuid(row),
        name=_text(row, "name"),
        nationality=_text(row, "nationality"),
        sector=_text(row, "sector"),
        type=_text(row, "type"),
        url=_text(row, "url"),
        contacts=_text(row, "contacts"),
        fields=_fields(row.get("meta_fields") or ()),
    )


def group(row: Json) -> RemoteGroup:
    """Return a sharing group with its members and their extend flags."""
    joined = [(_uuid(one), _part(one, "_joinData")) for one in _list(row, "sharing_group_orgs")]
    return RemoteGroup(
        uuid=_uuid(row),
        name=_text(row, "name"),
        owner=_uuid(_part(row, "organisation")),
        members={uuid: bool(join.get("extend")) for uuid, join in joined if not join["deleted"]},
        releasability=_text(row, "releasability"),
        description=_text(row, "description"),
        active=bool(row.get("active")),
    )


def individual(row: Json) -> Individual:
    """Return a person; `alignments` is a list when there are none and a mapping when there are."""
    aligned = row.get("alignments")
    known = aligned.get("organisation") if isinstance(aligned, dict) else ()
    return Individual(
        uuid=_uuid(row),
        email=_text(row, "email"),
        first_name=_text(row, "first_name"),
        last_name=_text(row, "last_name"),
        position=_text(row, "position"),
        organisations=frozenset(_uuid(one) for one in known or ()),
    )


def key(row: Json) -> EncryptionKey | None:
    """Return a public key; None for one that nobody owns any more, or of a kind unknown to us."""
    kind = _text(row, "type").lower()
    owner = row.get("individual" if row.get("owner_model") == "individual" else "organisation")
    if kind not in ("pgp", "smime") or not isinstance(owner, dict):
        return None
    return EncryptionKey(
        uuid=_uuid(row),
        kind="pgp" if kind == "pgp" else "smime",
        owner=_uuid(owner),
        text=plain(_text(row, "encryption_key")),
        of_individual=row.get("owner_model") == "individual",
        revoked=bool(row.get("revoked")),
        expires=int(row["expires"]) if row.get("expires") else None,
    )


def brood(row: Json) -> Brood:
    """Return another Cerebrate that this one knows."""
    owner = row.get("organisation")
    return Brood(
        name=_text(row, "name"),
        url=_text(row, "url").rstrip("/"),
        organisation=_uuid(owner) if isinstance(owner, dict) else "",
        trusted=bool(row.get("trusted")),
        pull=bool(row.get("pull")),
        authkey=_text(row, "authkey"),
    )


def message(row: Json) -> Message:
    """Return an entry of the inbox or the outbox, without its data: that may hold secrets."""
    return Message(
        id=int(row["id"]),
        scope=_text(row, "scope"),
        action=_text(row, "action"),
        title=_text(row, "title"),
        origin=_text(row, "origin"),
        created=_text(row, "created"),
    )


def template_fields(row: Json) -> tuple[TemplateField, ...]:
    """Return the fields of a meta template of organisations; none unless it is enabled."""
    if row.get("scope") != "organisation" or not row.get("enabled"):
        return ()
    return tuple(
        TemplateField(
            template=_text(row, "name"),
            template_uuid=_uuid(row),
            template_version=_text(row, "version"),
            name=_text(one, "field"),
            pattern=_text(one, "regex"),
            multiple=bool(one.get("multiple")),
        )
        for one in _list(row, "meta_template_fields")
    )


def plain(text: str) -> str:
    """Return a key's text with the line ends of this side, so that equal ones are equal."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def _fields(rows: Iterable[Json]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        name = f"{_text(row, 'template_name')}/{_text(row, 'field')}"
        found.setdefault(name, []).append(_text(row, "value"))
    return {name: tuple(sorted(values)) for name, values in sorted(found.items())}


def _uuid(row: Json) -> str:
    found = row.get("uuid")
    if not isinstance(found, str) or not found:
        raise DeliveryError("not-understood", "a row has no uuid")
    return found.lower()


def _text(row: Json, name: str) -> str:
    """Return a text that may be null or, as versions and numbers are, something else."""
    found = row.get(name)
    return "" if found is None else str(found)


def _part(row: Any, name: str) -> Json:
    found = row.get(name) if isinstance(row, dict) else None
    if not isinstance(found, dict):
        raise DeliveryError("not-understood", f"`{name}` is missing")
    return found


def _list(row: Json, name: str) -> list[Json]:
    found = row.get(name)
    if not isinstance(found, list):
        raise DeliveryError("not-understood", f"`{name}` is missing")
    return found
