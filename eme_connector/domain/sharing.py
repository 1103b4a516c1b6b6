"""Organisations and sharing groups as our registers know them, and how a group is chosen (C1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from eme_connector.domain.directory import GroupServer
from eme_connector.domain.threat import Kind, Tlp


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
    `contacts` is what Cerebrate says of how to reach it, for people.
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
    contacts: str = ""

    @property
    def sidecar(self) -> str:
        """The organisation whose sidecar speaks for this one."""
        return self.served_by or self.uuid

    def is_called(self, name: str) -> bool:
        """Say whether *name* is this organisation's uuid, exact name or a configured alias."""
        return name in (self.uuid, self.name) or name in self.aliases


@dataclass(frozen=True, slots=True)
class SharingGroup:
    """A sharing group: its uuid, name, and the uuids of its member organisations.

    `extending` are members that may add others. `roaming` and `servers` say how it travels over
    MISP: to any instance, or to those whose URL text stands in it. Nothing stricter than `cap` is
    put into it.
    """

    uuid: str
    name: str
    members: frozenset[str]
    extending: frozenset[str] = frozenset()
    roaming: bool = False
    servers: frozenset[GroupServer] = frozenset()
    active: bool = True
    cap: Tlp | None = None


@dataclass(frozen=True, slots=True)
class MispInstance:
    """A MISP that our own pushes to, or our own.

    `url` is its own base URL, `known_as` that of our server entry for it: groups are compared with
    both, as texts. `host` is the organisation that our server entry names, `carrier` that of the
    sync user by whom we push. `organisations` have users there. `relayed`: the relay keeps our
    groups there, so no push has to bring them.
    """

    url: str
    host: str
    carrier: str
    organisations: frozenset[str]
    known_as: str = ""
    relayed: bool = False

    @property
    def entry(self) -> str:
        """The URL of our server entry for it."""
        return self.known_as or self.url


@dataclass(frozen=True, slots=True)
class Topology:
    """What viewers() looks at: organisations and groups by uuid, our MISP and those behind it."""

    organisations: Mapping[str, Organisation] = field(default_factory=dict)
    groups: Mapping[str, SharingGroup] = field(default_factory=dict)
    misp: MispInstance | None = None
    behind: tuple[MispInstance, ...] = ()

    def find_organisation(self, name: str) -> Organisation | None:
        """Return the organisation with this uuid, exact name or alias, or None."""
        return next((one for one in self.organisations.values() if one.is_called(name)), None)


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
