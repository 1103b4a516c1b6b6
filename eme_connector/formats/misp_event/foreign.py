"""STIX objects that are not ours, as MISP content by way of misp-stix.

Always its parser for foreign content: the other one trusts labels that anyone can write. What it
cannot read is named; an object that stops it is set aside by itself. Importing misp-stix takes a
second and 40 MB, so it is imported when the first such object comes, in the worker.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID, uuid4, uuid5

from eme_connector.formats.misp_event.objects import INHERIT, MAX_TEXT, Json, escape
from eme_connector.formats.misp_event.others import Convert, Foreign, Numbered, strings

MAX_BYTES = 4_194_304
"""misp-stix takes about four seconds a megabyte at its worst."""
_TYPE = re.compile(r"(?:Unable to load|Unknown) STIX object type: (\S+)")
_OBJECT = re.compile(r"Unreadable STIX object with id (\S+):")
_IDS = ("uuid", "object_uuid", "referenced_uuid")


def converter(namespace: UUID, max_bytes: int = MAX_BYTES) -> Convert:
    """Return a function that converts numbered STIX objects under ids of *namespace*.

    MISP drops an attribute whose uuid another event has, so no STIX id is taken over.
    """

    def convert(objects: Numbered) -> Foreign:
        if sum(len(json.dumps(one)) for _, one in objects) > max_bytes:
            why = f"more than {max_bytes} bytes of other STIX objects"
            return Foreign(refused=dict.fromkeys((at for at, _ in objects), why))
        return _fit_for_misp(_converted(objects), namespace)

    return convert


def _converted(objects: Numbered) -> Foreign:
    """Convert together what goes together, without each object that stops misp-stix by itself."""
    try:
        return _by_misp_stix(objects)
    except Exception as exc:
        if len(objects) == 1:
            return Foreign(refused={objects[0][0]: f"misp-stix stops at it: {type(exc).__name__}"})
    middle = len(objects) // 2
    halves = _joined(_converted(objects[:middle]), _converted(objects[middle:]))
    rest = [one for one in objects if one[0] not in halves.refused]
    if len(rest) in (0, len(objects)):
        return halves
    try:
        whole = _by_misp_stix(rest)
    except Exception:
        return halves
    return Foreign(whole.attributes, whole.objects, whole.tags, halves.refused | whole.refused)


def _by_misp_stix(objects: Numbered) -> Foreign:
    from misp_stix_converter import ExternalSTIX2toMISPParser
    from misp_stix_converter.tools import load_stix2_content

    logging.getLogger("pymisp").setLevel(logging.ERROR)
    bundle = {"type": "bundle", "id": f"bundle--{uuid4()}", "objects": [one for _, one in objects]}
    invalid: dict[str, Any] = {}
    loaded = load_stix2_content(json.dumps(bundle), invalid, max_size=MAX_BYTES * 2)
    parser = ExternalSTIX2toMISPParser()
    parser.load_stix_bundle(loaded)
    parser.parse_stix_bundle(single_event=True, galaxies_as_tags=True, distribution=int(INHERIT))
    content = json.loads(parser.misp_event.to_json())
    messages = [text for texts in parser.errors.values() for text in texts]
    return Foreign(
        content.get("Attribute", []),
        content.get("Object", []),
        [tag["name"] for tag in content.get("Tag", ())],
        dict(_unread(objects, invalid, messages)),
    )


def _unread(
    objects: Numbered, invalid: Iterable[str], messages: list[str]
) -> Iterator[tuple[int, str]]:
    types = {found[1] for text in messages if (found := _TYPE.match(text))}
    ids = {*invalid, *(found[1] for text in messages if (found := _OBJECT.match(text)))}
    for at, one in objects:
        if one.get("id") in ids:
            yield at, "misp-stix cannot read it"
        elif one.get("type") in types:
            yield at, f"misp-stix does not know {one['type']}"


def _joined(one: Foreign, other: Foreign) -> Foreign:
    known = {each["uuid"] for each in (*one.attributes, *one.objects)}
    return Foreign(
        one.attributes + [each for each in other.attributes if each["uuid"] not in known],
        one.objects + [each for each in other.objects if each["uuid"] not in known],
        list(dict.fromkeys(one.tags + other.tags)),
        one.refused | other.refused,
    )


def _fit_for_misp(found: Foreign, namespace: UUID) -> Foreign:
    """Return what MISP will store as it is: ids of our own, no four bytes, nothing too long."""
    attributes = strings(_renamed(found.attributes, namespace), escape)
    objects = strings(_renamed(found.objects, namespace), escape)
    return Foreign(
        [{**one, "distribution": INHERIT} for one in _fitting(attributes)],
        [
            {**one, "distribution": INHERIT, "Attribute": _fitting(one["Attribute"])}
            for one in objects
        ],
        [escape(name) for name in found.tags],
        found.refused,
    )


def _fitting(attributes: list[Json]) -> list[Json]:
    """Return the attributes whose value is not too long, with it as the text that MISP stores."""
    written = [one | {"value": _text(one["value"])} for one in attributes]
    return [one for one in written if one["value"] and len(one["value"].encode()) <= MAX_TEXT]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value).strip()


def _renamed(value: Any, namespace: UUID) -> Any:
    if isinstance(value, list):
        return [_renamed(one, namespace) for one in value]
    if isinstance(value, dict):
        return {
            key: str(uuid5(namespace, one)) if key in _IDS else _renamed(one, namespace)
            for key, one in value.items()
        }
    return value
