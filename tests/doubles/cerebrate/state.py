"""What a Cerebrate holds: tables of rows by numeric id, as its database does."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

Row = dict[str, Any]

_PERMISSIONS = ("admin", "sync", "org_admin", "group_admin", "community_admin",
                "meta_field_editor", "view_all_orgs")  # fmt: skip
ROLES = {
    "admin": ("admin", "sync", "org_admin", "group_admin", "community_admin",
              "meta_field_editor"),
    "reader": ("view_all_orgs",),
    "sync": ("sync", "view_all_orgs"),
    "org_admin": ("org_admin",),
    "nobody": (),
}  # fmt: skip
"""Of these only the first is upstream's own: it has every permission but `view_all_orgs`."""
CONSTITUENCY = {
    "uuid": "faca6acc-23e0-4585-8fd8-4379e3a6250d",
    "name": "CSIRT Constituency",
    "namespace": "cerebrate",
    "version": "1",
    "scope": "organisation",
    "fields": {
        "IPv4 address": (None, True),
        "IPv6 address": (None, True),
        "AS Number": (None, True),
        "Domain": (None, True),
        "Country": ("^[A-Z]{2}$", False),
    },
}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


class State:
    """The tables, and how tests fill them behind the API's back."""

    def __init__(self, name: str = "CERT-ONE") -> None:
        self.lock = threading.RLock()
        self.organisations: dict[int, Row] = {}
        self.individuals: dict[int, Row] = {}
        self.alignments: dict[int, Row] = {}
        self.groups: dict[int, Row] = {}
        self.members: dict[tuple[int, int], bool] = {}
        """(group, organisation) -> extend; rows of organisations that are gone stay."""
        self.keys: dict[int, Row] = {}
        self.broods: dict[int, Row] = {}
        self.inbox: dict[int, Row] = {}
        self.outbox: dict[int, Row] = {}
        self.templates: dict[int, Row] = {}
        self.meta_fields: dict[int, Row] = {}
        self.users: dict[int, Row] = {}
        self.authkeys: dict[str, int] = {}
        self.audit: list[Row] = []
        self._next: dict[int, int] = {}
        self.own = self.organisation(name=name)
        for role in ROLES:
            self.user(role)

    def insert(self, table: dict[int, Row], row: Row) -> Row:
        """Give *row* the next id of *table*; ids are not used again."""
        number = self._next[id(table)] = self._next.get(id(table), 0) + 1
        row["id"] = number
        table[number] = row
        return row

    def user(self, role: str, organisation: int | None = None, name: str = "") -> str:
        """Make a user with an authkey; return the key."""
        number = organisation or self.own["id"]
        row = self.insert(
            self.users,
            {
                "uuid": str(uuid4()),
                "username": name or f"{role}-user",
                "organisation_id": number,
                "role": {
                    "name": role,
                    **{f"perm_{one}": one in ROLES[role] for one in _PERMISSIONS},
                },
            },
        )
        key = secrets.token_hex(20)
        self.authkeys[key] = row["id"]
        return key

    def key(self, role: str) -> str:
        """Return the authkey of the first user with *role*."""
        for key, number in self.authkeys.items():
            if self.users[number]["role"]["name"] == role:
                return key
        raise KeyError(role)

    def organisation(self, **fields: Any) -> Row:
        at = now()
        empty = dict.fromkeys(("url", "nationality", "sector", "type", "contacts"))
        row = {"uuid": str(uuid4()), "name": "", **empty, **fields, "created": at, "modified": at}
        return self.insert(self.organisations, row)

    def group(self, owner: int, members: Iterable[int] = (), **fields: Any) -> Row:
        at = now()
        base = {"uuid": str(uuid4()), "name": "", "releasability": "", "description": None}
        rest = {"organisation_id": owner, "user_id": 1, "active": True, "local": True}
        row = self.insert(
            self.groups, {**base, **fields, **rest, "created": at, "modified": at} | _active(fields)
        )
        for one in members:
            self.members[row["id"], one] = False
        return row

    def encryption_key(self, owner: int, text: str, kind: str = "smime", **fields: Any) -> Row:
        at = now()
        row = {"uuid": str(uuid4()), "type": kind, "encryption_key": text, "revoked": None,
               "expires": None, "owner_id": owner, "owner_model": "organisation"}  # fmt: skip
        return self.insert(self.keys, {**row, **fields, "created": at, "modified": at})

    def individual(self, email: str, organisations: Iterable[int] = (), **fields: Any) -> Row:
        at = now()
        base = {"uuid": str(uuid4()), "email": email, "first_name": "", "last_name": ""}
        rest = {"position": None, **fields, "created": at, "modified": at}
        row = self.insert(self.individuals, {**base, **rest})
        for one in organisations:
            align = {"individual_id": row["id"], "organisation_id": one, "type": "Member"}
            self.insert(self.alignments, align | {"created": at, "modified": at})
        return row

    def brood(self, url: str, authkey: str, **fields: Any) -> Row:
        at = now()
        row = {"uuid": str(uuid4()), "name": "brood", "url": url, "description": "",
               "organisation_id": self.own["id"], "trusted": False, "pull": False,
               "skip_proxy": False, "authkey": authkey}  # fmt: skip
        return self.insert(self.broods, {**row, **fields, "created": at, "modified": at})

    def template(self, document: dict[str, Any], *, enabled: bool = True) -> Row:
        """Load a meta template: `fields` maps a name to (regex or None, multiple)."""
        at = now()
        row = {name: document[name] for name in ("uuid", "name", "namespace", "version", "scope")}
        row |= {"description": "", "source": "Cerebrate", "enabled": enabled, "is_default": False}
        row |= {"created": at, "modified": at, "meta_template_fields": []}
        row = self.insert(self.templates, row)
        for field, (regex, multiple) in document["fields"].items():
            row["meta_template_fields"].append({
                "id": row["id"] * 100 + len(row["meta_template_fields"]), "field": field,
                "type": "text", "meta_template_id": row["id"], "regex": regex,
                "multiple": multiple, "enabled": False, "counter": 0,
            })  # fmt: skip
        return row

    def meta_field(self, organisation: int, template: Row, field: str, value: str) -> Row:
        """Give an organisation a value of a field of *template*."""
        at = now()
        known = {one["field"]: one["id"] for one in template["meta_template_fields"]}
        row = {"scope": "organisation", "parent_id": organisation, "field": field, "value": value,
               "uuid": str(uuid4()), "meta_template_id": template["id"],
               "meta_template_field_id": known[field], "is_default": False, "created": at,
               "modified": at, "meta_template_directory_id": template["id"]}  # fmt: skip
        names = ("uuid", "version", "name", "namespace")
        row |= {f"template_{name}": template[name] for name in names}
        return self.insert(self.meta_fields, row)

    def delete_organisation(self, number: int) -> None:
        """Delete as the database does: what it owns goes along without a trace."""
        self.organisations.pop(number, None)
        for group in [g for g, row in self.groups.items() if row["organisation_id"] == number]:
            del self.groups[group]
        owned = [k for k, row in self.keys.items()
                 if (row["owner_model"], row["owner_id"]) == ("organisation", number)]  # fmt: skip
        for key in owned:
            del self.keys[key]
        for one in [a for a, row in self.alignments.items() if row["organisation_id"] == number]:
            del self.alignments[one]

    def log(self, action: str, model: str, row: Row, user: int, changed: str = "[]") -> None:
        title = row.get("name") or row.get("email") or ""
        self.audit.append(
            {"id": len(self.audit) + 1, "created": now(), "user_id": user, "model": model,
             "request_action": action, "model_id": row["id"], "model_title": title,
             "changed": changed}
        )  # fmt: skip


def _active(fields: dict[str, Any]) -> dict[str, Any]:
    return {"active": bool(fields["active"])} if "active" in fields else {}
