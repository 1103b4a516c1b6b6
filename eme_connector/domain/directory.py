"""Organisations and sharing groups, as each Cerebrate and each MISP holds them (C1, C4).

Identity is the uuid, in lower case; numeric ids belong to one instance and stay in its adapter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

_CONSTITUENCY = tuple(
    f"CSIRT Constituency/{name}" for name in ("IPv4 address", "IPv6 address", "AS Number", "Domain")
)


@dataclass(frozen=True, slots=True)
class RemoteOrganisation:
    """An organisation as a Cerebrate or a MISP knows it; `local` is MISP's flag (has users).

    `contacts` and `fields` (meta field, as "template/field", to its values) exist in Cerebrate
    only: two organisations that differ in nothing else are equal.
    """

    uuid: str
    name: str
    nationality: str = ""
    sector: str = ""
    type: str = ""
    url: str = ""
    local: bool = False
    contacts: str = field(default="", compare=False)
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @property
    def constituency(self) -> tuple[str, ...]:
        """Addresses (CIDR), AS numbers and domains that it answers for."""
        return tuple(value for name in _CONSTITUENCY for value in self.fields.get(name, ()))


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
    """Everything one side holds at one moment, by uuid.

    `servers` are the URLs that groups of a MISP may name: its own ("") and its server entries.
    """

    organisations: Mapping[str, RemoteOrganisation] = field(default_factory=dict)
    groups: Mapping[str, RemoteGroup] = field(default_factory=dict)
    servers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Individual:
    """A person in a Cerebrate, and the organisations (uuids) that they belong to."""

    uuid: str
    email: str
    first_name: str = ""
    last_name: str = ""
    position: str = ""
    organisations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A public key in a Cerebrate's key store, of an organisation or an individual (uuid).

    `text` is as it was put there: an armoured PGP key or a PEM certificate. `expires` is in
    seconds since 1970; None: never.
    """

    uuid: str
    kind: Literal["pgp", "smime"]
    owner: str
    text: str
    of_individual: bool = False
    revoked: bool = False
    expires: int | None = None

    def is_usable(self, now: float) -> bool:
        """Say whether it is neither revoked nor expired."""
        return not self.revoked and (self.expires is None or now < self.expires)


Told = RemoteOrganisation | RemoteGroup | EncryptionKey
"""What a source may tell of."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one source, such as a Cerebrate, says of one thing in our directory.

    `since` is when the source first said something of it, `at` when it last said something new
    (both µs since 1970).
    """

    source: str
    what: Told
    since: int
    at: int


def settle(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return one entry for each thing, by name: the source that spoke of it first is believed.

    So no other Cerebrate can change who is in a group. A key is revoked as soon as one of them
    says so.
    """
    found: dict[tuple[type, str], Entry] = {}
    for entry in sorted(entries, key=lambda one: (one.since, one.source)):
        key = type(entry.what), entry.what.uuid
        believed = found.setdefault(key, entry)
        if isinstance(believed.what, EncryptionKey) and _is_revoked(entry.what):
            found[key] = replace(believed, what=replace(believed.what, revoked=True))
    return tuple(sorted(found.values(), key=lambda one: (_name(one.what), one.what.uuid)))


def snapshot(entries: Iterable[Entry]) -> Snapshot:
    """Return the organisations and groups among *entries*, which are settled."""
    things = [entry.what for entry in entries]
    return Snapshot(
        organisations={one.uuid: one for one in things if isinstance(one, RemoteOrganisation)},
        groups={one.uuid: one for one in things if isinstance(one, RemoteGroup)},
    )


def _is_revoked(what: Told) -> bool:
    return isinstance(what, EncryptionKey) and what.revoked


def _name(what: Told) -> str:
    return "" if isinstance(what, EncryptionKey) else what.name
