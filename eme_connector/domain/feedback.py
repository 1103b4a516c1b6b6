"""What a member of the group says back about a threat that it was shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SOURCE = "EME"
MAX_TEXT = 2_000
SIGHTING, FALSE_POSITIVE = "0", "1"


class Word(StrEnum):
    """What is said: two travel as a sighting, a comment as an event of its own."""

    HANDLED = "handled"
    FALSE_POSITIVE = "false-positive"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing said; *id* is a uuid of our own, by which a repeat is known.

    *event* is the uuid of the event in our MISP that it is about.
    """

    id: str
    word: Word
    text: str
    event: str

    @property
    def source(self) -> str:
        """The source of its sighting, as people and sidecars read it."""
        return f"{SOURCE}:{self.word}:{self.id}"

    @property
    def sighting_kind(self) -> str:
        """MISP's type of sighting for it."""
        return FALSE_POSITIVE if self.word is Word.FALSE_POSITIVE else SIGHTING


def word_of(source: str) -> str:
    """Return the word in a sighting's source where a sidecar wrote it, else an empty text."""
    parts = source.split(":")
    known = {str(one) for one in Word}
    return parts[1] if len(parts) >= 2 and parts[0] == SOURCE and parts[1] in known else ""
