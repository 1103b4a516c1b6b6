"""STIX objects that are not ours, and what has become of them in MISP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from eme_connector.domain.threat import Detection, Tlp
from eme_connector.errors import EmeError
from eme_connector.formats import iris_bundle, strict_json
from eme_connector.formats.disclosure import asset_names
from eme_connector.formats.misp_event.objects import OWN_ORGANISATION, Json
from eme_connector.formats.misp_event.tags import tlp_of

Numbered = list[tuple[int, Json]]
_SHOWN = ("value", "comment")


@dataclass(frozen=True, slots=True)
class Foreign:
    """STIX objects that are not ours as MISP content; `refused` says by index what was not."""

    attributes: list[Json] = field(default_factory=list)
    objects: list[Json] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


Convert = Callable[[Numbered], Foreign]


def beside(raw: bytes, convert: Convert) -> Foreign:
    """Return what stood in a received bundle beside its detections; nothing for other bytes."""
    try:
        document = strict_json.loads(raw)
    except EmeError:
        return Foreign()
    objects = document.get("objects") if isinstance(document, dict) else None
    found = [
        (at, one)
        for at, one in enumerate(objects if isinstance(objects, list) else ())
        if isinstance(one, dict) and not iris_bundle.carriers_of(one)
    ]
    return convert(found) if found else Foreign()


def kept_home(foreign: Foreign, detections: Iterable[Detection]) -> Foreign:
    """Return *foreign* with what names an asset of *detections* left to our organisation."""
    names = {name for one in detections for name in asset_names(one)}
    if not names:
        return foreign
    return replace(
        foreign,
        attributes=[_guarded(one, names) for one in foreign.attributes],
        objects=[_guarded_object(one, names) for one in foreign.objects],
        tags=[one for one in foreign.tags if not _names(one, names)],
    )


def within(foreign: Foreign, tlp: Tlp) -> Foreign:
    """Return *foreign* with what is marked more strictly than *tlp* left to our organisation."""
    whole = _stricter([{"name": name} for name in foreign.tags], tlp)
    return replace(
        foreign,
        attributes=[_marked(one, tlp, whole=whole) for one in foreign.attributes],
        objects=[_marked(one, tlp, whole=whole) for one in foreign.objects],
    )


def _marked(one: Json, tlp: Tlp, *, whole: bool) -> Json:
    inner = one.get("Attribute", ())
    if whole or any(_stricter(each.get("Tag", ()), tlp) for each in (one, *inner)):
        return one | {"distribution": OWN_ORGANISATION}
    return one


def _stricter(found: object, tlp: Tlp) -> bool:
    marking = tlp_of(found)
    order = list(Tlp)
    return marking is not None and order.index(marking) > order.index(tlp)


def _guarded_object(one: Json, names: set[str]) -> Json:
    if _names(str(one.get("comment", "")), names):
        return one | {"distribution": OWN_ORGANISATION}
    return one | {"Attribute": [_guarded(each, names) for each in one.get("Attribute", ())]}


def _guarded(one: Json, names: set[str]) -> Json:
    if any(_names(text, names) for text in _texts(one)):
        return one | {"distribution": OWN_ORGANISATION, "disable_correlation": True}
    return one


def _texts(one: Json) -> Iterator[str]:
    for key in _SHOWN:
        yield str(one.get(key, ""))
    for tag in one.get("Tag", ()):
        yield str(tag.get("name", ""))


def _names(text: str, names: set[str]) -> bool:
    return any(name in text for name in names)


def strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return *value* with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [strings(one, change) for one in value]
    if isinstance(value, dict):
        return {key: strings(one, change) for key, one in value.items()}
    return value
