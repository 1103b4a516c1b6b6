"""Where in an event a value stands: of our own objects by what it is, of others by itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from eme_connector.errors import EmeError
from eme_connector.formats import strict_json
from eme_connector.formats.fields import parse_time
from eme_connector.formats.misp_event.objects import Json, is_ours, split_comment, unescape

MAX_FILE, MAX_DEPTH = 33_554_432, 80
"""Of a file of ours in an event: what was received, and what had to be written around it."""
FILES = ("playbook-file", "rest")
TAG_VALUE = re.compile(r'="(.*)"', re.DOTALL)
_CONSTANT = re.compile(r"'((?:[^'\\]|\\.)*)'")
_TIME_LIKE = re.compile(r"\d{4}-\d\d-\d\d[T ]")
_LAST = 253_402_300_800
_KEYS = ("value", "comment", "first_seen", "last_seen", "description", "name")
Place = tuple[str, str]


@dataclass(slots=True)
class Places:
    """`own` by (path, relation), `files` by path, `values` of all else by the value."""

    own: dict[Place, list[tuple[str, Any]]] = field(default_factory=dict)
    files: dict[str, tuple[str, Any]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def at(self, path: str, relation: str) -> list[tuple[str, Any]]:
        """Return (pointer, value) of a relation of an object of ours."""
        return self.own.get((path, relation), [])

    def of(self, value: str) -> str:
        """Return where *value* stands outside our objects, or an empty text."""
        return self.values.get(value) or self.values.get(moment_of(value), "")

    def of_constants(self, pattern: str) -> str:
        """Return where the first constant of a STIX *pattern* stands if all of them do."""
        found = [self.of(one) for one in constants(pattern)]
        return found[0] if found and all(found) else ""


def constants(pattern: str) -> list[str]:
    """Return the text constants of a STIX pattern."""
    return [re.sub(r"\\(.)", r"\1", one) for one in _CONSTANT.findall(pattern)]


def find_places(event: Mapping[str, Any]) -> Places:
    """Read *event* once; what stays at home comes last and so stands first in its list."""
    places = Places()
    for at, one in enumerate(event["Object"]):
        base = f"/Event/Object/{at}"
        if is_ours(one):
            _own(places, one, base)
        else:
            _other(places, one, base)
        if one["name"] == "vulnerability":
            for number, attribute in enumerate(one["Attribute"]):
                places.values.setdefault(attribute["value"], f"{base}/Attribute/{number}/value")
    for at, one in enumerate(event["Attribute"]):
        _other(places, one, f"/Event/Attribute/{at}")
    for at, one in enumerate(event["Tag"]):
        to = f"/Event/Tag/{at}/name"
        places.values.setdefault(one["name"], to)
        if found := TAG_VALUE.search(one["name"]):
            places.values.setdefault(found[1], to)
    return places


def inside(content: Any, way: list[str]) -> Any:
    """Return what stands at *way* (parts of a JSON pointer) in *content*, None where nothing."""
    for part in way:
        if isinstance(content, list):
            content = content[int(part)] if part.isdigit() and int(part) < len(content) else None
        else:
            key = part.replace("~1", "/").replace("~0", "~")
            content = content.get(key) if isinstance(content, dict) else None
    return content


def _own(places: Places, one: Json, base: str) -> None:
    path, _ = split_comment(one["comment"])
    for number, attribute in enumerate(one["Attribute"]):
        to = f"{base}/Attribute/{number}"
        relation = attribute["object_relation"]
        if relation in FILES:
            places.files[path] = (f"{to}/data", _content(attribute))
        else:
            found = places.own.setdefault((path, relation), [])
            found.insert(0, (f"{to}/value", unescape(attribute["value"])))


def _other(places: Places, one: Json, base: str) -> None:
    for key, text in _texts(one):
        places.values.setdefault(text, f"{base}/{key}")
        if stamp := moment_of(text):
            places.values.setdefault(stamp, f"{base}/{key}")
    for number, attribute in enumerate(one.get("Attribute", ())):
        _other(places, attribute, f"{base}/Attribute/{number}")


def _texts(one: Json) -> Iterator[tuple[str, str]]:
    for key in _KEYS:
        if isinstance(text := one.get(key), str) and text:
            yield key, unescape(text)


def moment_of(text: str | int) -> str:
    """Return the moment that *text* (or seconds since 1970) names, or an empty text."""
    if isinstance(text, int):
        return datetime.fromtimestamp(text, UTC).isoformat() if text < _LAST else ""
    found = parse_time(text.replace("+0000", "Z")) if _TIME_LIKE.match(text) else None
    return found[0].isoformat() if found else ""


def _content(attribute: Json) -> Any:
    try:
        data = base64.b64decode(attribute["data"])
        return strict_json.loads(data, max_bytes=MAX_FILE, max_depth=MAX_DEPTH)
    except EmeError:
        return None
