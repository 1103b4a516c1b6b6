"""Where every leaf of a bundle went: mapped (where to), kept raw, or refused (why).

A leaf is *mapped* only when its value, in whatever form, is found at the place that is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from eme_connector.formats.fields import parse_time
from eme_connector.formats.markings import tlp_of
from eme_connector.formats.misp_event.bundle import Carrier, Mapped, playbook_blocks
from eme_connector.formats.misp_event.detection import CRITICALITY
from eme_connector.formats.misp_event.event import REST
from eme_connector.formats.misp_event.forms import leaves
from eme_connector.formats.misp_event.objects import Json
from eme_connector.formats.misp_event.places import find_places, inside
from eme_connector.formats.misp_event.tables import tables

Fate = Literal["mapped", "kept", "refused", "unaccounted"]
Found = tuple[str, Any]
FATES: tuple[Fate, ...] = ("mapped", "kept", "refused", "unaccounted")
_NUMBER = (int, float)
# what every STIX object has: an equal value elsewhere in an event would be chance
_FRAME = frozenset({"type", "spec_version", "id", "created", "modified", "created_by_ref"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf: its pointer, its fate, where it went (or is kept), and why it is not mapped."""

    pointer: str
    fate: Fate
    to: str = ""
    reason: str = ""

    def document(self) -> Json:
        """Return it as plain JSON: where to, or why not."""
        told = {"reason": self.reason} if self.reason else {"to": self.to}
        return {"pointer": self.pointer, "fate": self.fate} | told


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
            **{fate: self.count(fate) for fate in FATES},
            "entries": [one.document() for one in self.entries],
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


