"""What we owe to outside systems, and how one delivery moves (ARCHITECTURE section 1).

    owed -> sending -> delivered | owed again (surely not sent) | refused | uncertain
    owed -> withdrawn | dead | dropped

`sending` with a fence is committed before the first byte. A person's retry is a new delivery.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from eme_connector.domain.threat import Execution

DeliveryKind = Literal["dispatch", "share", "peer", "misp", "misp-check", "misp-feedback"]
SHARE_LANE = "share"
MISP_LANE = "misp"
FEEDBACK_LANE = "misp-feedback"


class State(StrEnum):
    """Where a delivery stands."""

    OWED = "owed"
    SENDING = "sending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    WITHDRAWN = "withdrawn"
    DEAD = "dead"
    DROPPED = "dropped"


OPEN = frozenset({State.OWED, State.SENDING})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing owed to one target.

    `lane` names the target (`share`, `orchestrator:NAME`, `peer:ORGANISATION`, `misp`,
    `misp:ORGANISATION` for a look into a member's MISP). `key` is a uuid of our own: the
    idempotency key that the receiver sees, the same at every attempt. `payload` are the exact
    content bytes, fixed when the delivery was made; empty for a share, which is expanded when its
    turn comes, and for MISP, where the newest state is sent and looked for. `digest`
    is the dispatch digest. `fence` grows with each lease: a finish with an old one changes
    nothing. Times are seconds since 1970. `asking` says that we are only looking up whether it
    has arrived, never sending.
    """

    id: int
    key: str
    lane: str
    kind: DeliveryKind
    threat_id: str
    sequence: int
    state: State = State.OWED
    payload: bytes = b""
    digest: str = ""
    organisation: str = ""
    attempts: int = 0
    next_at: float = 0.0
    fence: int = 0
    lease_until: float = 0.0
    created_at: float = 0.0
    sent_at: float | None = None
    settle_until: float | None = None
    asking: bool = False
    reason: str = ""
    receipt: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the other side answered: its own reference, and anything worth keeping."""

    reference: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a running playbook: what is shown per step, whether it is over."""

    execution: Execution
    steps: dict[str, str] = field(default_factory=dict)
    over: bool = False
    ask_again_at: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The receiver has it."""

    receipt: Receipt
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """The receiver surely does not have it."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The receiver cannot say."""

    reason: str = ""


LookUp = Found | Absent | Unknown


def backoff(attempts: int, jitter: float, *, first: float = 1.0, most: float = 300.0) -> float:
    """Return seconds to wait after *attempts* tries: doubling, capped, *jitter* in 0-1 adds
    up to half again so that many do not come back at once.
    """
    wait: float = min(most, first * 2.0 ** max(0, min(attempts - 1, 30)))
    return wait * (1 + jitter / 2)
