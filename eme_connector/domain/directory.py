"""Organisations and sharing groups, as each Cerebrate and each MISP holds them (C1, C4).

Identity is the uuid, in lower case; numeric ids belong to one instance and stay in its adapter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RemoteOrganisation:
    """An organisation as a Cerebrate or a MISP knows it; `local` is MISP's flag (has users)."""

    uuid: str
    name: str
    nationality: str = ""
    sector: str = ""
    type: str = ""
    url: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class GroupServer:
    """A MISP that a group names, matched by its exact URL string; "" is the MISP itself."""

    url: str
    all_orgs: bool = False


@dataclass(frozen=True, slots=True)
class RemoteGroup:
    """A sharing group: `members` maps organisation uuid to its extend flag.

    `roaming` and `servers` exist in MISP only; a Cerebrate leaves them at their defaults.
    """

    uuid: str
    name: str
    owner: str
    members: Mapping[str, bool] = field(default_factory=dict)
    releasability: str = ""
    description: str = ""
    active: bool = True
    roaming: bool = False
    servers: frozenset[GroupServer] = frozenset()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the content that is relayed; never over anybody's `modified`."""
        content = [
            self.uuid,
            self.name,
            self.owner,
            self.releasability,
            self.description,
            self.active,
            sorted(self.members.items()),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one side holds at one moment, by uuid."""

    organisations: Mapping[str, RemoteOrganisation] = field(default_factory=dict)
    groups: Mapping[str, RemoteGroup] = field(default_factory=dict)
