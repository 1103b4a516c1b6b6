"""Where every leaf of a bundle went: mapped (where to), kept raw, or refused (why).

A leaf is *mapped* only when its value, in whatever form, is found at the place that is named.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from eme_connector.errors import EmeError
from eme_connector.formats import strict_json
from eme_connector.formats.fields import parse_time
from eme_connector.formats.misp_event.bundle import Carrier, Mapped, playbook_blocks
from eme_connector.formats.misp_event.event import REST
from eme_connector.formats.misp_event.forms import leaves
from eme_connector.formats.misp_event.objects import Json, split_comment, unescape
from eme_connector.formats.misp_event.tables import tables

Fate = Literal["mapped", "kept", "refused", "unaccounted"]
Place = tuple[str, str]
_TEXT, _NUMBER = (str,), (int, float)


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf: its pointer in the bundle, its fate, and where it went or why it did not."""

    pointer: str
    fate: Fate
    to: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Accounting:
    """All leaves of a bundle in its order."""

    entries: tuple[Entry, ...]

    def count(self, fate: Fate) -> int:
        """Return how many leaves had this fate."""
        return sum(one.fate == fate for one in self.entries)

    def document(self) -> Json:
        """Return it as plain JSON, counts first."""
        return {
            "pointers": len(self.entries),
            **{fate: self.count(fate) for fate in ("mapped", "kept", "refused", "unaccounted")},
            "entries": [
                {"pointer": one.pointer, "fate": one.fate}
                | ({"to": one.to} if one.to else {})
                | ({"reason": one.reason} if one.reason else {})
                for one in self.entries
            ],
        }


def account(document: Json, mapped: Mapped) -> Accounting:
    """Return what became of every leaf of *document* in the event of *mapped*."""
    book = _Book(document, mapped)
    return Accounting(tuple(book.entry(pointer, value) for pointer, value in leaves(document)))


@dataclass(slots=True)
class _Layout:
    """Where things of one carrier stand: its blocks' pointer, and which stood in `policies`."""

    carrier: Carrier
    nested: tuple[str, ...]
    file: Any = None


@dataclass(slots=True)
class _Index:
    """Values of our objects by (path, relation), and of all others by the value itself."""

    places: dict[Place, list[tuple[str, Any]]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[str, Any]] = field(default_factory=dict)


class _Book:
    """Finds the place of one leaf after the other."""

    def __init__(self, document: Json, mapped: Mapped) -> None:
        self._mapped = mapped
        self._objects = document["objects"]
        self._index = _index(mapped.event)
        self._layouts = {
            at: [_Layout(one, playbook_blocks(self._objects[at], one.blocks)[1]) for one in each]
            for at, each in mapped.carriers.items()
        }
        self._members = {member: relation for relation, member in tables().detection.items()}
        self._own = {pointer[1:]: relation for relation, pointer in tables().carrier.items()}

    def entry(self, pointer: str, value: Any) -> Entry:
        parts = pointer.split("/")[1:]
        if parts[:1] != ["objects"] or len(parts) < 2:
            return self._head(pointer, parts, value)
        at = int(parts[1])
        if at in self._mapped.refused:
            why = self._mapped.refused[at][0]
            return Entry(pointer, "refused", reason=f"{why.pointer} {why.detail}")
        if at in self._layouts:
            return self._carrier(pointer, at, parts[2:], value)
        return self._other(pointer, at, value)

    def _head(self, pointer: str, parts: list[str], value: Any) -> Entry:
        if parts == ["id"] and self._mapped.carriers:
            found = self._index.places.get(("0:detection/0", "bundle-id"), ())
            if found and _same(value, found[0][1]):
                return Entry(pointer, "mapped", to=found[0][0])
        return self._kept(pointer, "about the bundle itself")

    def _carrier(self, pointer: str, at: int, rest: list[str], value: Any) -> Entry:
        for layout in self._layouts[at]:
            for to, found in self._candidates(layout, rest, value):
                if _same(value, found):
                    return Entry(pointer, "mapped", to=to)
        if value in ("", [], {}) or value is None:
            return self._kept(pointer, "empty: MISP has no empty values")
        return self._kept(pointer, "no field of MISP says it as it was sent")

    def _candidates(
        self, layout: _Layout, rest: list[str], value: Any
    ) -> Iterator[tuple[str, Any]]:
        prefix = layout.carrier.prefix
        inside = layout.carrier.blocks.split("/")[1:]
        if rest[: len(inside)] != inside:
            yield from self._of_object(prefix, rest, value)
            return
        block, way = (rest[len(inside)], rest[len(inside) + 1 :])
        if block == "policies" and way[:1] and way[0] in layout.nested:
            block, way = way[0], way[1:]
        if block == "detection":
            number, member = _numbered(way)
            relation = self._members.get(member, "")
            yield from self._at(f"{prefix}detection/{number}", relation)
        elif block == "policies":
            yield from self._policy(prefix, way, value)
        elif block == "criticalities":
            yield from self._asset(prefix, way)
        elif block == "playbook_actions":
            yield from self._file(prefix, way)
        elif not inside:
            yield from self._of_object(prefix, rest, value)

    def _at(self, path: str, relation: str) -> Iterator[tuple[str, Any]]:
        yield from self._index.places.get((path, relation), ())

    def _of_object(self, prefix: str, rest: list[str], value: Any) -> Iterator[tuple[str, Any]]:
        path, member = f"{prefix}detection/0", rest[0]
        if member == "object_marking_refs":
            yield from _marking(self._index.places.get((path, "tlp"), ()), value)
        relation = "carrier-id" if member == "id" else self._own.get(member, "")
        yield from self._at(path, relation)

    def _policy(self, prefix: str, way: list[str], value: Any) -> Iterator[tuple[str, Any]]:
        path = f"{prefix}detection/0"
        if way == ["organisation"]:
            yield from self._at(path, "organisation")
        elif len(way) == 3 and way[0] == "action_policy":
            for to, line in self._index.places.get((path, "restriction"), ()):
                action, _, word = line.rpartition(" ")
                if action.endswith(f"/{way[2]}") and word == _word(value):
                    yield to, value

    def _asset(self, prefix: str, way: list[str]) -> Iterator[tuple[str, Any]]:
        number, member = _numbered(way)
        path = f"{prefix}asset/{number}"
        if member == "organisation":
            yield from self._at(f"{prefix}detection/0", "organisation")
        elif member == "asset_device":
            yield from self._at(path, "name")
        elif member == "asset_ip":
            yield from (*self._at(path, "ip-address"), *self._at(path, "ip"))
        elif member == "criticality":
            for relation in ("description", "text"):
                for to, text in self._at(path, relation):
                    yield to, text.removeprefix("Criticality ").removesuffix(" of 5")

    def _file(self, prefix: str, way: list[str]) -> Iterator[tuple[str, Any]]:
        listed = way[:1] and way[0].isdigit()
        number, way = (int(way[0]), way[1:]) if listed else (0, way)
        to, content = self._index.files.get(f"{prefix}playbook/{number}", ("", None))
        for part in way:
            content = _inside(content, part)
        if to:
            yield "#/".join([to, "/".join(way)]), content

    def _other(self, pointer: str, at: int, value: Any) -> Entry:
        found = self._index.values.get(value) if isinstance(value, str) else None
        if found and value:
            return Entry(pointer, "mapped", to=found)
        why = self._mapped.foreign.refused.get(at)
        return self._kept(pointer, why or "misp-stix has no place for it")

    def _kept(self, pointer: str, reason: str) -> Entry:
        to, _ = self._index.files.get(REST, ("", None))
        if not to:
            return Entry(pointer, "unaccounted")
        return Entry(pointer, "kept", to=to, reason=reason)


