"""What is written down about every decision: append-only records (F2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One thing that happened, as people read it on the timeline.

    `event` is a fixed word (`received`, `revised`, `approved`, `declined`, `dispatched`, ...);
    `by` an account, a token's name, `policy` or a target's lane; `at` µs since 1970. `detail`
    holds ids, states and reasons, never content of a detection.
    """

    event: str
    at: int
    by: str
    organisation: str
    threat_id: str | None = None
    revision: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)
