"""MISP objects as plain dictionaries: written with ids of our own, read from anybody's.

A `Draft` says what an object holds; `path` says what it stands for (`detection`, `playbook/1`) and
goes into the object's comment, where `parse` finds it again and a person can read it. Values that
MISP would change are listed as inexact, so that the caller keeps them elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from eme_connector.formats.misp_event.tables import ObjectTemplate, tables

Json = dict[str, Any]
INHERIT = "5"
OWN_ORGANISATION = "0"
MAX_TEXT = 60_000
"""Bytes; MISP drops a text of more than 65,535 without a word (and escapes make it longer)."""
_HOME = " (stays at home)"
_ASTRAL = re.compile("[\U00010000-\U0010ffff]|\\\\u(?=\\{)")
_ESCAPED = re.compile(r"\\u\{([0-9A-F]{2,6})\}")
_OWN_PATH = re.compile(
    r"([0-9a-f]{6}\.)?(\d{1,5}:)?(detection|playbook|asset|vulnerability)/\d{1,5}"
    r"|([0-9a-f]{6}\.)?rest|decision"
)
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(slots=True)
class Draft:
    """An object to be: relation and text in order; files as relation, name and bytes.

    `tags` are those of a relation's attributes.
    """

    name: str
    path: str
    values: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, str, bytes]] = field(default_factory=list)
    home: bool = False
    tags: dict[str, list[str]] = field(default_factory=dict)

    def add(self, relation: str, value: object) -> None:
        """Add a value unless it is empty."""
        if value not in (None, ""):
            self.values.append((relation, str(value)))


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object as it was read: texts and files by relation, unescaped."""

    name: str
    path: str
    home: bool
    values: dict[str, list[str]]
    files: dict[str, bytes]
    uuid: str = ""

    def first(self, relation: str) -> str:
        """Return the first value of *relation*, or an empty text."""
        return next(iter(self.values.get(relation, ())), "")

    def with_values(self, values: Json) -> FoundObject:
        """Return it with *values* (lists of texts by relation) in place of its own."""
        kept = {
            relation: [str(one) for one in several]
            for relation, several in values.items()
            if isinstance(several, list)
        }
        return replace(self, values=self.values | kept)


def escape(text: str) -> str:
    r"""Return *text* without characters of four bytes, which MISP answers with 500 or `?`.

    U+1F600 becomes `\u{1F600}`; a `\u{` that was there becomes `\u{5C}u{`.
    """
    if text.isascii() and "\\u{" not in text:
        return text
    return _ASTRAL.sub(lambda m: f"\\u{{{ord(m[0][0]):X}}}" + m[0][1:], text)


def unescape(text: str) -> str:
    """Return what `escape` was given."""
    if "\\u{" not in text:
        return text
    return _ESCAPED.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else match[0]


def split_home(shared: Iterable[Draft], full: Iterable[Draft]) -> list[Draft]:
    """Return *shared*, and drafts that stay at home with what only *full* says."""
    told = {one.path: one for one in shared}
    return [*told.values(), *filter(None, (_home_part(one, told.get(one.path)) for one in full))]


def _home_part(full: Draft, told: Draft | None) -> Draft | None:
    if told is None:
        return Draft(full.name, full.path, full.values, full.files, home=True)
    changed = {
        relation
        for relation in {*dict(full.values), *dict(told.values)}
        if _of(full, relation) != _of(told, relation)
    }
    values = [one for one in full.values if one[0] in changed]
    kept = [
        (relation, f"home-{name}", data)
        for relation, name, data in full.files
        if (relation, name, data) not in told.files
    ]
    if not values and not kept:
        return None
    # an import module's objects are taken for one where all values of one are in the other
    own = [one for one in full.values if one[0] == "pointer" and one not in values]
    return Draft(full.name, full.path, values + own, kept, home=True)


def _of(draft: Draft, relation: str) -> list[str]:
    return [value for known, value in draft.values if known == relation]


