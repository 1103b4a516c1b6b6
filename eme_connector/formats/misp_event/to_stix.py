"""MISP content that is not ours, as STIX 2.1 by way of misp-stix.

A galaxy, attribute or object that stops misp-stix is left out by itself and named; the rest of
the event, and every other event, goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from eme_connector.formats.misp_event.objects import Json

MAX_ITEMS = 20_000
"""Attributes and objects of one event; misp-stix takes about 5,000 a second."""
_KEYS = (
    "uuid", "info", "date", "timestamp", "published", "publish_timestamp", "threat_level_id",
    "analysis", "extends_uuid", "Orgc", "Org", "Tag", "Galaxy", "EventReport",
)  # fmt: skip
Refusals = dict[str, str]
Convert = Callable[[Json], list[Json]]


def convert(event: Json) -> tuple[list[Json], Refusals]:
    """Return (STIX objects, why by JSON pointer within the event something is left out)."""
    event = _completed(event)
    attributes, objects = _several(event, "Attribute"), _several(event, "Object")
    if len(attributes) + len(objects) > MAX_ITEMS:
        return [], {"": f"more than {MAX_ITEMS} attributes and objects"}
    try:
        return by_misp_stix(event), {}
    except Exception as exc:
        first = type(exc).__name__
    plain = _without_galaxies(event)
    refused: Refusals = {}
    items = [f"/Attribute/{at}" for at in range(len(attributes))]
    items += [f"/Object/{at}" for at in range(len(objects))]
    kept = _bearable(items, lambda some: _only(plain, some), refused)
    galaxies = [f"/Galaxy/{at}" for at in range(len(_several(event, "Galaxy")))]
    base = _only(plain, kept)
    kept = _bearable(galaxies, lambda some: base | {"Galaxy": _chosen(event, "Galaxy", some)},
                     refused)  # fmt: skip
    try:
        return by_misp_stix(base | {"Galaxy": _chosen(event, "Galaxy", kept)}), refused
    except Exception:
        return [], {"": f"misp-stix stops at it: {first}"}


def by_misp_stix(event: Json) -> list[Json]:
    """Return the objects of one event.

    Raises:
        Exception: whatever misp-stix and what it uses may raise.
    """
    from misp_stix_converter import MISPtoSTIX21Parser

    logging.getLogger("pymisp").setLevel(logging.ERROR)
    parser = MISPtoSTIX21Parser()
    parser.parse_misp_event({"Event": json.loads(json.dumps(event))})
    found: list[Json] = json.loads(parser.bundle.serialize()).get("objects", [])
    if not found:
        raise ValueError("misp-stix could not load the event")
    return found


def _bearable(
    items: Sequence[str], make: Callable[[Sequence[str]], Json], refused: Refusals
) -> list[str]:
    """Return those of *items* with which the event that *make* makes can be converted."""
    if not items:
        return []
    try:
        by_misp_stix(make(items))
    except Exception as exc:
        if len(items) == 1:
            refused[items[0]] = f"misp-stix stops at it: {type(exc).__name__}"
            return []
        middle = len(items) // 2
        return [
            *_bearable(items[:middle], make, refused),
            *_bearable(items[middle:], make, refused),
        ]
    return list(items)


def _completed(event: Json) -> Json:
    """Return *event* with the ids and times without which misp-stix stops."""
    namespace = uuid5(NAMESPACE_URL, json.dumps(event, sort_keys=True, default=str))
    made = str(event.get("timestamp") or "0")
    head = {"uuid": str(namespace), "info": "", "timestamp": made, "published": False}
    known = {key: event[key] for key in _KEYS if event.get(key) is not None}
    return head | known | {
        name: [
            {"uuid": str(uuid5(namespace, f"{name}/{at}")), "timestamp": made} | one
            for at, one in enumerate(_several(event, name))
        ]
        for name in ("Attribute", "Object")
    }  # fmt: skip


def _only(event: Json, items: Sequence[str]) -> Json:
    return event | {
        "Attribute": _chosen(event, "Attribute", items),
        "Object": _chosen(event, "Object", items),
    }


def _chosen(event: Json, name: str, items: Sequence[str]) -> list[Json]:
    several = _several(event, name)
    places = [int(one.rpartition("/")[2]) for one in items if one.startswith(f"/{name}/")]
    return [several[at] for at in places]


def _without_galaxies(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_galaxies(one) for key, one in value.items() if key != "Galaxy"}
    return [_without_galaxies(one) for one in value] if isinstance(value, list) else value


def _several(event: Json, name: str) -> list[Json]:
    found = event.get(name)
    return found if isinstance(found, list) else []
