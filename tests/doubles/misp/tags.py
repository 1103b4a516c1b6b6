"""Tags: an unknown one needs the right to make it, a global one the organisation of the event."""

from __future__ import annotations

import fnmatch

from tests.doubles.misp.answers import Answer, NotSaved, Refused, saved
from tests.doubles.misp.attributes import touch
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Event, Json, Tag, Tagging

NOT_YOURS = (
    "Cannot alter the tags of this data, only the organisation that has created the data (orgc) "
    "can modify global tags."
)
UNKNOWN = "Tag not found and insufficient privileges to create it."


@route("tags/attachtagtoobject", needs="perm_tagger")
def attach(call: Call) -> Answer:
    what, event, tags = _target(call)
    local = call.asked("local") == "1"
    _allow(call, event, local=local)
    name = call.asked("tag")
    tag = call.state.tag(name)
    if tag is None:
        if not call.user.may("perm_tag_editor"):
            why = 'Failed to attach 1 tags. Reasons: {"0":"' + UNKNOWN + '"}'
            url = "/tags/attachTagToObject"
            raise NotSaved("Could not attachTagToObject Tag", why, url=url)
        tag = call.state.make_tag(name)
    if not call.state.attach(tags, tag, local=local):
        again = f"{what[0]} already has the requested tag attached, no changes had to be made for "
        return saved(f"{again}tag {tag.name}.", "/tags/attachTagToObject")
    if not local:
        touch(call, event)
    kind = "Local" if local else "Global"
    message = f"{kind} tag {tag.name}({tag.id}) successfully attached to {what[0]}({what[1]})."
    return saved(message, "/tags/attachTagToObject")


@route("tags/removetagfromobject", needs="perm_tagger")
def remove(call: Call) -> Answer:
    what, event, tags = _target(call)
    tag = call.state.tag(call.asked("tag"))
    if tag is None:
        raise Refused(404, "Invalid Tag")
    row = next((one for one in tags if one.tag is tag), None)
    if row is None:
        missing = f"Could not remove tag as it is not attached to the target {what[0]}"
        raise Refused(404, missing)
    _allow(call, event, local=row.local)
    tags.remove(row)
    if not row.local:
        touch(call, event)
    kind = "Local" if row.local else "Global"
    message = f"{kind} tag {tag.name} ({tag.id}) successfully removed from {what[0]}({what[1]})."
    return saved(message, "/tags/removeTagFromObject")


@route("tags/search")
def search(call: Call) -> Answer:
    pattern = call.arg().replace("%", "*").casefold()
    found = [
        one for one in call.state.tags.values() if fnmatch.fnmatchcase(one.name.casefold(), pattern)
    ]
    return Answer([{"Tag": _row(one)} for one in found])


@route("tags/index")
def index(call: Call) -> Answer:
    more = {"favourite": False, "count": 0, "attribute_count": 0}
    rows = sorted(call.state.tags.values(), key=lambda one: one.name)
    return Answer({"Tag": [_row(one) | more for one in rows]})


@route("tags/add", needs="perm_tag_editor")
def add(call: Call) -> Answer:
    body = call.wrapped("Tag")
    name = str(body.get("name") or "")
    if call.state.tag(name) is not None:
        why = {"name": ["This name is already taken."]}
        raise NotSaved("Could not add Tag", why, url="/tags/add")
    return Answer({"Tag": _row(call.state.make_tag(name, body.get("colour")))})


def _target(call: Call) -> tuple[tuple[str, int], Event, list[Tagging]]:
    uuid = call.asked("uuid").lower()
    event = call.state.event(uuid, call.user) if uuid else None
    if event is not None:
        return ("Event", event.id), event, event.tags
    attribute = call.state.attributes.by(uuid=uuid)
    event = call.state.event(attribute.event_id, call.user) if attribute else None
    if attribute is None or event is None:
        raise Refused(404, "Invalid Target.")
    return ("Attribute", attribute.id), event, attribute.tags


def _allow(call: Call, event: Event, *, local: bool) -> None:
    user = call.user
    if user.may("perm_site_admin") or user.org.id == event.orgc_id:
        return
    host = call.state.settings.get("MISP.host_org_id")
    if not (local and host == user.org.id):
        raise Refused(403, NOT_YOURS)


def _row(one: Tag) -> Json:
    return {
        "id": str(one.id),
        "name": one.name,
        "colour": one.colour,
        "exportable": one.exportable,
        "org_id": "0",
        "user_id": "0",
        "hide_tag": False,
        "numerical_value": None,
        "is_galaxy": one.name.startswith("misp-galaxy:"),
        "is_custom_galaxy": False,
        "local_only": False,
    }
