"""What a target of each kind can hold, and how the relay is to treat it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from eme_connector.domain.directory import RemoteOrganisation

NAME_LENGTH = 255
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
MISP_FIELDS = ("nationality", "sector", "type")
CEREBRATE_FIELDS = (*MISP_FIELDS, "url", "contacts")
Key = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Terms:
    """One target's terms.

    `groups` limits what is relayed (empty: all that the source shows). `organisations` are those
    that take part in relayed groups, or `all`. `only_new`: what the target has already stays as
    it is. A MISP's groups roam, or name `servers` (exact URLs). A list that loses more than
    `share` of its members at once is doubted for `cycles` cycles, which count when they are
    `spacing` µs apart.
    """

    target: str
    kind: Literal["misp", "cerebrate"] = "misp"
    roaming: bool = False
    servers: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    organisations: Literal["members", "all"] = "members"
    only_new: bool = False
    share: float = 0.25
    cycles: int = 3
    spacing: int = 30_000_000

    @property
    def is_misp(self) -> bool:
        """MISP keeps servers, wants unique names, and cannot switch a group off."""
        return self.kind == "misp"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of an organisation that the target keeps, besides its name."""
        return MISP_FIELDS if self.is_misp else CEREBRATE_FIELDS

    def takes(self, group: str) -> bool:
        """Say whether this group is relayed to the target."""
        return not self.groups or group in self.groups

    def text(self, value: str) -> str:
        """Return *value* as the target can keep it.

        MISP's columns hold no character beyond the basic plane: it answers 500, or keeps `?`.
        """
        if not self.is_misp:
            return value
        return _ASTRAL.sub(lambda found: f"\\u{{{ord(found[0]):X}}}", value)

    def line(self, value: str) -> str:
        """Return *value* as the target can keep it in a short column."""
        found = self.text(value)
        return found[:NAME_LENGTH] if self.is_misp else found

    def name_of(self, organisation: RemoteOrganisation) -> str:
        """Return the organisation's name as the target can keep it; MISP takes no empty one."""
        return self.line(organisation.name.strip() or organisation.uuid)

    @property
    def organisation_key(self) -> Key | None:
        """By what two organisations have one name there; None: names need not be unique."""
        return _binary if self.is_misp else None

    @property
    def group_key(self) -> Key | None:
        """By what two groups have one name there; None: names need not be unique."""
        return _alike if self.is_misp else None


def _binary(name: str) -> str:
    """MISP compares organisations' names byte by byte, but for spaces at the end."""
    return name.rstrip(" ")


def _alike(name: str) -> str:
    """MISP compares groups' names without case and accents."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)).rstrip(" ")
