"""Who may do what: one table; a role is a set of rights, a token carries them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from eme_connector.domain.risk import CriticalityOrder
from eme_connector.errors import NotAllowed


class Right(StrEnum):
    """The rights of ARCHITECTURE section 3."""

    INGEST = "ingest"
    READ = "read"
    DECIDE = "decide"
    SHARE = "share"
    SYNC = "sync"
    ENROL = "enrol"
    RESULT = "result"
    POLICY = "policy"
    ADMIN = "admin"
    AUDIT = "audit"


PEOPLE_ONLY = frozenset({Right.DECIDE})
ROLES: dict[str, frozenset[Right]] = {
    "viewer": frozenset({Right.READ}),
    "operator": frozenset({Right.READ, Right.DECIDE, Right.SHARE}),
    "admin": frozenset(
        {
            Right.READ,
            Right.DECIDE,
            Right.SHARE,
            Right.POLICY,
            Right.ADMIN,
            Right.AUDIT,
        }
    ),
    "auditor": frozenset({Right.READ, Right.AUDIT}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, already proven: bound to one organisation.

    `name` is the account's or the token's name. `criticality_order` belongs to an ingest token,
    `orchestrator` to a result token: neither is ever taken from a message.
    """

    kind: Literal["person", "token"]
    id: str
    name: str
    organisation: str
    rights: frozenset[Right]
    criticality_order: CriticalityOrder = "ascending"
    orchestrator: str = ""

    def need(self, right: Right) -> None:
        """Raise NotAllowed unless the caller has *right*; deciding needs a person besides."""
        if right not in self.rights or (right in PEOPLE_ONLY and self.kind != "person"):
            raise NotAllowed(f"this needs the right “{right}”")
