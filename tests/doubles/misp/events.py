"""Events: add, edit, view, delete, index."""

from __future__ import annotations

import re
from uuid import uuid4

from tests.doubles.misp.answers import INTERNAL, NO_GROUP, Answer, NotSaved, Refused, saved
from tests.doubles.misp.capture import Taker, allowed_group
from tests.doubles.misp.capture_group import capture as capture_group
from tests.doubles.misp.capture_group import is_uuid
from tests.doubles.misp.event_json import View, event_head, show
from tests.doubles.misp.organisations import short
from tests.doubles.misp.protection import check_signature, keys_in, sign
from tests.doubles.misp.publishing import publish_now
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Event, Json, User
from tests.doubles.misp.state import State
from tests.doubles.misp.values import has_4_byte_characters
from tests.doubles.misp.wire import encode

NOT_NEWER = "Event in the request not newer than the local copy."
NOT_YOURS = (
    "The user used to edit the event is not authorised to do so. This can be caused by the user "
    "not being of the same organisation as the original creator of the event whilst also not "
    "being a site administrator."
)
NO_EDIT_GROUP = "Invalid sharing group or you don't have access to that sharing group."
LEVELS = "Options : Your organisation only, This community only, Connected communities, "
DESCRIPTION = (
    "POST a MISP Event JSON to this API to create an Event. Contained objects can also be included "
    "(such as attributes, objects, tags, etc)."
)

OPTIONAL = [
    "threat_level_id",
    "analysis",
    "distribution",
    "sharing_group_id",
    "uuid",
    "published",
    "timestamp",
    "date",
    "Attribute",
    "Object",
    "Shadow_Attribute",
    "EventTag",
]


@route("events/add", needs="perm_add")
def add(call: Call) -> Answer:
    if call.method == "GET":
        return Answer(
            {
                "name": "/events/add API description",
                "description": DESCRIPTION,
                "mandatory_fields": ["info"],
                "optional_fields": OPTIONAL,
                "url": "/events/add",
            }
        )
    document = call.wrapped("Event")
    if not document:
        raise Refused(405, "No valid event data received.")
    before = set(call.state.groups)
    event = create(call, document)
    fresh = frozenset(set(call.state.groups) - before)
    return _stored(call, event, document, fresh)


@route("events/edit", needs="perm_add")
def edit(call: Call) -> Answer:
    event = call.state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Invalid event")
    document = call.wrapped("Event")
    change(call, event, document)
    return _stored(call, event, document, frozenset())


@route("events/view")
def view(call: Call) -> Answer:
    event = call.state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Invalid event")
    how = View(
        extended=call.asked("extended") == "1",
        deleted="1" in call.named.get("deleted", []),
        metadata=call.asked("metadata") == "1",
    )
    told = show(call.state, event, call.user, how)
    for one in told["Event"]["RelatedEvent"]:
        one["RelationshipInbound"] = []
    headers = {}
    if event.protected and call.is_misp and (signature := sign(call.misp, encode(told))):
        headers["x-pgp-signature"] = signature
    return Answer(told, headers=headers)


@route("events/delete", needs="perm_add")
def delete(call: Call) -> Answer:
    state, event = call.state, call.state.event(call.arg(), call.user)
    if event is None or not _owns(call.user, event):
        raise NotSaved("Could not delete Event", "Event was not deleted.", url="/events/delete")
    remove(state, event)
    state.blocklist.append(
        {
            "id": str(next(state.ids["blocklist"])),
            "event_uuid": event.uuid,
            "created": state.clock.text(),
            "event_info": event.info,
            "comment": "Automatically blocked by deleting event",
            "event_orgc": state.organisations[event.orgc_id].name,
        }
    )
    return saved("Event deleted.", f"/events/delete/{call.arg()}", call.arg())


@route("event_blocklists/index", needs="perm_site_admin")
def blocklist(call: Call) -> Answer:
    return Answer(call.state.blocklist)


@route("event_blocklists/delete", needs="perm_site_admin")
def unblock(call: Call) -> Answer:
    given = call.arg()
    rows = [one for one in call.state.blocklist if given in (one["id"], one["event_uuid"])]
    for one in rows:
        call.state.blocklist.remove(one)
    return saved("Blocklist entry deleted.", f"/eventBlocklists/delete/{given}", given)


