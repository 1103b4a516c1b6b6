"""A Cerebrate as a directory of organisations, groups and keys (ports.Directory, ports.KeyStore).

Nothing there tells what changed: membership has no timestamp, a deletion no trace. So everything
is read anew each time, and a list that may be short is an error, never a smaller list.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sized
from typing import Literal

from eme_connector.adapters.cerebrate.client import CerebrateClient
from eme_connector.adapters.cerebrate.connection import Refused
from eme_connector.adapters.cerebrate.shapes import TemplateField, plain
from eme_connector.domain.cerebrate import Access, Brood, Message
from eme_connector.domain.directory import (
    EncryptionKey,
    RemoteGroup,
    RemoteOrganisation,
    Snapshot,
)
from eme_connector.errors import DeliveryError


class CerebrateDirectory:
    """One Cerebrate with one key; numeric ids are looked up once and stay in here."""

    kind: Literal["cerebrate", "misp"] = "cerebrate"

    def __init__(self, name: str, client: CerebrateClient) -> None:
        self.name = name
        self.client = client
        self._organisations: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        """How many requests were made so far."""
        return self.client.connection.calls

    def access(self) -> Access:
        """Return whose key this is, and whether it sees all (mirror) or its own (reader).

        Raises:
            DeliveryError: `key-sees-too-little` where it sees its own organisation only.
        """
        found = self.client.access()
        if found.reach == "own":
            raise DeliveryError(
                "key-sees-too-little", f"role {found.role} needs perm_view_all_orgs", permanent=True
            )
        return found

    def fetch(self) -> Snapshot:
        """Return every organisation, and every group that the key may see, read anew."""
        every = self.access().reach == "mirror"
        groups = self.client.groups(every=every)
        # after the groups: whoever joined one meanwhile is among them
        organisations = self.client.organisations()
        with self._lock:
            self._organisations = {one.uuid: number for number, one in organisations.items()}
            self._groups = {one.uuid: number for number, one in groups.items()}
        _check_unique(organisations, self._organisations)
        _check_unique(groups, self._groups)
        return Snapshot(
            {one.uuid: one for one in organisations.values()},
            {one.uuid: one for one in groups.values()},
        )

    def put_organisation(self, organisation: RemoteOrganisation) -> None:
        """Add or edit it, by uuid, contacts too; meta fields stay as they are."""
        known = self.client.find_organisation(organisation.uuid)
        if known is None:
            number = self.client.add_organisation(organisation)
        else:
            number, before = known
            if (before, before.contacts) != (organisation, organisation.contacts):
                self.client.edit_organisation(number, organisation)
        self._organisations[organisation.uuid] = number

    def put_fields(
        self, organisation: str, fields: Mapping[str, tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Set these meta fields of *organisation*; return those that could not be set.

        A value that this Cerebrate would refuse is not sent: it would delete the old one first.
        """
        known = {one.path: one for one in self.client.template_fields()}
        wanted = {known[path]: values for path, values in fields.items() if path in known}
        wanted = {field: values for field, values in wanted.items() if field.takes(values)}
        number = self._organisation(organisation)
        before = self.client.organisation(number).fields
        changed = {one: values for one, values in wanted.items() if before.get(one.path) != values}
        if changed:
            self._set_fields(number, changed, before)
        now = self.client.organisation(number).fields if changed else before
        return tuple(path for path, values in fields.items() if now.get(path) != values)

    def _set_fields(
        self,
        number: int,
        changed: Mapping[TemplateField, tuple[str, ...]],
        before: Mapping[str, tuple[str, ...]],
    ) -> None:
        try:
            self.client.set_fields(number, changed)
        except Refused:
            old = {one: before[one.path] for one in changed if one.path in before}
            if old:
                self.client.set_fields(number, old)

    def put_group(self, group: RemoteGroup) -> None:
        """Add it with its owner, or edit its texts; raises where it belongs to somebody else."""
        known = self.client.find_group(group.uuid)
        if known is None:
            number = self.client.add_group(group, self._organisation(group.owner))
        else:
            number, before = known
            if before.owner != group.owner:
                raise DeliveryError(
                    "owner-cannot-change", f"{self.name} keeps {before.owner}", permanent=True
                )
            if _texts(before) != _texts(group):
                self.client.edit_group(number, group)
        self._groups[group.uuid] = number

    def set_members(self, group: str, members: Mapping[str, bool]) -> None:
        """Make these organisations members of *group*, each with its extend flag."""
        number = self._group(group)
        for extend in (False, True):
            wanted = sorted(uuid for uuid, flag in members.items() if flag is extend)
            if wanted:
                numbers = [self._organisation(uuid) for uuid in wanted]
                self.client.add_members(number, numbers, extend=extend)

    def remove_members(self, group: str, organisations: Collection[str]) -> None:
        """Take *organisations* out of *group*, and look whether they are gone."""
        number = self._group(group)
        for uuid in sorted(self.client.group(number).members.keys() & set(organisations)):
            self.client.remove_member(number, self._organisation(uuid))
        if self.client.group(number).members.keys() & set(organisations):
            raise DeliveryError("not-as-asked", "some are still members")

    def announce(self, group: str) -> None:
        """Do nothing: whoever reads a Cerebrate reads the whole of it."""

    def ping(self) -> None:
        """Raise DeliveryError when it cannot be reached, or its key sees too little."""
        self.access()

    def fetch_keys(self) -> tuple[EncryptionKey, ...]:
        """Return every public key, revoked ones too."""
        return tuple(key for _, key in self.client.encryption_keys())

    def publish_key(self, key: EncryptionKey) -> EncryptionKey:
        """Make *key* one of its organisation's, unless it stands there already."""
        text = plain(key.text)
        for _, known in self.client.encryption_keys():
            if (known.owner, known.text) == (key.owner, text):
                return known
        wanted = EncryptionKey(key.uuid, key.kind, key.owner, text)
        return self.client.add_key(wanted, self._organisation(key.owner))

    def broods(self) -> tuple[Brood, ...]:
        """Return the Cerebrates that this one knows; needs a community administrator's key."""
        return self.client.broods()

    def inbox(self) -> tuple[Message, ...]:
        """Return what waits for an administrator; needs a community administrator's key."""
        return self.client.inbox()

    def outbox(self) -> tuple[Message, ...]:
        """Return what could not be sent; needs an administrator's key."""
        return self.client.outbox()

    def close(self) -> None:
        """Close the connections that are kept."""
        self.client.connection.close()

    def _organisation(self, uuid: str) -> int:
        if uuid not in self._organisations:
            known = self.client.find_organisation(uuid)
            if known is None:
                raise DeliveryError("organisation-missing", uuid, permanent=True)
            self._organisations[uuid] = known[0]
        return self._organisations[uuid]

    def _group(self, uuid: str) -> int:
        if uuid not in self._groups:
            known = self.client.find_group(uuid)
            if known is None:
                raise DeliveryError("group-missing", uuid, permanent=True)
            self._groups[uuid] = known[0]
        return self._groups[uuid]


def _texts(group: RemoteGroup) -> tuple[object, ...]:
    return group.name, group.releasability, group.description, group.active


def _check_unique(rows: Sized, found: Sized) -> None:
    if len(rows) != len(found):
        raise DeliveryError("uuid-twice", "two rows differ in the case of their uuid only")
