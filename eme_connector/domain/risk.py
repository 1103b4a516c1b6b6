"""Rank a threat: risk x criticality x confidence, with the factors shown (A5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

MAX_CRITICALITY = 5
CriticalityOrder = Literal["ascending", "descending"]


class Band(StrEnum):
    """The word beside a rank: low < 25 <= medium < 50 <= high < 75 <= critical."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Rank:
    """`value` is 0-100 with one decimal; the factors are what it was made of."""

    value: float
    risk_score: float
    criticality: int
    confidence: int

    @property
    def band(self) -> Band:
        """Return the word for the value."""
        return band_of(self.value)


def rank(risk_score: float, criticality: int, confidence: int) -> Rank:
    """Return risk/10 x criticality/5 x confidence/100 x 100.

    *risk_score* is 0-10, *criticality* 1-5 with 5 highest, *confidence* 0-100.
    """
    value = risk_score / 10 * criticality / MAX_CRITICALITY * confidence
    return Rank(round(value, 1), risk_score, criticality, confidence)


def band_of(value: float) -> Band:
    """Return the word for a rank of 0-100."""
    if value < 25:
        return Band.LOW
    if value < 50:
        return Band.MEDIUM
    return Band.HIGH if value < 75 else Band.CRITICAL


def normalise_criticality(value: int, order: CriticalityOrder) -> int:
    """Return *value* (1-5) on our scale, 5 highest; *descending* means that 1 was the highest."""
    return value if order == "ascending" else MAX_CRITICALITY + 1 - value