@route("events/index")
def index(call: Call) -> Answer:
    state, user = call.state, call.user
    events = [one for one in state.events.values() if state.sees(user, one)]
    if call.asked("published") in ("0", "1"):
        events = [one for one in events if one.published == (call.asked("published") == "1")]
    for name in ("timestamp", "publish_timestamp"):
        if since := call.asked(name):
            events = [one for one in events if getattr(one, name) >= int(since)]
    events = [one for one in events if not one.protected or _is_ours(call, one)]
    headers = {"X-Result-Count": str(len(events))}
    limit, page = call.asked("limit"), int(call.asked("page") or 1)
    if limit:
        events = events[(page - 1) * int(limit) : page * int(limit)]
    row = _minimal if call.asked("minimal") == "1" else _row
    return Answer([row(state, one) for one in events], headers=headers)


def _is_ours(call: Call, event: Event) -> bool:
    """Say whether the instance's own key is on a protected event: others are not listed."""
    return call.misp.fingerprint in {one["fingerprint"] for one in event.keys}


def create(call: Call, document: Json) -> Event:
    """Store a new event; what is wrong inside it is dropped without a word.

    Raises:
        Refused
    """
    state, user = call.state, call.user
    uuid = str(document.get("uuid") or uuid4()).lower()
    if any(one["event_uuid"] == uuid for one in state.blocklist):
        raise Refused(403, "Event blocked by event blocklist.")
    known = state.events.by(uuid=uuid)
    if known is not None:
        message = "Event already exists, if you would like to edit it, "
        again = Refused(404, message + "use the url in the location header.")
        again.headers["Location"] = f"{state.url}/events/{known.id}"
        raise again
    if errors := _errors(document, uuid):
        raise NotSaved("Could not add Event", {"Event": errors}, url="/events/add")
    distribution, group = _shared_with(state, user, document)
    if document.get("protected"):
        check_signature(call, None, document)
    if has_4_byte_characters(str(document["info"])):
        raise Refused(500, INTERNAL)
    sync = user.may("perm_sync")
    event = Event(
        uuid,
        str(document["info"]),
        user.org.id,
        _creator(state, user, document),
        user,
        str(document.get("date") or state.clock.text()[:10]),
        int(document.get("timestamp") or state.clock.now()),
        int(document.get("threat_level_id") or 4),
        int(document.get("analysis") or 0),
        distribution,
        group,
        locked=sync and document.get("locked") in (True, 1, "1"),
        extends_uuid=str(document.get("extends_uuid") or "").lower(),
        protected=True if document.get("protected") else None,
    )
    state.events.put(event)
    event.keys = keys_in(document, event)
    state.log(user, "Event", event.id, "add", f"Event ({event.id}): {event.info}")
    Taker(state, user, event).everything(document)
    return event


def change(call: Call, event: Event, document: Json) -> None:
    """Change an event: lists only ever grow.

    Raises:
        Refused
    """
    state, user = call.state, call.user
    own = _owns(user, event)
    if not own and not user.may("perm_sync"):
        raise Refused(403, "You are not authorised to do that.")
    if event.protected:
        check_signature(call, event, document)
    sent = int(document.get("timestamp") or 0)
    if sent and sent <= event.timestamp:
        raise _not_edited(event, NOT_NEWER)
    if not own and not event.locked:
        raise _not_edited(event, NOT_YOURS)
    if has_4_byte_characters(str(document.get("info") or "")):
        raise Refused(500, INTERNAL)
    if int(document.get("distribution", -1)) == 4:
        _regroup(state, user, event, document)
    elif "distribution" in document:
        event.distribution, event.sharing_group_id = int(document["distribution"]), 0
    for name in ("info", "date"):
        if document.get(name):
            setattr(event, name, str(document[name]))
    for name in ("threat_level_id", "analysis"):
        if name in document:
            setattr(event, name, int(document[name]))
    if "extends_uuid" in document:
        event.extends_uuid = str(document["extends_uuid"] or "").lower()
    event.timestamp = sent or state.clock.now()
    event.published = False
    for one in keys_in(document, event):
        if not any(key["key_data"] == one["key_data"] for key in event.keys):
            event.keys.append(one)
    Taker(state, user, event).everything(document)


def remove(state: State, event: Event) -> None:
    """Take an event and all its parts away."""
    del state.events[event.id]
    for one in event.everything():
        state.attributes.pop(one.id, None)
    for thing in event.objects:
        state.objects.pop(thing.id, None)
    for report in [one for one in state.reports.values() if one.event_id == event.id]:
        del state.reports[report.id]


