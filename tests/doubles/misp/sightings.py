"""Sightings: no match is a 200 with an error text, and they travel only when asked to (G9)."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.doubles.misp.answers import Answer, Refused
from tests.doubles.misp.event_json import show_sighting
from tests.doubles.misp.push import NoServers, may_have
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Attribute, Event, Job, Json, Organisation, Server, Sighting
from tests.doubles.misp.search import moment
from tests.doubles.misp.wire import Peer

if TYPE_CHECKING:
    from tests.doubles.misp.instance import Misp

NO_MATCH = "Could not add the Sighting. Reason: No valid attributes found that match the criteria."


@route("sightings/add", needs="perm_sighting")
def add(call: Call) -> Answer:
    body = call.wrapped("Sighting")
    found = _meant(call, body)
    if not found:
        return Answer({"message": NO_MATCH})
    date = int(body.get("timestamp") or body.get("date") or call.state.clock.now())
    rows = []
    for one in found:
        row = Sighting(
            str(uuid4()),
            one,
            call.user.org.id,
            str(body.get("source") or ""),
            int(body.get("type") or 0),
            date,
        )
        rows.append(call.state.sightings.put(row))
    return Answer({"Sighting": show_sighting(call.state, rows[-1])})


@route("sightings/listsightings")
def listing(call: Call) -> Answer:
    state = call.state
    if call.arg(1) == "attribute":
        attribute = state.attributes.known(call.arg())
        event = state.event(attribute.event_id, call.user) if attribute else None
    else:
        attribute, event = None, state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Invalid object.")
    rows = [
        one
        for one in state.sightings.values()
        if one.attribute.event_id == event.id and attribute in (None, one.attribute)
    ]
    return Answer(
        [
            {
                "Sighting": show_sighting(state, one),
                "Organisation": {"name": state.organisations[one.org_id].name},
            }
            for one in rows
        ]
    )


@route("sightings/index")
def index(call: Call) -> Answer:
    # a uuid is not refused: it finds nothing
    event = call.state.event(call.arg(), call.user) if call.arg().isdigit() else None
    rows = call.state.sightings.values()
    mine = [one for one in rows if event is not None and one.attribute.event_id == event.id]
    return Answer([{"Sighting": show_sighting(call.state, one)} for one in mine])


@route("sightings/restsearch")
def search(call: Call) -> Answer:
    first, last = int(call.asked("from") or 0), int(call.asked("to") or call.state.clock.now())
    if call.asked("last"):
        first = moment(call, call.asked("last"))
    rows = [
        one
        for one in call.state.sightings.values()
        if first <= one.date <= last
        and call.state.event(one.attribute.event_id, call.user) is not None
    ]
    told = [show_sighting(call.state, one, inside_event=True) for one in rows]
    return Answer({"response": [{"Sighting": one} for one in told]})


@route("events/publishsightings", needs="perm_sighting")
def publish(call: Call) -> Answer:
    event = call.state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Invalid event")
    url = f"{call.state.url}/events/publishSightings/{event.id}"
    told = {"name": "Publish Sightings", "message": "Sightings published", "url": url}
    event.sighting_timestamp = call.state.clock.now()
    if call.misp.background:
        job = Job("prio", "publish_sightings", f"Event ID: {event.id}")
        call.misp.queue(job, lambda _: push_sightings(call.misp, event))
        return Answer(told | {"message": "Job queued", "id": str(event.id)})
    after = Answer(told | {"id": str(event.id)})
    after.after = lambda: (push_sightings(call.misp, event), None)[1]
    return after


@route("sightings/filtersightinguuidsforpush", needs="perm_sync")
def wanted(call: Call) -> Answer:
    asked = call.body if isinstance(call.body, list) else []
    return Answer([one for one in asked if call.state.sightings.by(uuid=one) is None])


@route("sightings/bulksavesightings", needs="perm_sync")
def bulk(call: Call) -> Answer:
    state = call.state
    event = state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Event not found")
    added = 0
    for one in call.body if isinstance(call.body, list) else []:
        attribute = state.attributes.by(uuid=str(one.get("attribute_uuid", "")).lower())
        if (
            attribute is None
            or attribute.event_id != event.id
            or state.sightings.by(uuid=one.get("uuid"))
        ):
            continue
        org = _organisation(call, one)
        state.sightings.put(
            Sighting(
                str(one["uuid"]),
                attribute,
                org.id,
                str(one.get("source") or ""),
                int(one.get("type") or 0),
                int(one.get("date_sighting") or state.clock.now()),
            )
        )
        added += 1
    answer = Answer({"saved": True, "success": f"{added} sightings added."})
    if added:
        event.sighting_timestamp = state.clock.now()
        answer.after = lambda: (push_sightings(call.misp, event), None)[1]
    return answer


def push_sightings(misp: Misp, event: Event) -> None:
    """Send what the servers do not have of an event's sightings; nobody hears of a failure."""
    for server in list(misp.state.servers.values()):
        if not server.flags.get("push_sightings"):
            continue
        with misp.state.lock:
            rows = [
                show_sighting(misp.state, one, inside_event=True)
                for one in misp.state.sightings.values()
                if one.attribute.event_id == event.id
            ]
            try:
                if not rows or not may_have(misp.state, event, server):
                    continue
            except NoServers:
                continue
        _send(server, event, rows)


def _send(server: Server, event: Event, rows: list[Json]) -> None:
    try:
        with Peer(server) as peer:
            if peer.head(f"/events/view/{event.uuid}") != 200:
                return
            peer.get("/servers/getVersion")
            path = f"/sightings/filterSightingUuidsForPush/{event.uuid}"
            status, missing = peer.post(path, [one["uuid"] for one in rows])
            if status == 200 and missing:
                new = [one for one in rows if one["uuid"] in missing]
                peer.post(f"/sightings/bulkSaveSightings/{event.uuid}", new)
    except (OSError, http.client.HTTPException):
        return


def _meant(call: Call, body: Json) -> list[Attribute]:
    state = call.state
    uuid = str(body.get("uuid") or call.arg() or "").lower()
    values = body.get("values") or ([body["value"]] if body.get("value") else [])
    found = (
        one
        for one in state.attributes.values()
        if not one.deleted
        and (one.uuid == uuid or str(one.id) == str(body.get("id")) or one.value in values)
    )
    return [one for one in found if state.event(one.event_id, call.user) is not None]


def _organisation(call: Call, row: Json) -> Organisation:
    named = row.get("Organisation")
    if isinstance(named, dict) and named.get("uuid"):
        return call.state.organisation(named, call.user)
    return call.user.org
