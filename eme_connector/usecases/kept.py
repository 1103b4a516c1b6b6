"""What one source told this sidecar, as a directory that a plan can be carried out at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot


class Kept:
    """Organisations and groups in memory (ports.Directory); nothing is stored before it is asked.

    `snapshot` is what it holds now; organisations are whole, meta fields and contacts too.
    """

    kind: Literal["cerebrate", "misp"] = "cerebrate"
    calls = 0

    def __init__(self, name: str, told: Snapshot) -> None:
        self.name = name
        self._organisations = dict(told.organisations)
        self._groups = dict(told.groups)

    def fetch(self) -> Snapshot:
        """Return what it holds."""
        return Snapshot(dict(self._organisations), dict(self._groups))

    def put_organisation(self, organisation: RemoteOrganisation) -> None:
        """Add or replace it."""
        self._organisations[organisation.uuid] = organisation

    def put_group(self, group: RemoteGroup) -> None:
        """Add it without members, or replace all but its members."""
        known = self._groups.get(group.uuid)
        self._groups[group.uuid] = replace(group, members=known.members if known else {})

    def set_members(self, group: str, members: Mapping[str, bool]) -> None:
        """Make these organisations members of *group*."""
        known = self._groups[group]
        self._groups[group] = replace(known, members={**known.members, **members})

    def remove_members(self, group: str, organisations: Collection[str]) -> None:
        """Take these organisations out of *group*."""
        known = self._groups[group]
        left = {uuid: flag for uuid, flag in known.members.items() if uuid not in organisations}
        self._groups[group] = replace(known, members=left)

    def announce(self, group: str) -> None:
        """Do nothing: who reads the store hears of every change."""

    def ping(self) -> None:
        """Do nothing: it is here."""