def _stored(call: Call, event: Event, document: Json, fresh: frozenset[int]) -> Answer:
    """Answer with the event; `published` from somebody who may publish sends it on (G7)."""
    how = View(metadata=call.asked("metadata") == "1", fresh=fresh, stored=True)
    publish = document.get("published") in (True, 1, "1") and call.user.may("perm_publish")
    if not publish:
        return Answer(show(call.state, event, call.user, how))
    given = int(document.get("publish_timestamp") or 0) if call.user.may("perm_sync") else 0
    sending = publish_now(call.misp, event, call.user, stamp=given)
    answer = Answer(show(call.state, event, call.user, how))
    answer.after = lambda: (sending(), None)[1]
    return answer


def _shared_with(state: State, user: User, document: Json) -> tuple[int, int]:
    """Return distribution and group of a new event (S1, S3, S5, S6)."""
    distribution = int(document.get("distribution", 1))
    if distribution != 4:
        return distribution, 0
    inline = document.get("SharingGroup")
    if isinstance(inline, dict) and inline.get("uuid") and user.may("perm_sync"):
        found = capture_group(state, user, inline)
        # "organisation only", and nobody is told
        return (4, found) if found else (0, 0)
    allowed = allowed_group(state, user, document.get("sharing_group_id"))
    if allowed is None:
        raise Refused(405, NO_GROUP)
    return 4, allowed


def _regroup(state: State, user: User, event: Event, document: Json) -> None:
    inline = document.get("SharingGroup")
    if isinstance(inline, dict) and inline.get("uuid") and user.may("perm_sync"):
        found = capture_group(state, user, inline)
        event.distribution, event.sharing_group_id = (4, found) if found else (0, 0)
        return
    allowed = allowed_group(state, user, document.get("sharing_group_id", event.sharing_group_id))
    if allowed is None:
        raise _not_edited(event, NO_EDIT_GROUP)
    event.distribution, event.sharing_group_id = 4, allowed


def _creator(state: State, user: User, document: Json) -> int:
    named = document.get("Orgc")
    if isinstance(named, dict) and named.get("uuid") and user.may("perm_sync"):
        return state.organisation(named, user).id
    return user.org.id


def _owns(user: User, event: Event) -> bool:
    return user.may("perm_site_admin") or (
        user.org.id == event.orgc_id and user.may("perm_modify_org")
    )


def _not_edited(event: Event, why: str) -> NotSaved:
    errors = f"Event could not be saved: {why}"
    return NotSaved("Could not edit Event", errors, url=f"/events/edit/{event.id}", row=event.id)


def _errors(document: Json, uuid: str) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if not document.get("info"):
        errors["info"] = ["valueNotEmpty"]
    date = document.get("date")
    if date and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(date)):
        errors["date"] = ["Expected date format: YYYY-MM-DD"]
    if not is_uuid(uuid):
        errors["uuid"] = ["Please provide a valid RFC 4122 UUID"]
    if str(document.get("distribution", 1)) not in ("0", "1", "2", "3", "4"):
        errors["distribution"] = [LEVELS + "All communities"]
    return errors


def _minimal(state: State, event: Event) -> Json:
    return {
        "id": str(event.id),
        "timestamp": str(event.timestamp),
        "sighting_timestamp": str(event.sighting_timestamp),
        "published": event.published,
        "uuid": event.uuid,
        "orgc_uuid": state.organisations[event.orgc_id].uuid,
    }


def _row(state: State, event: Event) -> Json:
    told: Json = event_head(event) | {"sighting_timestamp": str(event.sighting_timestamp)}
    told["Org"] = short(state.organisations[event.org_id])
    told["Orgc"] = short(state.organisations[event.orgc_id])
    group = state.groups.get(event.sharing_group_id)
    if event.distribution == 4 and group:
        told["SharingGroup"] = {"id": str(group.id), "name": group.name, "uuid": group.uuid}
    told["EventTag"] = [
        {
            "id": str(one.id),
            "event_id": str(event.id),
            "tag_id": str(one.tag.id),
            "local": one.local,
            "relationship_type": None,
            "Tag": {
                "id": str(one.tag.id),
                "name": one.tag.name,
                "colour": one.tag.colour,
                "is_galaxy": one.tag.name.startswith("misp-galaxy:"),
            },
        }
        for one in event.tags
    ]
    return told
