"""How a MISP takes attributes, objects, reports and tags out of an event document.

What is wrong is dropped without a word (G2, G3, G7); what is hidden is hidden (S2, G4).
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.doubles.misp.answers import INTERNAL, Refused
from tests.doubles.misp.capture_group import capture as capture_group
from tests.doubles.misp.capture_group import is_uuid
from tests.doubles.misp.rows import Attribute, Event, Json, Report, Tagging, Thing, User
from tests.doubles.misp.state import State
from tests.doubles.misp.values import (
    category_of,
    errors_of,
    has_4_byte_characters,
    stored,
    to_ids_of,
)

INHERIT = 5


class Taker:
    """Takes what *user* sends into one event."""

    def __init__(self, state: State, user: User, event: Event) -> None:
        self.state, self.user, self.event = state, user, event

    def everything(self, document: Json) -> None:
        """Take all of it, in the order in which MISP does.

        Raises:
            Refused: the database refuses a character; what was taken before stays (G1).
        """
        self.tags(self.event.tags, document)
        for one in _list(document, "Attribute"):
            self.attribute(one)
        for one in _list(document, "Object"):
            self.thing(one)
        for one in _list(document, "EventReport"):
            self.report(one)

    def tags(self, tags: list[Tagging], document: Json) -> None:
        for row in [*_list(document, "Tag"), *_list(document, "EventTag")]:
            inner: Json = row.get("Tag") or row
            name = str(inner.get("name") or "").strip()
            tag = self.state.tag(name)
            if tag is None and name and self.user.may("perm_tag_editor"):
                tag = self.state.make_tag(name, inner.get("colour"))
            if tag is not None and _truth(row.get("deleted")):
                tags[:] = [one for one in tags if one.tag is not tag]
            elif tag is not None:
                self.state.attach(tags, tag, local=bool(row.get("local")))

    def attribute(self, document: Json, thing: Thing | None = None) -> dict[str, list[str]]:
        """Take one attribute, new or known by its uuid; return what is wrong with it."""
        uuid = str(document.get("uuid") or uuid4()).lower()
        known = self.state.attributes.by(uuid=uuid)
        if known is not None:
            return self._known_attribute(known, document)
        if not is_uuid(uuid):
            return {"uuid": ["Please provide a valid RFC 4122 UUID"]}
        kind, value = str(document.get("type") or ""), str(document.get("value") or "")
        category = str(document.get("category") or category_of(kind))
        if errors := errors_of(kind, category, value):
            return errors
        value = stored(value)
        siblings = thing.attributes if thing else self.event.attributes
        if thing is None and any(
            (one.type, one.category, one.value, one.deleted) == (kind, category, value, False)
            for one in siblings
        ):
            return {"value": ["A similar attribute already exists for this event."]}
        to_ids = document.get("to_ids")
        distribution, group = self._distribution(document, INHERIT)
        made = Attribute(
            uuid,
            kind,
            category,
            value,
            _truth(to_ids) if to_ids is not None else to_ids_of(kind),
            distribution,
            group,
            int(document.get("timestamp") or self.state.clock.now()),
            comment=stored(str(document.get("comment") or "")),
            deleted=_truth(document.get("deleted")),
            disable_correlation=_truth(document.get("disable_correlation")),
            object_id=thing.id if thing else 0,
            object_relation=document.get("object_relation"),
            first_seen=document.get("first_seen"),
            last_seen=document.get("last_seen"),
            data=document.get("data"),
            event_id=self.event.id,
        )
        siblings.append(self.state.attributes.put(made))
        title = f"Attribute ({made.id}) from Event ({self.event.id}): {category}/{kind} {value}"
        self.state.log(self.user, "Attribute", made.id, "add", title[:250])
        self.tags(made.tags, document)
        return {}

    def thing(self, document: Json) -> Thing | None:
        """Take one object; without a distribution it stays with the organisation (G4).

        One without a description is kept with null, and one that brings null is dropped: so it
        is lost at the first receiver.
        """
        if "description" in document and document["description"] is None:
            return None
        uuid = str(document.get("uuid") or uuid4()).lower()
        known = self.state.objects.by(uuid=uuid)
        if known is not None:
            return self._known_thing(known, document)
        if has_4_byte_characters(str(document.get("comment") or "")):
            raise Refused(500, INTERNAL)
        distribution, group = self._distribution(document, 0)
        made = Thing(
            uuid,
            str(document.get("name") or ""),
            str(document.get("meta-category") or ""),
            document.get("description"),
            str(document.get("template_uuid") or ""),
            str(document.get("template_version") or ""),
            distribution,
            group,
            int(document.get("timestamp") or self.state.clock.now()),
            comment=str(document.get("comment") or ""),
            deleted=_truth(document.get("deleted")),
            first_seen=document.get("first_seen"),
            last_seen=document.get("last_seen"),
            event_id=self.event.id,
        )
        self.event.objects.append(self.state.objects.put(made))
        for one in _list(document, "Attribute"):
            self.attribute(one, made)
        for one in _list(document, "ObjectReference"):
            self.reference(made, one)
        return made

    def reference(self, thing: Thing, document: Json) -> Json:
        target = str(document.get("referenced_uuid") or "").lower()
        found = self.state.attributes.by(uuid=target) or self.state.objects.by(uuid=target)
        row = {
            "id": str(next(self.state.ids["reference"])),
            "uuid": str(document.get("uuid") or uuid4()),
            "timestamp": str(document.get("timestamp") or self.state.clock.now()),
            "object_id": str(thing.id),
            "event_id": str(self.event.id),
            "source_uuid": thing.uuid,
            "referenced_uuid": target,
            "referenced_id": str(found.id) if found else "0",
            "referenced_type": "1" if isinstance(found, Thing) else "0",
            "relationship_type": str(document.get("relationship_type") or ""),
            "comment": str(document.get("comment") or ""),
            "deleted": _truth(document.get("deleted")),
            "object_uuid": thing.uuid,
        }
        if not any(one["uuid"] == row["uuid"] for one in thing.references):
            thing.references.append(row)
        return row

    def report(self, document: Json) -> Report:
        uuid = str(document.get("uuid") or uuid4()).lower()
        known = self.state.reports.by(uuid=uuid)
        now = self.state.clock.now()
        if known is not None:
            known.name = str(document.get("name") or known.name)
            known.content = str(document.get("content") or known.content)
            known.timestamp = int(document.get("timestamp") or now)
            known.deleted = _truth(document.get("deleted"))
            return known
        distribution, group = self._distribution(document, INHERIT)
        made = Report(
            uuid,
            self.event.id,
            stored(str(document.get("name") or "")),
            stored(str(document.get("content") or "")),
            distribution,
            group,
            int(document.get("timestamp") or now),
            _truth(document.get("deleted")),
        )
        return self.state.reports.put(made)

    def _known_attribute(self, known: Attribute, document: Json) -> dict[str, list[str]]:
        if known.event_id != self.event.id:
            return {"uuid": ["UUID of the attribute is already in use."]}
        sent = int(document.get("timestamp") or 0)
        if sent and sent <= known.timestamp:
            return {}
        kind = str(document.get("type") or known.type)
        category = str(document.get("category") or known.category)
        value = str(document.get("value", known.value))
        if errors := errors_of(kind, category, value):
            return errors
        known.type, known.category, known.value = kind, category, stored(value)
        known.comment = stored(str(document.get("comment", known.comment)))
        known.data = document.get("data", known.data)
        for name in ("to_ids", "deleted", "disable_correlation"):
            if name in document:
                setattr(known, name, _truth(document[name]))
        for name in ("first_seen", "last_seen", "object_relation"):
            if name in document:
                setattr(known, name, document[name])
        if "distribution" in document:
            known.distribution, known.sharing_group_id = self._distribution(document, INHERIT)
        known.timestamp = sent or self.state.clock.now()
        self.tags(known.tags, document)
        return {}

    def _known_thing(self, known: Thing, document: Json) -> Thing | None:
        if known.event_id != self.event.id:
            return None
        sent = int(document.get("timestamp") or 0)
        if not sent or sent > known.timestamp:
            known.comment = str(document.get("comment", known.comment))
            known.deleted = _truth(document.get("deleted", known.deleted))
            known.template_version = str(document.get("template_version", known.template_version))
            if "distribution" in document:
                known.distribution, known.sharing_group_id = self._distribution(document, 0)
            known.timestamp = sent or self.state.clock.now()
        for one in _list(document, "Attribute"):
            self.attribute(one, known)
        for one in _list(document, "ObjectReference"):
            self.reference(known, one)
        return known

    def _distribution(self, document: Json, default: int) -> tuple[int, int]:
        """Return distribution and group; a group that is not ours is "organisation only" (S2)."""
        wanted = int(document.get("distribution", default))
        if wanted != 4:
            return wanted, 0
        inline = document.get("SharingGroup")
        if isinstance(inline, dict) and self.user.may("perm_sync"):
            found = capture_group(self.state, self.user, inline)
        else:
            found = allowed_group(self.state, self.user, document.get("sharing_group_id"))
        return (4, found) if found else (0, 0)


def allowed_group(state: State, user: User, group_id: Any) -> int | None:
    """Return the id of a group that *user* may use; a uuid in this place is none (S1)."""
    text = str(group_id or "")
    group = state.groups.get(int(text)) if text.isdigit() else None
    return group.id if group is not None and state.in_group(user, group) else None


def _truth(value: Any) -> bool:
    return value not in (None, False, 0, "0", "", "false")


def _list(document: Json, name: str) -> list[Json]:
    found = document.get(name) or []
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]
