"""A Cerebrate, the Cerebrates that it knows (its broods), and what waits there for a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Reach = Literal["mirror", "reader", "own"]


@dataclass(frozen=True, slots=True)
class Access:
    """Whose key we have, and what it lets us see.

    `reach`: a *mirror* sees every organisation and group, a *reader* every organisation and the
    groups of its own, *own* nothing beyond its own organisation. `may_write`: it can make
    organisations and change every group.
    """

    version: str
    user: str
    organisation: str
    organisation_name: str
    role: str
    reach: Reach
    may_write: bool


@dataclass(frozen=True, slots=True)
class Brood:
    """Another Cerebrate that this one knows; `authkey` is in clear there, so it is never shown."""

    name: str
    url: str
    organisation: str
    trusted: bool
    pull: bool
    authkey: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """An entry of the inbox or the outbox."""

    id: int
    scope: str
    action: str
    title: str
    origin: str
    created: str
