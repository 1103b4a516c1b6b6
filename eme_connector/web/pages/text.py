"""Text from outside, shown so that it can neither act nor mislead."""

from __future__ import annotations

import json
import re
import unicodedata

from markupsafe import Markup, escape

# looked at one by one; everything else is printable ASCII
_DOUBTFUL = re.compile(r"[^\n\t\x20-\x7e]")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def inert(text: object) -> str:
    """Return *text* with every character that hides or reorders others spelled out.

    Bidi controls, zero-width and other invisible characters become ⟨U+202E⟩ and the like.
    """
    return _DOUBTFUL.sub(lambda found: _spelled(found[0], "{}"), str(text))


def foreign(text: object) -> Markup:
    """Return text from outside for a page: escaped, spelled out, its direction kept inside."""
    marked = '<span class="cp">{}</span>'
    safe = _DOUBTFUL.sub(lambda found: _spelled(found[0], marked), str(escape(str(text))))
    return Markup("<bdi>{}</bdi>").format(Markup(safe))  # noqa: S704 - escaped a line above


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


def _spelled(char: str, marked: str) -> str:
    hidden = char in _BLANK or unicodedata.category(char) in _HIDDEN
    return marked.format(f"⟨U+{ord(char):04X}⟩") if hidden else char