class _Book:
    """Finds the place of one leaf after the other."""

    def __init__(self, document: Json, mapped: Mapped) -> None:
        self._mapped = mapped
        self._label = mapped.label
        self._objects = document["objects"]
        self._places = find_places(mapped.event)
        self._layouts = {
            at: [_Layout(one, playbook_blocks(self._objects[at], one.blocks)[1]) for one in each]
            for at, each in mapped.carriers.items()
        }
        self._members = {member: relation for relation, member in tables().detection.items()}
        self._playbooks = {member: relation for relation, member in tables().playbook.items()}
        self._own = {pointer[1:]: relation for relation, pointer in tables().carrier.items()}

    def entry(self, pointer: str, value: Any) -> Entry:
        parts = pointer.split("/")[1:]
        if parts[:1] != ["objects"] or len(parts) < 2:
            return self._head(pointer, parts, value)
        at = int(parts[1])
        if at in self._mapped.refused:
            return Entry(pointer, "refused", reason=self._why_refused(at, pointer))
        if at in self._layouts:
            return self._carrier(pointer, at, parts[2:], value)
        return self._other(pointer, at, parts[2:], value)

    def _why_refused(self, at: int, pointer: str) -> str:
        faults = self._mapped.refused[at]
        own = next((one.detail for one in faults if one.pointer == pointer), None)
        return own or f"with all of its object: {faults[0].pointer} {faults[0].detail}"

    def _head(self, pointer: str, parts: list[str], value: Any) -> Entry:
        if parts == ["id"]:
            for to, found in self._places.at(f"{self._label}0:detection/0", "bundle-id"):
                if _same(value, found):
                    return Entry(pointer, "mapped", to=to)
        return self._kept(pointer, "about the bundle itself")

    def _carrier(self, pointer: str, at: int, rest: list[str], value: Any) -> Entry:
        for layout in self._layouts[at]:
            for to, found in self._candidates(layout, rest, value):
                if _same(value, found):
                    return Entry(pointer, "mapped", to=to)
        return self._kept(pointer, _no_field(value))

    def _candidates(self, layout: _Layout, rest: list[str], value: Any) -> Iterable[Found]:
        prefix = layout.carrier.prefix
        holder = layout.carrier.blocks.split("/")[1:]
        if rest[: len(holder)] != holder or len(rest) == len(holder):
            yield from self._of_object(prefix, rest, value)
            return
        block, way = rest[len(holder)], rest[len(holder) + 1 :]
        if block == "policies" and way[:1] and way[0] in layout.nested:
            block, way = way[0], way[1:]
        if block == "detection":
            number, member = _numbered(way)
            relation = self._members.get(member, "")
            yield from self._places.at(f"{prefix}detection/{number}", relation)
        elif block == "policies":
            yield from self._policy(prefix, way, value)
        elif block == "criticalities":
            yield from self._asset(prefix, way)
        elif block == "playbook_actions":
            yield from self._playbook(prefix, way)
        elif not holder:
            yield from self._of_object(prefix, rest, value)

    def _of_object(self, prefix: str, rest: list[str], value: Any) -> Iterable[Found]:
        path, member = f"{prefix}detection/0", rest[0]
        if member == "object_marking_refs":
            return _marking(self._places.at(path, "tlp"), value)
        relation = "carrier-id" if member == "id" else self._own.get(member, "")
        return self._places.at(path, relation)

    def _policy(self, prefix: str, way: list[str], value: Any) -> Iterable[Found]:
        path = f"{prefix}detection/0"
        if way == ["organisation"]:
            yield from self._places.at(path, "organisation")
        elif len(way) == 3 and way[0] == "action_policy":
            for to, line in self._places.at(path, "restriction"):
                action, _, word = line.rpartition(" ")
                if action.endswith(f"/{way[2]}") and word == _word(value):
                    yield to, value

    def _asset(self, prefix: str, way: list[str]) -> Iterable[Found]:
        number, member = _numbered(way)
        path = f"{prefix}asset/{number}"
        if member == "organisation":
            yield from self._places.at(f"{prefix}detection/0", "organisation")
        elif member == "asset_device":
            yield from self._places.at(path, "name")
        elif member == "asset_ip":
            yield from self._places.at(path, "ip-address")
            yield from self._places.at(path, "ip")
        elif member == "criticality":
            for relation in ("description", "text"):
                for to, text in self._places.at(path, relation):
                    if said := CRITICALITY.search(text):
                        yield to, said[1]

    def _playbook(self, prefix: str, way: list[str]) -> Iterable[Found]:
        listed = way[:1] and way[0].isdigit()
        number, way = (int(way[0]), way[1:]) if listed else (0, way)
        path = f"{prefix}playbook/{number}"
        yield from self._places.at(path, self._playbooks.get("/".join(way), ""))
        to, content = self._places.files.get(path, ("", None))
        if to:
            yield "#/".join([to, "/".join(way)]), inside(content, way)

    def _other(self, pointer: str, at: int, way: list[str], value: Any) -> Entry:
        if isinstance(value, str) and value and way and way[0] not in _FRAME:
            of = self._places.of_constants if way[-1] == "pattern" else self._places.of
            if found := of(value):
                return Entry(pointer, "mapped", to=found)
        why = self._mapped.foreign.refused.get(at)
        return self._kept(pointer, why or _no_field(value))

    def _kept(self, pointer: str, reason: str) -> Entry:
        to, _ = self._places.files.get(self._label + REST, ("", None))
        if not to:
            return Entry(pointer, "unaccounted")
        return Entry(pointer, "kept", to=to, reason=reason)


def _no_field(value: Any) -> str:
    if value in ("", [], {}) or value is None:
        return "empty: MISP has no empty values"
    return "no field of MISP says it as it was sent"


def _numbered(way: list[str]) -> tuple[int, str]:
    if way[:1] and way[0].isdigit():
        return int(way[0]), way[1] if len(way) > 1 else ""
    return 0, way[0] if way else ""


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "enabled" if value else "disabled"
    return str(value).strip().lower()


def _marking(found: Iterable[Found], value: Any) -> Iterator[Found]:
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
    return isinstance(value, str) and _same_text(value.strip(), found)


def _same_text(value: str, found: str) -> bool:
    if value.lower() == found.lower():
        return True
    if value[:1].isdigit() and found[:1].isdigit():
        sent, kept = parse_time(value), parse_time(found)
        if sent and kept:
            return sent[0] == kept[0]
    return False