def _index(event: Mapping[str, Any]) -> _Index:
    """Read the event once; what stays at home comes last and so stands first in its list."""
    index = _Index()
    for at, one in enumerate(event["Object"]):
        path, _ = split_comment(one.get("comment", ""))
        own = one["name"] in tables().templates
        for number, attribute in enumerate(one["Attribute"]):
            to = f"/Event/Object/{at}/Attribute/{number}"
            relation, value = attribute["object_relation"], attribute["value"]
            if own and relation in ("playbook-file", "rest"):
                index.files[path] = (f"{to}/data", _content(attribute))
            elif own:
                found = index.places.setdefault((path, relation), [])
                found.insert(0, (f"{to}/value", unescape(value)))
            if not own or one["name"] == "vulnerability":
                index.values.setdefault(str(value), f"{to}/value")
    for number, attribute in enumerate(event["Attribute"]):
        index.values.setdefault(str(attribute["value"]), f"/Event/Attribute/{number}/value")
    for number, tag in enumerate(event["Tag"]):
        index.values.setdefault(tag["name"], f"/Event/Tag/{number}/name")
    return index


def _content(attribute: Json) -> Any:
    try:
        return strict_json.loads(base64.b64decode(attribute["data"]), max_bytes=16_777_216)
    except EmeError:
        return None


def _numbered(way: list[str]) -> tuple[int, str]:
    if way[:1] and way[0].isdigit():
        return int(way[0]), way[1] if len(way) > 1 else ""
    return 0, way[0] if way else ""


def _inside(content: Any, part: str) -> Any:
    if isinstance(content, list):
        return content[int(part)] if part.isdigit() and int(part) < len(content) else None
    key = part.replace("~1", "/").replace("~0", "~")
    return content.get(key) if isinstance(content, dict) else None


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "enabled" if value else "disabled"
    return str(value).strip().lower()


def _marking(found: Any, value: Any) -> Iterator[tuple[str, Any]]:
    from eme_connector.formats.markings import tlp_of

    known, _ = tlp_of([value] if isinstance(value, str) else [])
    yield from ((to, value) for to, text in found if known and text == known)


def _same(value: Any, found: Any) -> bool:
    """Say whether *found* says the same as *value*, though maybe in another form."""
    if value == found:
        return type(value) is type(found) or not isinstance(value, bool)
    if not isinstance(found, str) or isinstance(value, bool) or value in ("", None):
        return False
    if isinstance(value, _NUMBER):
        return found.replace(".", "", 1).isdigit() and float(found) == value
    return isinstance(value, _TEXT) and _same_text(value.strip(), found)


def _same_text(value: str, found: str) -> bool:
    if value.lower() == found.lower():
        return True
    if value[:1].isdigit() and found[:1].isdigit():
        sent, kept = parse_time(value), parse_time(found)
        if sent and kept:
            return sent[0] == kept[0]
    return False
