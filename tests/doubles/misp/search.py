"""restSearch: unknown filters are overlooked, `published: false` is applied after paging."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.doubles.misp.answers import Answer, Refused
from tests.doubles.misp.attributes import _stored
from tests.doubles.misp.event_json import (
    View,
    show,
    show_attribute,
    show_thing,
    show_warnings,
    visible,
)
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Attribute, Event, Json, Thing
from tests.doubles.misp.warninglists import hits

FORMATS = ("json", "", "csv", "stix2")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
CSV = "uuid,event_id,category,type,value,comment,to_ids,date"


@route("events/restsearch")
def events(call: Call) -> Answer:
    asked = _filters(call)
    if asked.get("returnFormat", "json") not in FORMATS:
        raise Refused(404, "Invalid output format.")
    rows = [one for one in _events(call) if _event_matches(call, one, asked)]
    total = len(rows)
    rows = _page(rows, asked)
    if asked.get("published") in (False, 0, "0", "false"):
        # after paging: the count is wrong and pages are short
        rows = [one for one in rows if not one.published]
    headers = _headers(total) | {
        "Content-Disposition": 'attachment; filename="misp.event.list.json"'
    }
    if asked.get("returnFormat") == "csv":
        return _csv(rows, headers)
    how = View(
        metadata=_truth(asked.get("metadata")),
        extended=_truth(asked.get("includeExtensions")) or _truth(asked.get("extended")),
        deleted="1" in [str(one) for one in _several(asked.get("deleted"))],
        data=_truth(asked.get("withAttachments")),
    )
    return Answer(
        {"response": [show(call.state, one, call.user, how) for one in rows]}, 200, headers
    )


@route("attributes/restsearch")
def attributes(call: Call) -> Answer:
    asked, skipped, told = _filters(call), 0, []
    found = [
        (one, event)
        for event in _events(call)
        if _event_matches(call, event, asked, inside=True)
        for one in event.everything()
        if visible(call.state, event, call.user, one) and _attribute_matches(one, asked)
    ]
    for one, event in _page(found, asked):
        warnings = hits(call.state, one.type, [one.value]).get(one.value, [])
        if warnings and _truth(asked.get("enforceWarninglist")):
            skipped += 1
            continue
        told.append(_row(call, one, event, asked, warnings))
    headers = _headers(len(found)) | {"X-Skipped-Elements-Count": str(skipped)}
    return Answer({"response": {"Attribute": told}}, 200, headers)


@route("objects/restsearch")
def objects(call: Call) -> Answer:
    asked = _filters(call)
    name = asked.get("object_name")
    told = [
        {"Object": _found_thing(call, thing)}
        for event in _events(call)
        for thing in event.objects
        if not thing.deleted and name in (None, thing.name)
    ]
    return Answer({"response": told}, 200, _headers(len(told)))


def _found_thing(call: Call, thing: Thing) -> Json:
    tags = {"AttributeTag": []}
    told = show_thing(call.state, thing, [_stored(one) | tags for one in thing.attributes])
    event = call.state.events[thing.event_id]
    told["Event"] = {
        "id": str(event.id),
        "info": event.info,
        "org_id": str(event.org_id),
        "orgc_id": str(event.orgc_id),
    }
    return {name: value for name, value in told.items() if name != "ObjectReference"}


def _events(call: Call) -> list[Event]:
    return [one for one in call.state.events.values() if call.state.sees(call.user, one)]


def _filters(call: Call) -> Json:
    named = {name: values[0] if len(values) == 1 else values for name, values in call.named.items()}
    return named | call.wrapped("request")


def _number(text: str) -> int:
    """Return a text as MySQL compares it with a number: by its first digits, or 0."""
    found = re.match(r"\s*(\d+)", text)
    return int(found[1]) if found else 0


def _event_matches(call: Call, event: Event, asked: Json, *, inside: bool = False) -> bool:
    state = call.state
    org = state.organisations[event.orgc_id]
    tests: dict[str, Callable[[Any], bool]] = {
        "eventid": lambda v: str(event.id) in _texts(v) or event.uuid in _texts(v),
        "org": lambda v: {org.uuid, org.name, str(org.id)} & set(_texts(v)) != set(),
        "tags": lambda v: _tagged([one.tag.name for one in event.tags], v),
        "sharinggroup": lambda v: event.sharing_group_id in [_number(one) for one in _texts(v)],
        "eventinfo": lambda v: _like(event.info, str(v)),
        "publish_timestamp": lambda v: _since(call, event.publish_timestamp, v),
        "published": lambda v: event.published or not _truth(v),
    }
    if not inside:
        tests |= {
            "uuid": lambda v: event.uuid in [one.lower() for one in _texts(v)],
            "timestamp": lambda v: _since(call, event.timestamp, v),
            "last": lambda v: _since(call, event.publish_timestamp, v),
            "value": lambda v: any(one.value in _texts(v) for one in event.everything()),
        }
    else:
        tests["event_timestamp"] = lambda v: _since(call, event.timestamp, v)
        del tests["tags"]
    given = {name: value for name, value in asked.items() if value not in (None, "", [])}
    return all(test(given[name]) for name, test in tests.items() if name in given)


def _attribute_matches(one: Attribute, asked: Json) -> bool:
    deleted = [str(value) for value in _several(asked.get("deleted"))]
    if one.deleted and not {"1", "True"} & set(deleted):
        return False
    tests: dict[str, Callable[[Any], bool]] = {
        "value": lambda v: _one_of(one.value, v),
        "type": lambda v: one.type in _texts(v),
        "category": lambda v: one.category in _texts(v),
        "uuid": lambda v: one.uuid in [text.lower() for text in _texts(v)],
        "to_ids": lambda v: one.to_ids == _truth(v),
        "object_relation": lambda v: one.object_relation in _texts(v),
        "tags": lambda v: _tagged([tagging.tag.name for tagging in one.tags], v),
    }
    given = {name: value for name, value in asked.items() if value not in (None, "", [])}
    return all(test(given[name]) for name, test in tests.items() if name in given)


def _row(call: Call, one: Attribute, event: Event, asked: Json, warnings: list[Json]) -> Json:
    told = show_attribute(
        call.state,
        one,
        View(data=_truth(asked.get("withAttachments"))),
        sightings=_truth(asked.get("includeSightings")),
    )
    told = {k: v for k, v in told.items() if k not in ("Galaxy", "ShadowAttribute")}
    if _truth(asked.get("includeEventUuid")):
        told["event_uuid"] = event.uuid
    if warnings and _truth(asked.get("includeWarninglistHits")):
        told["warnings"] = show_warnings(one, warnings)
    told["Event"] = {
        "org_id": str(event.org_id),
        "distribution": str(event.distribution),
        "publish_timestamp": str(event.publish_timestamp),
        "id": str(event.id),
        "info": event.info,
        "orgc_id": str(event.orgc_id),
        "uuid": event.uuid,
    }
    thing = call.state.objects.get(one.object_id)
    if thing is not None:
        told["Object"] = {
            "id": str(thing.id),
            "distribution": str(thing.distribution),
            "sharing_group_id": str(thing.sharing_group_id),
        }
    return told


def _page(rows: list[Any], asked: Json) -> list[Any]:
    limit, page = int(asked.get("limit") or 0), int(asked.get("page") or 1)
    return rows[(page - 1) * limit : page * limit] if limit else rows


def _headers(total: int) -> dict[str, str]:
    return {
        "X-Result-Count": str(total),
        "X-Export-Module-Used": "json",
        "X-Response-Format": "json",
        "X-Skipped-Elements-Count": "0",
    }


def _csv(rows: list[Event], headers: dict[str, str]) -> Answer:
    lines = [
        f'"{one.uuid}",{event.id},"{one.category}","{one.type}","{one.value}","{one.comment}",'
        f"{int(one.to_ids)},{one.timestamp}"
        for event in rows
        for one in event.everything()
    ]
    more = {"Content-Type": "text/csv; charset=UTF-8"}
    return Answer("\n".join([CSV, *lines, ""]), 200, headers | more)


def _since(call: Call, time: int, asked: Any) -> bool:
    bounds = [moment(call, one) for one in _several(asked)]
    return time >= bounds[0] and (len(bounds) < 2 or time <= bounds[1])


def moment(call: Call, given: Any) -> int:
    text = str(given)
    seconds = ago(text)
    return call.state.clock.now() - seconds if seconds else int(float(text))


def ago(text: str) -> int:
    """Return the seconds of a time such as `10m`; 0 where it is none."""
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    return int(found[1]) * UNITS[found[2]] if found else 0


def _tagged(names: list[str], asked: Any) -> bool:
    folded = {one.casefold() for one in names}
    if isinstance(asked, dict):
        every = {str(one).casefold() for one in _several(asked.get("AND"))}
        some = {str(one).casefold() for one in _several(asked.get("OR"))}
        none = {str(one).casefold() for one in _several(asked.get("NOT"))}
        return every <= folded and (not some or bool(some & folded)) and not none & folded
    wanted = [one.casefold() for one in _texts(asked)]
    return any(one in folded for one in wanted if not one.startswith("!"))


def _one_of(value: str, asked: Any) -> bool:
    return any(_like(value, text) if "%" in text else value == text for text in _texts(asked))


def _like(text: str, pattern: str) -> bool:
    parts = [re.escape(one) for one in pattern.split("%")]
    return re.fullmatch(".*".join(parts), text, re.IGNORECASE | re.DOTALL) is not None


def _several(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _texts(value: Any) -> list[str]:
    return [str(one) for one in _several(value)]


def _truth(value: Any) -> bool:
    return value not in (None, False, 0, "0", "", "false")
