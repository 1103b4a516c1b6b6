"""Tags of a threat's event: taxonomies that every MISP has, and galaxy clusters by technique."""

from __future__ import annotations

import re
from collections.abc import Iterable

from eme_connector.domain.threat import Detection, Threat, Tlp
from eme_connector.formats.misp_event.objects import Json
from eme_connector.formats.misp_event.tables import tables

_TECHNIQUE = re.compile(r"\b(?:AML\.T\d{4}(?:\.\d{3})?|T\d{4}(?:\.\d{3})?)\b")
_TLP = {f"tlp:{tlp.value}": tlp for tlp in Tlp} | {"tlp:white": Tlp.CLEAR}
_ORDER = list(Tlp)
_LASTING = ("tlp:", "PAP:", "rsit:")


def of_threat(threat: Threat, others: Iterable[str] = ()) -> list[Json]:
    """Return the tags of *threat*: marking, state, incident class, techniques.

    Those of its state are local. Sync never takes a tag off an event, so with every receiver each
    state would stand beside the ones before it; there they are tags of the attribute `status`.
    *others* come last; markings among them are left out.
    """
    lasting = [
        f"tlp:{threat.tlp}",
        tables().tags["pap"][threat.tlp],
        *of_detection(threat.detection),
        *(name for name in others if name.lower() not in _TLP),
    ]
    return [
        *({"name": name} for name in dict.fromkeys(lasting)),
        *({"name": name, "local": True} for name in of_state(threat)),
    ]


def of_state(threat: Threat) -> list[str]:
    """Return what may change from one state of a threat to the next: status, risk, response."""
    table = tables().tags
    approved = [step.action for step in threat.detection.steps if step.id in threat.decision.steps]
    actions = [table["action"][one] for one in approved if one] or [table["detected"]]
    names = [table["status"][threat.status], table["risk"][threat.rank.band], *actions]
    return list(dict.fromkeys(names))


def stale(event: Json, kept: Json) -> list[str]:
    """Return the tags of ours that MISP has *kept* from a state before that of *event*.

    What people have put on it by hand, locally, is theirs, unless it is what we say of a state.
    """
    wanted = {one["name"] for one in event["Tag"]}
    held = [one for one in kept.get("Tag") or () if one.get("name") not in wanted]
    return [
        str(one["name"])
        for one in held
        if one["name"] in _states() or (one["name"].startswith(_LASTING) and not one.get("local"))
    ]


def _states() -> frozenset[str]:
    table = tables().tags
    several = (table["status"], table["risk"], table["action"])
    return frozenset([table["detected"], *(name for one in several for name in one.values())])


def of_detection(detection: Detection) -> list[str]:
    """Return what a detection alone tells: its incident class and its techniques."""
    text = f"{detection.threat} {detection.name}".lower()
    rsit = next(
        tag for kind, word, tag in tables().tags["rsit"] if kind == detection.kind and word in text
    )
    return [rsit, *clusters(detection.threat, detection.summary)]


def clusters(*texts: str) -> list[str]:
    """Return the galaxy tags of the techniques named by id (ATLAS, ATT&CK) in *texts*."""
    known = tables().clusters
    ids = (technique for text in texts for technique in _TECHNIQUE.findall(text))
    return [known[one][0] for one in dict.fromkeys(ids) if one in known]


def techniques(event: Json) -> list[str]:
    """Return the ids of the techniques that an event's tags and galaxies name."""
    by_tag = {tag: technique for technique, (tag, _) in tables().clusters.items()}
    names = labels(event)
    named = [by_tag.get(name) for name in names]
    return list(dict.fromkeys([*filter(None, named), *_TECHNIQUE.findall(" ".join(names))]))


def strictest(names: Iterable[str]) -> list[str]:
    """Return *names* once each, with the strictest TLP first and no other TLP."""
    several = list(names)
    others = [name for name in dict.fromkeys(several) if name.lower() not in _TLP]
    marking = tlp_of([{"name": name} for name in several])
    return [f"tlp:{marking}", *others] if marking else others


def labels(event: Json) -> list[str]:
    """Return the names of an event's tags but for the markings."""
    names = dict.fromkeys(_names(event.get("Tag")))
    return [name for name in names if name and name.lower() not in _TLP]


def tlp_of(tags: object) -> Tlp | None:
    """Return the strictest TLP among MISP's *tags*, or None; TLP 1's white is clear."""
    names = (name.lower() for name in _names(tags))
    found = [_TLP[name] for name in names if name in _TLP]
    return max(found, key=_ORDER.index, default=None)


def _names(tags: object) -> list[str]:
    several = tags if isinstance(tags, list | tuple) else ()
    return [str(tag.get("name", "")) for tag in several if isinstance(tag, dict)]
