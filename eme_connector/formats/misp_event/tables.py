"""The mapping tables of `templates/misp/`: which member becomes which attribute, tag, cluster.

They are data (CC0), so that an operator or another tool can read and replace them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

_FOLDER = files("eme_connector") / "templates" / "misp"
OWN_OBJECTS = ("iris-detection", "response-decision")


@dataclass(frozen=True, slots=True)
class Relation:
    """How one object relation is written: MISP type, category, whether it correlates."""

    type: str
    category: str
    correlates: bool


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    """An object template: ours, or the part that we use of one of misp-objects."""

    name: str
    uuid: str
    version: str
    meta_category: str
    description: str
    relations: dict[str, Relation]


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything in `templates/misp/`."""

    detection: dict[str, str]
    carrier: dict[str, str]
    playbook: dict[str, str]
    tags: dict[str, Any]
    templates: dict[str, ObjectTemplate]
    clusters: dict[str, tuple[str, str]]


@lru_cache
def tables() -> Tables:
    """Return the tables; they are read once."""
    mapping = _load("mapping.json")
    templates = {
        name: _template(name, one, mapping)
        for name, one in [
            *mapping["objects"].items(),
            *((name, definition(name)) for name in OWN_OBJECTS),
        ]
    }
    clusters = {key: (one[0], one[1]) for key, one in _load("galaxies.json").items()}
    return Tables(
        mapping["detection"],
        mapping["carrier"],
        mapping["playbook"],
        mapping["tags"],
        templates,
        clusters,
    )


def definition(name: str) -> dict[str, Any]:
    """Return one of our own object templates in the format of misp-objects."""
    return _load(_definition(name))


def definition_bytes(name: str) -> bytes:
    """Return it as the file that it is."""
    return (_FOLDER / _definition(name)).read_bytes()


def _definition(name: str) -> str:
    return f"objects/{name}/definition.json"


def _template(name: str, one: dict[str, Any], mapping: dict[str, Any]) -> ObjectTemplate:
    kinds = {
        relation: spec if isinstance(spec, str) else str(spec["misp-attribute"])
        for relation, spec in one["attributes"].items()
    }
    return ObjectTemplate(
        name,
        one["uuid"],
        str(one["version"]),
        one["meta-category"],
        one["description"],
        {
            relation: Relation(
                kind,
                mapping["categories"].get(kind, "Other"),
                _correlates(kind, one["attributes"][relation], mapping),
            )
            for relation, kind in kinds.items()
        },
    )


def _correlates(kind: str, spec: Any, mapping: dict[str, Any]) -> bool:
    if isinstance(spec, dict):
        return not spec.get("disable_correlation", False)
    return kind in mapping["correlate"]


def _load(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / path).read_bytes())
    return found
