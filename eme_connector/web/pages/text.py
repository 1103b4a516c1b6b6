"""Text from outside, shown so that it can neither act nor mislead."""

from __future__ import annotations

import json
import unicodedata

from markupsafe import Markup, escape

_LAYOUT = frozenset("\n\t")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def inert(text: object) -> str:
    """Return *text* with every character that hides or reorders others spelled out.

    Bidi controls, zero-width and other invisible characters become ⟨U+202E⟩ and the like.
    """
    return "".join(_spelled(char) if _is_hidden(char) else char for char in str(text))


def foreign(text: object) -> Markup:
    """Return text from outside for a page: escaped, spelled out, its direction kept inside."""
    parts = [
        Markup('<span class="cp">{}</span>').format(_spelled(char))
        if _is_hidden(char)
        else escape(char)
        for char in _runs(str(text))
    ]
    return Markup("<bdi>{}</bdi>").format(Markup("").join(parts))


def pretty(raw: bytes) -> str:
    """Return JSON bytes indented for reading, or the text itself where it is not JSON."""
    text = raw.decode("utf-8", errors="backslashreplace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def short_id(uuid: str) -> str:
    """Return the first part of a uuid, enough to tell threats apart by eye."""
    return uuid.partition("-")[0]


def _is_hidden(char: str) -> bool:
    if len(char) > 1 or char in _LAYOUT:
        return False
    return char in _BLANK or unicodedata.category(char) in _HIDDEN


def _spelled(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩"


def _runs(text: str) -> list[str]:
    """Split *text* into hidden characters and the runs between them."""
    runs: list[str] = []
    start = 0
    for index, char in enumerate(text):
        if _is_hidden(char):
            runs += [text[start:index], char]
            start = index + 1
    return [run for run in [*runs, text[start:]] if run]
