"""What the relay of sharing groups remembers between two cycles, for each target (C4).

A *target* is a MISP or a Cerebrate that is to hold the source's groups, known by its short name.
A *subject* is one entry there: `group/UUID` or `organisation/UUID`. Times are µs since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation

Json = dict[str, Any]
RunKind = Literal["apply", "undo"]
RunState = Literal["running", "done", "failed"]
WriteState = Literal["sending", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A member that the relay took out of a group; `came_back` counts its resurrections."""

    group: str
    organisation: str
    at: int
    came_back: int = 0


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why steps on one subject wait: seen in `cycles` cycles, while the source says the same.

    `content` is the fingerprint of what the source says about it; another one ends the doubt.
    `undone` is a person's: it never ends by waiting.
    """

    subject: str
    reason: str
    content: str
    cycles: int
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that is remembered about one target.

    `organisations` and `groups` hold what source and target last agreed on, by uuid.
    `unannounced` are groups (uuids) that were changed and not announced to the target's peers.
    """

    organisations: Mapping[str, RemoteOrganisation] = field(default_factory=dict)
    groups: Mapping[str, RemoteGroup] = field(default_factory=dict)
    tombstones: frozenset[Tombstone] = frozenset()
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    unannounced: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Write:
    """One named change at a target within a run: what it was before, what it was to be after.

    `word` is the difference's word, `call` numbers the call that carried it.
    """

    number: int
    call: int
    word: str
    subject: str
    member: str
    before: Any
    after: Any
    state: WriteState = "sending"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One apply or undo at one target: who, when, how it ended, how many calls it took."""

    id: str
    target: str
    kind: RunKind
    by: str
    started_at: int
    lease_until: int
    state: RunState = "running"
    ended_at: int = 0
    calls: int = 0
    reason: str = ""
    undoes: str = ""


@dataclass(frozen=True, slots=True)
class Carried:
    """The groups of a disconnected site, as its signed file brought them here.

    `serial` grows with each export of one signer; an older file is refused.
    """

    signer: str
    serial: int
    organisation: str
    at: int
    body: Json
