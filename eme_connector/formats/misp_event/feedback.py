"""What is said about a threat's event: sightings on it, and events that extend it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID, uuid5

from eme_connector.domain.feedback import MAX_TEXT, Feedback, Word
from eme_connector.errors import Fault, InvalidMessage
from eme_connector.formats.misp_event import tags
from eme_connector.formats.misp_event.event import event_uuid, info
from eme_connector.formats.misp_event.objects import INHERIT, Json, escape, read, unescape

GOES_BACK = ("3", "4")
"""Distributions of a copy from which an extension finds its way to the other members."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A sighting inside an event: `kind` 0 seen, 1 false positive, 2 expired."""

    uuid: str
    organisation: str
    name: str
    source: str
    kind: str
    at: int


def render(feedback: Feedback) -> bytes:
    """Return the payload of its delivery."""
    told = asdict(feedback)
    return json.dumps(told, ensure_ascii=False).encode()


def parse(payload: bytes) -> Feedback:
    """Return what `render` was given."""
    told: dict[str, Any] = json.loads(payload)
    return Feedback(told["id"], Word(told["word"]), told["text"], told["event"])


def threat_id_of(event: Json) -> str | None:
    """Return the id of the threat that *event* is the event of; None for any other event."""
    for one in read(event):
        if one.path == "detection/0":
            try:
                found = str(UUID(one.first("id")))
            except ValueError:
                return None
            return found if event_uuid(found) == str(event.get("uuid", "")).lower() else None
    return None


def to_sight(event: Json) -> str | None:
    """Return the uuid of the attribute that a sighting of the whole event is put on."""
    for one in event.get("Object") or ():
        if one.get("name") == "iris-detection":
            for attribute in one.get("Attribute") or ():
                if attribute.get("object_relation") == "id":
                    return str(attribute["uuid"])
    rows = [*(event.get("Attribute") or ())]
    rows += [row for one in event.get("Object") or () for row in one.get("Attribute") or ()]
    return next((str(one["uuid"]) for one in rows if one.get("uuid")), None)


def extension(feedback: Feedback, base: Json) -> Json:
    """Return an event that says *feedback* about *base*, for the same readers.

    Raises:
        InvalidMessage: an answer would not get back from here.
    """
    distribution = str(base.get("distribution"))
    if distribution not in GOES_BACK:
        raise InvalidMessage([Fault("/Event/distribution", "an answer would not leave our MISP")])
    namespace = UUID(feedback.id)
    marking = tags.strictest(str(one.get("name", "")) for one in base.get("Tag") or ())[:1]
    return {
        "uuid": str(uuid5(namespace, "misp-event")),
        "extends_uuid": str(base["uuid"]),
        "info": info(f"About: {unescape(str(base.get('info', '')))}"),
        "distribution": distribution,
        "sharing_group_id": str(base.get("sharing_group_id") or "0"),
        "threat_level_id": "4",
        "analysis": "2",
        "Tag": [{"name": one} for one in marking if one.startswith("tlp:")],
        "Attribute": [
            {
                "uuid": str(uuid5(namespace, "text")),
                "type": "comment",
                "category": "Other",
                "value": escape(feedback.text),
                "comment": str(feedback.word),
                "to_ids": False,
                "disable_correlation": True,
                "distribution": INHERIT,
            }
        ],
    }


def text_of(extension: Json) -> str:
    """Return what an extending event says in words: comments and reports, shortened."""
    rows = extension.get("Attribute") or ()
    said = [
        str(one.get("value", ""))
        for one in rows
        if isinstance(one, dict) and one.get("type") in ("comment", "text")
    ]
    reports = extension.get("EventReport") or ()
    said += [str(one.get("content", "")) for one in reports if isinstance(one, dict)]
    return unescape("\n".join(one.strip() for one in said if one.strip()))[:MAX_TEXT]


def sightings(event: Json) -> tuple[Seen, ...]:
    """Return every sighting of something in *event*; what is none is left out."""
    rows = [*(event.get("Attribute") or ())]
    rows += [row for one in event.get("Object") or () for row in one.get("Attribute") or ()]
    found = (_seen(one) for row in rows for one in row.get("Sighting") or ())
    return tuple(one for one in found if one is not None)


def _seen(row: Json) -> Seen | None:
    try:
        organisation = row["Organisation"]
        return Seen(
            str(UUID(row["uuid"])),
            str(UUID(organisation["uuid"])),
            str(organisation["name"])[:100],
            str(row.get("source") or "")[:100],
            str(row["type"]),
            int(row["date_sighting"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
