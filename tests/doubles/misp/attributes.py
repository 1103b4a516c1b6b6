"""Attributes and objects one by one; here an invalid value is told (and not in events/add)."""

from __future__ import annotations

import base64

from tests.doubles.misp.answers import Answer, NotSaved, Refused
from tests.doubles.misp.capture import Taker
from tests.doubles.misp.event_json import View, show_attribute, show_tag, show_thing
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Attribute, Event, Json

NOT_ADDED = "Could not add Attribute"
HARD = {"1", "true"}


@route("attributes/add", needs="perm_add")
def add(call: Call) -> Answer:
    event = _editable(call)
    several = call.body if isinstance(call.body, list) else None
    errors: dict[str, dict[str, list[str]]] = {}
    first = len(event.attributes)
    for place, one in enumerate(several if several is not None else [call.wrapped("Attribute")]):
        if wrong := Taker(call.state, call.user, event).attribute(one):
            errors[f"attribute_{place}"] = wrong
    made = event.attributes[first:]
    if not made:
        wrong = errors if several is not None else errors.get("attribute_0", {})
        raise NotSaved(NOT_ADDED, wrong, url="/attributes/add")
    touch(call, event)
    told: Json = {"Attribute": _stored(made[0])}
    if len(made) > 1:
        told = {"Attribute": [_stored(one) for one in made]}
    else:
        told["AttributeTag"] = [show_tag(one) for one in made[0].tags]
    return Answer(told | ({"errors": errors} if errors else {}))


@route("attributes/edit", needs="perm_add")
def edit(call: Call) -> Answer:
    attribute, event = _attribute(call)
    body = {**call.wrapped("Attribute"), "uuid": attribute.uuid}
    if wrong := Taker(call.state, call.user, event).attribute(body):
        raise NotSaved("Could not edit Attribute", wrong, url=f"/attributes/edit/{call.arg()}")
    touch(call, event)
    return Answer({"Attribute": _stored(attribute)})


@route("attributes/delete", needs="perm_add")
def delete(call: Call) -> Answer:
    attribute, event = _attribute(call)
    if call.arg(1) in HARD or call.asked("hard") in HARD:
        (event.attributes if attribute in event.attributes else [attribute]).remove(attribute)
        del call.state.attributes[attribute.id]
    else:
        attribute.deleted = True
        attribute.timestamp = call.state.clock.now()
    touch(call, event)
    return Answer({"message": "Attribute deleted."})


@route("attributes/view")
def view(call: Call) -> Answer:
    attribute = call.state.attributes.known(call.arg())
    if attribute is None or call.state.event(attribute.event_id, call.user) is None:
        raise Refused(404, "Invalid attribute")
    return Answer({"Attribute": show_attribute(call.state, attribute, View())})


@route("attributes/download")
def download(call: Call) -> Answer:
    attribute = call.state.attributes.known(call.arg())
    if attribute is None or call.state.event(attribute.event_id, call.user) is None:
        raise Refused(404, "Attachment not found on the server")
    name = f'attachment; filename="{attribute.value}"'
    return Answer(base64.b64decode(attribute.data or ""), headers={"Content-Disposition": name})


@route("objects/add", needs="perm_add")
def add_object(call: Call) -> Answer:
    event = _editable(call)
    body = call.wrapped("Object")
    # here MISP looks into its template
    made = Taker(call.state, call.user, event).thing({"description": body.get("name"), **body})
    if made is None:
        raise NotSaved("Could not add Object", "Object could not be saved.", url="/objects/add")
    touch(call, event)
    shown = [_stored(one) for one in made.attributes]
    told = show_thing(call.state, made, shown)
    del told["ObjectReference"]
    return Answer({"Object": told})


@route("object_references/add", needs="perm_add")
def add_reference(call: Call) -> Answer:
    body = call.wrapped("ObjectReference")
    thing = call.state.objects.known(body.get("object_uuid") or call.arg())
    event = call.state.event(thing.event_id, call.user) if thing else None
    if thing is None or event is None:
        raise Refused(404, "Invalid object.")
    row = Taker(call.state, call.user, event).reference(thing, body)
    touch(call, event)
    return Answer({"ObjectReference": row})


@route("shadow_attributes/add", needs="perm_add")
def propose(call: Call) -> Answer:
    event = call.state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Invalid event")
    body = call.wrapped("ShadowAttribute")
    row = {
        "id": str(next(call.state.ids["proposal"])),
        "old_id": "0",
        "event_id": str(event.id),
        "type": body.get("type"),
        "category": body.get("category"),
        "comment": body.get("comment", ""),
        "to_ids": True,
        "uuid": call.misp.new_uuid(),
        "event_org_id": str(event.org_id),
        "email": call.user.email,
        "deleted": False,
        "timestamp": str(call.state.clock.now()),
        "first_seen": None,
        "last_seen": None,
        "value": body.get("value"),
    }
    event.proposals.append(row | {"org_id": str(call.user.org.id)})
    event.proposal_email_lock = True
    return Answer({"ShadowAttribute": row})


@route("shadow_attributes/index")
def proposals(_: Call) -> Answer:
    return Answer([])


def touch(call: Call, event: Event) -> None:
    """A change of a part unpublishes the event and makes it newer."""
    event.timestamp = max(event.timestamp, call.state.clock.now())
    event.published = False


def _editable(call: Call) -> Event:
    event = call.state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Invalid event")
    if not call.user.may("perm_site_admin") and call.user.org.id != event.orgc_id:
        raise Refused(403, "You do not have permission to do that.")
    return event


def _attribute(call: Call) -> tuple[Attribute, Event]:
    attribute = call.state.attributes.known(call.arg())
    event = call.state.event(attribute.event_id, call.user) if attribute else None
    if attribute is None or event is None:
        raise Refused(404, "Invalid attribute")
    if not call.user.may("perm_site_admin") and call.user.org.id != event.orgc_id:
        raise Refused(403, "You do not have permission to do that.")
    return attribute, event


def _stored(one: Attribute) -> Json:
    value1, _, value2 = one.value.partition("|") if "|" in one.type else (one.value, "", "")
    return {
        "id": str(one.id),
        "event_id": str(one.event_id),
        "object_id": str(one.object_id),
        "object_relation": one.object_relation,
        "category": one.category,
        "type": one.type,
        "value1": value1,
        "value2": value2,
        "to_ids": one.to_ids,
        "uuid": one.uuid,
        "timestamp": str(one.timestamp),
        "distribution": str(one.distribution),
        "sharing_group_id": str(one.sharing_group_id),
        "comment": one.comment,
        "deleted": one.deleted,
        "disable_correlation": one.disable_correlation,
        "first_seen": one.first_seen,
        "last_seen": one.last_seen,
        "value": one.value,
    }
