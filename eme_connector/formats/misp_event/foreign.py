"""STIX objects that are not ours, as MISP content by way of misp-stix.

Always its parser for foreign content: the other one trusts labels that anyone can write. What it
cannot read is named; an object that stops it is set aside by itself. Importing misp-stix takes a
second and 40 MB, so it is imported when the first such object comes, in the worker.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID, uuid4, uuid5

from eme_connector.formats.misp_event.bundle import Foreign
from eme_connector.formats.misp_event.objects import INHERIT, Json

MAX_BYTES = 4_194_304
"""misp-stix takes about four seconds a megabyte at its worst."""
_TYPE = re.compile(r"(?:Unable to load|Unknown) STIX object type: (\S+)")
_OBJECT = re.compile(r"Unreadable STIX object with id (\S+):")
_IDS = ("uuid", "object_uuid", "referenced_uuid")
Numbered = list[tuple[int, Json]]


def converter(namespace: UUID) -> Callable[[Numbered], Foreign]:
    """Return a function that converts numbered STIX objects under ids of *namespace*.

    MISP drops an attribute whose uuid another event has, so no STIX id is taken over.
    """

    def convert(objects: Numbered) -> Foreign:
        if sum(len(json.dumps(one)) for _, one in objects) > MAX_BYTES:
            why = f"more than {MAX_BYTES} bytes of other STIX objects"
            return Foreign(refused=dict.fromkeys((at for at, _ in objects), why))
        return _renamed(_converted(objects), namespace)

    return convert


def _converted(objects: Numbered) -> Foreign:
    try:
        return _by_misp_stix(objects)
    except Exception as exc:
        if len(objects) == 1:
            return Foreign(refused={objects[0][0]: f"misp-stix stops at it: {type(exc).__name__}"})
        middle = len(objects) // 2
        return _joined(_converted(objects[:middle]), _converted(objects[middle:]))


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
) -> Iterable[tuple[int, str]]:
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


def _renamed(found: Foreign, namespace: UUID) -> Foreign:
    def rename(value: Any) -> Any:
        if isinstance(value, list):
            return [rename(one) for one in value]
        if isinstance(value, dict):
            return {
                key: str(uuid5(namespace, one)) if key in _IDS else rename(one)
                for key, one in value.items()
            }
        return value

    objects = [{**one, "distribution": INHERIT} for one in rename(found.objects)]
    return Foreign(rename(found.attributes), objects, found.tags, found.refused)
