"""Look up what an accounting claims: is the value really where it says?"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

from eme_connector.formats.fields import parse_time
from eme_connector.formats.markings import tlp_of
from eme_connector.formats.misp_event.accounting import Accounting
from eme_connector.formats.misp_event.forms import leaves
from eme_connector.formats.misp_event.objects import unescape

Json = dict[str, Any]
_CRITICALITY = re.compile(r"^.*criticality (\d) of 5$")


def check(document: Json, event: Json, book: Accounting) -> None:
    """Raise unless the entries are exactly the leaves, and each says the truth."""
    assert [one.pointer for one in book.entries] == [pointer for pointer, _ in leaves(document)]
    for entry in book.entries:
        if entry.fate == "mapped":
            there = at({"Event": event}, entry.to)
            sent = at(document, entry.pointer)
            assert says(there, sent), f"{entry.pointer} is not at {entry.to}"
        elif entry.fate == "kept":
            assert at({"Event": event}, entry.to)
            assert entry.reason
        else:
            assert entry.fate == "refused"
            assert entry.reason


def at(document: Any, pointer: str) -> Any:
    """Return what *pointer* names; after `#` it goes on inside a file (base64 of JSON)."""
    outer, hash_, within = pointer.partition("#") if "/data#" in pointer else (pointer, "", "")
    found = document
    for part in outer.split("/")[1:]:
        plain = part.replace("~1", "/").replace("~0", "~")
        found = found[int(part)] if isinstance(found, list) else found[plain]
    return at(json.loads(base64.b64decode(found)), within) if hash_ else found


def says(there: Any, sent: Any) -> bool:
    """Say whether *there* tells *sent*, maybe in MISP's form."""
    if type(there) is type(sent) and there == sent:
        return True
    text = unescape(str(there))
    if isinstance(sent, bool):
        return text.endswith((" disabled", " enabled")[sent])
    if isinstance(sent, int | float):
        return _number(_CRITICALITY.sub(r"\1", text)) == float(sent)
    if not isinstance(sent, str):
        return False
    plain = sent.strip().lower()
    forms = {text.lower(), text.rpartition(" ")[2], _CRITICALITY.sub(r"\1", text)}
    return (
        plain in forms
        or (text, True) == tlp_of([sent])
        or f'="{sent}"' in text
        or _moment(text) == _moment(sent) is not None
        or _all_in(sent, text)
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> object:
    found = parse_time(re.sub(r"\+0000$", "Z", text))
    return found[0] if found else None


def _all_in(pattern: str, text: str) -> bool:
    """A STIX pattern is told by the attributes that hold its constants."""
    constants = re.findall(r"'((?:[^'\\]|\\.)*)'", pattern) if pattern[:1] in "[(" else []
    return text in [one.replace("\\\\", "\\").replace("\\'", "'") for one in constants]


def tells(there: Any, sent: Any) -> bool:
    """Say whether a value of STIX tells *sent*, a value of MISP."""
    text, plain = str(there), unescape(str(sent))
    return (
        plain.lower() in text.lower()
        or _number(text) == _number(plain) is not None
        or _moment(text) == (_moment(plain) or _seconds(plain)) is not None
    )


def _seconds(text: str) -> object:
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() else None
