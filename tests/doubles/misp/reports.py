"""Event reports: the path wants the numeric id of the event."""

from __future__ import annotations

from tests.doubles.misp.answers import Answer, NotSaved, Refused
from tests.doubles.misp.attributes import touch
from tests.doubles.misp.capture import Taker
from tests.doubles.misp.event_json import show_report, visible
from tests.doubles.misp.organisations import short
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Event, Json, Report

NOT_ADDED, URL = "Could not add EventReport", "/event_reports/add"


@route("event_reports/add", needs="perm_add")
def add(call: Call) -> Answer:
    event = call.state.event(call.arg(), call.user)
    if event is None:
        raise Refused(404, "Invalid event")
    if not call.arg().isdigit():
        raise NotSaved(NOT_ADDED, "numeric", url=URL)
    if not call.user.may("perm_site_admin") and call.user.org.id != event.orgc_id:
        raise Refused(403, "You do not have permission to do that.")
    body = call.wrapped("EventReport")
    if not body.get("name"):
        raise NotSaved(NOT_ADDED, "This field cannot be left blank", url=URL)
    made = Taker(call.state, call.user, event).report(body)
    touch(call, event)
    return Answer(_told(call, event, made))


@route("event_reports/index")
def index(call: Call) -> Answer:
    event = call.state.event(call.asked("event_id") or "0", call.user)
    if event is None:
        return Answer([])
    rows = [one for one in call.state.reports.values() if one.event_id == event.id]
    shown = [one for one in rows if visible(call.state, event, call.user, one)]
    return Answer([_told(call, event, one) | {"RelationshipInbound": []} for one in shown])


def _told(call: Call, event: Event, one: Report) -> Json:
    orgs = call.state.organisations
    return {
        "EventReport": show_report(one),
        "Event": {
            "id": str(event.id),
            "orgc_id": str(event.orgc_id),
            "org_id": str(event.org_id),
            "info": event.info,
            "user_id": str(event.user.id),
            "date": event.date,
            "Org": {k: short(orgs[event.org_id])[k] for k in ("id", "name")},
            "Orgc": {k: short(orgs[event.orgc_id])[k] for k in ("id", "name")},
        },
        "SharingGroup": {"id": None, "name": None, "uuid": None},
    }
