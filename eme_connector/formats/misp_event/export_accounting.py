"""Where every leaf of a MISP event went in the STIX bundle that `export` makes of it.

There is no file beside a STIX bundle that could keep what has no place, so a leaf is either found
in the bundle or refused with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eme_connector.formats.misp_event.accounting import Accounting, Entry
from eme_connector.formats.misp_event.export import Exported, render
from eme_connector.formats.misp_event.forms import leaves
from eme_connector.formats.misp_event.objects import OWN_ORGANISATION, Json, unescape
from eme_connector.formats.misp_event.places import TAG_VALUE, constants, moment_of

_CONTENT = frozenset(
    {"value", "info", "name", "content", "comment", "data", "first_seen", "last_seen", "date",
     "timestamp", "publish_timestamp", "uuid", "type", "category"}
)  # fmt: skip
_AT_HOME = "stays at home (distribution 0)"
_NO_FIELD = "STIX has no field that says it"
_OF_MISP = "is MISP's own, STIX has no field for it"


def explain(document: Json, *, base_url: str) -> tuple[Exported, Accounting]:
    """Return (the bundle made of the one event in *document*, what became of every leaf)."""
    exported = render([document], base_url=base_url)
    index = dict(_index(exported.bundle))
    base = "/Event" if "Event" in document else ""
    refused = {
        f"{base}{pointer.removeprefix('/0')}": why for pointer, why in exported.refused.items()
    }
    refused |= dict.fromkeys(_hidden(document.get("Event", document), base), _AT_HOME)
    entries = (_entry(pointer, value, refused, index) for pointer, value in leaves(document))
    return exported, Accounting(tuple(entries))


def _entry(pointer: str, value: Any, refused: dict[str, str], index: dict[str, str]) -> Entry:
    key = pointer.rpartition("/")[2]
    if why := _why(pointer, refused):
        return Entry(pointer, "refused", reason=why)
    if value in ("", None, [], {}):
        return Entry(pointer, "refused", reason="is empty")
    if key not in _CONTENT:
        return Entry(pointer, "refused", reason=_OF_MISP)
    for form in _forms(key, str(value)):
        if form in index:
            return Entry(pointer, "mapped", to=index[form])
    return Entry(pointer, "refused", reason=_NO_FIELD)


def _why(pointer: str, refused: dict[str, str]) -> str:
    at = pointer
    while at:
        if at in refused:
            return refused[at]
        at = at.rpartition("/")[0]
    return refused.get("", "")


def _forms(key: str, value: str) -> Iterator[str]:
    """Yield the forms that a value of MISP has in STIX."""
    text = unescape(value)
    if key in ("type", "category"):
        yield f'misp:{key}="{text}"'
        return
    yield text
    if key.endswith("timestamp") and value.isdigit():
        yield moment_of(int(value))
    if stamp := moment_of(text):
        yield stamp
    if key == "name":
        yield from (text.lower(), text.upper())
        if found := TAG_VALUE.search(text):
            yield found[1]


def _index(bundle: Json) -> Iterator[tuple[str, str]]:
    """Yield (form, pointer) of everything in the bundle, the first of equal ones last."""
    for pointer, value in reversed(list(leaves(bundle))):
        to = pointer
        if isinstance(value, bool) or value is None:
            continue
        yield str(value), to
        if not isinstance(value, str):
            continue
        if stamp := moment_of(value):
            yield stamp, to
        if pointer.endswith("/pattern"):
            yield from ((one, to) for one in constants(value))
        if pointer.endswith("/id") and "--" in value:
            yield value.partition("--")[2], to
        if found := TAG_VALUE.search(value):
            yield found[1], to


def _hidden(event: Any, base: str) -> Iterator[str]:
    for name in ("Attribute", "Object", "EventReport"):
        several = event.get(name) if isinstance(event, dict) else None
        for at, one in enumerate(several if isinstance(several, list) else ()):
            if isinstance(one, dict) and str(one.get("distribution")) == OWN_ORGANISATION:
                yield f"{base}/{name}/{at}"
            else:
                yield from _hidden(one, f"{base}/{name}/{at}")


def is_event(document: Any) -> bool:
    """Say whether *document* looks like an event of MISP's core format."""
    inner = document.get("Event", document) if isinstance(document, dict) else None
    return isinstance(inner, dict) and "info" in inner
