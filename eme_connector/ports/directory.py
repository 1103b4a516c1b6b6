"""The directory: Cerebrates and MISPs that hold it, and what the store keeps of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, Protocol

from eme_connector.domain.cerebrate import Access, Brood, Message
from eme_connector.domain.directory import (
    EncryptionKey,
    Entry,
    RemoteGroup,
    RemoteOrganisation,
    Snapshot,
    Told,
)


class Directory(Protocol):
    """A place that holds organisations and sharing groups: a Cerebrate or a MISP.

    Every call is one or more requests and raises DeliveryError (`permanent` where trying again
    cannot help) when the other side is down, refuses, or did not do what it said it did. Writes
    are idempotent: what is already so is left alone, and what was written is read again. `calls`
    counts the requests made so far.
    """

    name: str
    kind: Literal["cerebrate", "misp"]

    @property
    def calls(self) -> int:
        """How many requests were made so far."""
        ...

    def fetch(self) -> Snapshot:
        """Return everything it lets us see, read anew; never a part of it."""
        ...

    def put_organisation(self, organisation: RemoteOrganisation) -> None:
        """Add or edit it, by uuid; organisations are never deleted."""
        ...

    def put_group(self, group: RemoteGroup) -> None:
        """Add it with its owner, or edit its text, flags and servers; members stay as they are."""
        ...

    def set_members(self, group: str, members: Mapping[str, bool]) -> None:
        """Make these organisations (uuid to extend flag) members of *group*; others stay."""
        ...

    def remove_members(self, group: str, organisations: Collection[str]) -> None:
        """Take these organisations out of *group* on this instance."""
        ...

    def announce(self, group: str) -> None:
        """Give *group* a newer `modified`, so that peers of this instance take the change."""
        ...

    def ping(self) -> None:
        """Raise DeliveryError when it cannot be reached or does not know our key."""
        ...


class KeyStore(Protocol):
    """A Cerebrate's store of public keys; raises as a Directory does."""

    def fetch_keys(self) -> tuple[EncryptionKey, ...]:
        """Return every key that it lets us see, revoked ones too, read anew."""
        ...

    def publish_key(self, key: EncryptionKey) -> EncryptionKey:
        """Make *key* a key of its owner and return it as it stands there.

        One with the same text that is there already is left as it is, revoked or not.
        """
        ...


class Cerebrate(Directory, KeyStore, Protocol):
    """A Cerebrate, which says what our key may see; raises as a Directory does."""

    def access(self) -> Access:
        """Return whose key we have; raise where it sees its own organisation only."""
        ...

    def put_fields(
        self, organisation: str, fields: Mapping[str, tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Set these meta fields of *organisation*; return those that could not be set."""
        ...

    def broods(self) -> tuple[Brood, ...]:
        """Return the Cerebrates that this one knows; needs a community administrator's key."""
        ...

    def inbox(self) -> tuple[Message, ...]:
        """Return what waits for an administrator; needs a community administrator's key."""
        ...

    def outbox(self) -> tuple[Message, ...]:
        """Return what could not be sent; needs an administrator's key."""
        ...


class DirectoryWrites(Protocol):
    """The directory inside a transaction: what each source (a Cerebrate, by name) tells.

    What changed wakes the listeners of the topic `directory`.
    """

    def find_entry(self, kind: type[Told], uuid: str) -> Entry | None:
        """Return what is believed of the thing with *uuid*, or None when nobody tells of it."""
        ...

    def save_entry(self, source: str, what: Told, at: int) -> bool:
        """Keep what *source* tells of one thing; say whether that is new."""
        ...

    def remove_entry(self, source: str, kind: type[Told], uuid: str) -> bool:
        """Forget what *source* told of one thing; say whether it had told anything."""
        ...

    def replace_entries(
        self, source: str, snapshot: Snapshot, keys: Iterable[EncryptionKey], at: int
    ) -> bool:
        """Keep *snapshot* and *keys* as all that *source* tells; say whether that is new."""
        ...


class DirectoryReads(Protocol):
    """Reads of the directory."""

    def directory(self) -> Snapshot:
        """Return the organisations and groups that are believed now."""
        ...

    def directory_entries(self) -> tuple[Entry, ...]:
        """Return the believed organisations and groups, each with its source, by name."""
        ...

    def told_by(self, source: str) -> tuple[Entry, ...]:
        """Return everything that *source* tells, keys too, believed or not."""
        ...

    def directory_version(self) -> int:
        """Return a number that grows with every change of the directory."""
        ...

    def encryption_keys(self, owner: str | None = None) -> tuple[EncryptionKey, ...]:
        """Return the keys of *owner* (uuid), or of everybody; revoked ones too."""
        ...