def render(draft: Draft, namespace: UUID) -> tuple[Json, dict[str, list[str]]]:
    """Return (the object, the values by relation that MISP would not give back as they are)."""
    template = tables().templates[draft.name]
    label = draft.path + (_HOME if draft.home else "")
    inexact: dict[str, list[str]] = {}
    attributes = []
    seen: dict[str, int] = {}
    for relation, value in draft.values:
        text = _safe(value)
        if unescape(text) != value:
            inexact[relation] = _of(draft, relation)
        if text:
            # by relation and place, so that an edit finds each again whatever else has come
            at = seen[relation] = seen.get(relation, -1) + 1
            kept = _attribute(template, relation, text, draft.home)
            name = f"{label}/{relation}/{at}"
            if tags := draft.tags.get(relation):
                # receivers never take a tag off, but they do take a deletion: with other tags
                # it is another attribute
                name += "/" + "/".join(sorted(tags))
                kept["Tag"] = [{"name": tag} for tag in tags]
            attributes.append({"uuid": str(uuid5(namespace, name)), **kept})
    for relation, name, data in draft.files:
        kept = _attribute(template, relation, name, draft.home)
        kept |= {"data": base64.b64encode(data).decode()}
        attributes.append({"uuid": str(uuid5(namespace, f"{label}/{relation}")), **kept})
    return _frame(template, label, draft.home, namespace, attributes), inexact


def _frame(
    template: ObjectTemplate, label: str, home: bool, namespace: UUID, attributes: list[Json]
) -> Json:
    return {
        "uuid": str(uuid5(namespace, label)),
        "name": template.name,
        "meta-category": template.meta_category,
        # without it MISP stores null, and every receiver drops the object without a word
        "description": template.description,
        "template_uuid": template.uuid,
        "template_version": template.version,
        "comment": label,
        # without it MISP stores 0: stripped on every push
        "distribution": OWN_ORGANISATION if home else INHERIT,
        "Attribute": attributes,
    }


def _attribute(template: ObjectTemplate, relation: str, value: str, home: bool) -> Json:
    kind = template.relations[relation]
    return {
        "type": kind.type,
        "object_relation": relation,
        "category": kind.category,
        "value": value,
        "to_ids": False,
        "disable_correlation": home or not kind.correlates or _is_internal(kind.type, value),
        "distribution": OWN_ORGANISATION if home else INHERIT,
    }


def _is_internal(kind: str, value: str) -> bool:
    """Say whether it is an address that many networks have: its matches would mean nothing."""
    try:
        return kind.startswith("ip-") and not ipaddress.ip_address(value).is_global
    except ValueError:
        return True


def _safe(value: str) -> str:
    """Return what MISP stores as it is: no control characters, no blank ends, not too long."""
    text = escape(_UNSAFE.sub(" ", value)).strip()
    if len(text) * 3 > MAX_TEXT and len(encoded := text.encode()) > MAX_TEXT:
        text = encoded[:MAX_TEXT].decode(errors="ignore").strip()
    return text


def read(event: Json) -> Iterator[FoundObject]:
    """Yield the objects of *event* that are ours; deleted ones are gone."""
    for one in _dicts(event.get("Object")):
        if is_ours(one) and not one.get("deleted"):
            yield _read_one(one, one["name"], one["comment"])


def _read_one(one: Json, name: str, comment: str) -> FoundObject:
    values: dict[str, list[str]] = {}
    data: dict[str, bytes] = {}
    for attribute in _dicts(one.get("Attribute")):
        relation, value = attribute.get("object_relation"), attribute.get("value")
        if not isinstance(relation, str) or attribute.get("deleted"):
            continue
        if isinstance(value, str | int | float):
            values.setdefault(relation, []).append(unescape(str(value)))
        if isinstance(content := attribute.get("data"), str):
            data[relation] = _bytes(content)
    path, home = split_comment(comment)
    return FoundObject(name, path, home, values, data, str(one.get("uuid", "")))


def file_name(path: str) -> str:
    """Return a name for the file of the object at *path*, its own within an event."""
    return re.sub(r"[^0-9a-z]+", "-", path) + ".json"


def split_comment(comment: str) -> tuple[str, bool]:
    """Return (what an object of ours stands for, whether it stays at home)."""
    return comment.removesuffix(_HOME).strip(), comment.endswith(_HOME)


def is_ours(one: Json) -> bool:
    """Say whether an object is one that we write: by its template, and what it stands for."""
    path, _ = split_comment(str(one.get("comment") or ""))
    return str(one.get("name")) in tables().templates and _OWN_PATH.fullmatch(path) is not None


def overlay(found: Iterable[FoundObject]) -> dict[str, FoundObject]:
    """Return the objects by path; what stays at home replaces what is told."""
    merged: dict[str, FoundObject] = {}
    for one in sorted(found, key=lambda one: one.home):
        told = merged.get(one.path)
        if told is None or told.name != one.name:
            merged.setdefault(one.path, one)
            continue
        merged[one.path] = replace(
            told, values=told.values | one.values, files=told.files | one.files
        )
    return merged


def iso(value: str) -> str:
    """Return MISP's date and time in our own form, or as it is when it is none."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat()


def _dicts(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
