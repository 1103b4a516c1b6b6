"""The default roles of a MISP and what each may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_EVERYBODY = {"perm_auth", "perm_audit"}
_USER = _EVERYBODY | {
    "perm_add",
    "perm_modify",
    "perm_modify_org",
    "perm_tagger",
    "perm_sighting",
    "perm_analyst_data",
    "perm_galaxy_editor",
    "perm_decaying",
}
_PUBLISHER = _USER | {"perm_publish", "perm_delegate", "perm_publish_zmq", "perm_publish_kafka"}
_ORG_ADMIN = _PUBLISHER | {
    "perm_admin",
    "perm_sharing_group",
    "perm_tag_editor",
    "perm_template",
}
_SYNC = _PUBLISHER | {"perm_sync", "perm_sharing_group", "perm_tag_editor"}
_SITE_ADMIN = (
    _ORG_ADMIN
    | _SYNC
    | {
        "perm_view_feed_correlations",
        "perm_site_admin",
        "perm_regexp_access",
        "perm_object_template",
        "perm_warninglist",
    }
)
_ALL = sorted(_SITE_ADMIN | {"perm_skip_otp"})


@dataclass(frozen=True)
class Role:
    id: int
    name: str
    permissions: frozenset[str]

    def __contains__(self, permission: str) -> bool:
        return permission in self.permissions

    def document(self) -> dict[str, Any]:
        level = "3" if "perm_publish" in self else "2" if "perm_modify_org" in self else "0"
        words = {"3": "publish", "2": "manage_org", "0": "read_only"}
        made = "2026-11-21 22:36:19"
        return (
            {"id": str(self.id), "name": self.name, "created": made, "modified": made}
            | {name: name in self for name in _ALL}
            | {
                "default_role": self.id == 3,
                "memory_limit": None,
                "max_execution_time": None,
                "restricted_to_site_admin": False,
                "enforce_rate_limit": False,
                "rate_limit_count": "0",
                "permission": level,
                "permission_description": words[level],
            }
        )


ROLES = {
    role.id: role
    for role in (
        Role(1, "admin", frozenset(_SITE_ADMIN)),
        Role(2, "Org Admin", frozenset(_ORG_ADMIN)),
        Role(3, "User", frozenset(_USER)),
        Role(4, "Publisher", frozenset(_PUBLISHER)),
        Role(5, "Sync user", frozenset(_SYNC)),
        Role(6, "Read Only", frozenset(_EVERYBODY)),
    )
}
BY_WORD = {
    "admin": ROLES[1],
    "org_admin": ROLES[2],
    "user": ROLES[3],
    "publisher": ROLES[4],
    "sync": ROLES[5],
    "read_only": ROLES[6],
}
