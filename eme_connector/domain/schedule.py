"""Work that repeats: what is known of each job's last turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Turn:
    """The last turn of one job; times are µs since 1970, 0 = never.

    It is held until `lease_until` by whoever counted `fence` up. `reason` says in a short fixed
    word why it failed, `detail` is the job's own, for people.
    """

    job: str
    fence: int = 0
    started_at: int = 0
    lease_until: int = 0
    ended_at: int = 0
    succeeded_at: int = 0
    state: Literal["running", "done", "failed"] = "running"
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def is_held(self, now: int) -> bool:
        """Say whether somebody is at it."""
        return self.state == "running" and now < self.lease_until
