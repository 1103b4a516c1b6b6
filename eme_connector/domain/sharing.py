"""Who may see a threat: the members of its sharing group, and nobody else (C1, C5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from eme_connector.domain.threat import Kind, Threat, Tlp

NAMED_ONLY = frozenset({Tlp.AMBER_STRICT, Tlp.RED})


@dataclass(frozen=True, slots=True)
class RegisteredAsset:
    """An asset as its organisation registered it; `criticality` is 1-5 with 5 highest."""

    criticality: int
    address: str = ""
    device: str = ""
    type: str = ""
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GroupRule:
    """Choose *group* for threats of this type, tag or marking; an empty member matches all."""

    group: str
    type: Kind | None = None
    tag: str = ""
    tlp: Tlp | None = None


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation as our own registers know it; compared by uuid, name or alias only.

    `served_by` is the organisation whose sidecar sends and receives for it; None: its own.
    """

    uuid: str
    name: str
    role: Literal["ci", "cert"] = "ci"
    aliases: frozenset[str] = frozenset()
    sector: str = ""
    location: str = ""
    default_group: str | None = None
    group_rules: tuple[GroupRule, ...] = ()
    assets: tuple[RegisteredAsset, ...] = ()
    served_by: str | None = None

    @property
    def sidecar(self) -> str:
        """The organisation whose sidecar speaks for this one."""
        return self.served_by or self.uuid

    def is_called(self, name: str) -> bool:
        """Say whether *name* is this organisation's uuid, exact name or a configured alias."""
        return name in (self.uuid, self.name) or name in self.aliases


@dataclass(frozen=True, slots=True)
class SharingGroup:
    """A sharing group: its uuid, name, and the uuids of its member organisations."""

    uuid: str
    name: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Viewer:
    """An organisation that will see a threat, and the rule that lets it."""

    organisation: str
    rule: Literal["member", "named"]


@dataclass(frozen=True, slots=True)
class Topology:
    """What viewers() looks at: organisations and groups by uuid."""

    organisations: Mapping[str, Organisation] = field(default_factory=dict)
    groups: Mapping[str, SharingGroup] = field(default_factory=dict)

    def find_organisation(self, name: str) -> Organisation | None:
        """Return the organisation with this uuid, exact name or alias, or None."""
        return next((one for one in self.organisations.values() if one.is_called(name)), None)


def viewers(threat: Threat, topology: Topology) -> tuple[Viewer, ...]:
    """Return who else will see *threat*: members of its group; for AMBER+STRICT and RED only
    those of them that a person named. No group, or one we do not know, is nobody.
    """
    group = topology.groups.get(threat.group or "")
    if group is None:
        return ()
    others = sorted(group.members - {threat.organisation})
    if threat.tlp in NAMED_ONLY:
        return tuple(Viewer(one, "named") for one in others if one in threat.recipients)
    return tuple(Viewer(one, "member") for one in others)


def choose_group(
    organisation: Organisation, kind: Kind, tags: frozenset[str], tlp: Tlp
) -> str | None:
    """Return the group a new threat is for: the first rule that matches, else the default."""
    for rule in organisation.group_rules:
        if (
            rule.type in (None, kind)
            and rule.tlp in (None, tlp)
            and (not rule.tag or rule.tag in tags)
        ):
            return rule.group
    return organisation.default_group
