"""Two sidecars become peers in three steps, carried by their Cerebrates (C6).

One side *offers* (signed, with a code of its own), the other *answers* (signed, over the very
offer), the first *confirms* to the second (signed, over the very answer) and only then is either
a peer of the other. Each step proves the key of the certificate that it brings. The code alone
opens nothing: it is good for one answer by one key, and for a quarter of an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from eme_connector.errors import Conflict


class Stage(StrEnum):
    """How far a handshake has come; *bound*: one key has answered and is being told."""

    OPEN = "open"
    BOUND = "bound"
    FINALISED = "finalised"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Handshake:
    """One handshake as one side keeps it.

    `role` says who offered. `offer` and `answer` are the signed texts; `organisation` and what
    follows it are the other side's, empty until it has shown itself. Times are µs since 1970.
    """

    code: str
    role: Literal["ours", "theirs"]
    organisation: str
    stage: Stage
    offer: str
    created_at: int
    created_by: str
    expires_at: int
    answer: str = ""
    name: str = ""
    url: str = ""
    certificate: str = ""
    fingerprint: str = ""

    def state(self, at: int) -> str:
        """Return its stage, or `expired` for one that nobody finished in time."""
        if self.stage in (Stage.OPEN, Stage.BOUND) and at >= self.expires_at:
            return "expired"
        return str(self.stage)

    def need_open(self, at: int) -> None:
        """Raise Conflict unless it can still go on."""
        state = self.state(at)
        if state not in (Stage.OPEN, Stage.BOUND):
            raise Conflict(f"this handshake is {state}; begin a new one")

    def bind(self, other: Handshake, at: int) -> Handshake:
        """Return it bound to the key and the answer of *other*; the first one counts.

        Raises:
            Conflict: it is over, or another key or another answer was here before.
        """
        self.need_open(at)
        if self.stage is Stage.BOUND and self.answer != other.answer:
            raise Conflict("this code was answered already; begin a new handshake")
        return replace(other, stage=Stage.BOUND)

    def finalise(self) -> Handshake:
        """Return it finalised."""
        return replace(self, stage=Stage.FINALISED)
