"""Organisations: the name check is case sensitive, an empty name is accepted."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from tests.doubles.misp.answers import INTERNAL, Answer, NotSaved, Refused, saved
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Json, Organisation
from tests.doubles.misp.state import State
from tests.doubles.misp.values import has_4_byte_characters

EDITABLE = ("name", "nationality", "sector", "type", "description", "contacts", "local")


def short(org: Organisation, *, local: bool = False) -> Json:
    """Return an organisation as it stands inside other things."""
    told: Json = {"id": str(org.id), "name": org.name, "uuid": org.uuid}
    return told | ({"local": org.local} if local else {})


def full(org: Organisation) -> Json:
    return {
        "id": str(org.id),
        "name": org.name,
        "date_created": org.created,
        "date_modified": org.modified,
        "description": org.description,
        "type": org.type,
        "nationality": org.nationality,
        "sector": org.sector,
        "created_by": str(org.created_by),
        "uuid": org.uuid,
        "contacts": org.contacts,
        "local": org.local,
        "restricted_to_domain": None,
        "landingpage": None,
    }


def _for(call: Call, org: Organisation) -> Json:
    users = [one for one in call.state.users.values() if one.org is org]
    told = full(org) | {"user_count": str(len(users))}
    creator = call.state.users.get(org.created_by)
    if call.user.may("perm_site_admin"):
        return told | {"created_by_email": creator.email if creator else "Unknown"}
    return {name: value for name, value in told.items() if name != "created_by"}


@route("organisations/index")
def index(call: Call) -> Answer:
    scope = call.asked("scope") or "local"
    shown = [
        one
        for one in sorted(call.state.organisations.values(), key=lambda one: one.name.lower())
        if scope == "all" or one.local == (scope == "local")
    ]
    return Answer([{"Organisation": _for(call, one)} for one in shown])


@route("organisations/view")
def view(call: Call) -> Answer:
    org = _known(call.state, call.arg()) or call.state.organisations.by(name=call.arg())
    if org is None:
        raise Refused(404, "Invalid organisation")
    told = _for(call, org)
    del told["landingpage"]
    return Answer({"Organisation": told})


@route("admin/organisations/add", needs="perm_site_admin")
def add(call: Call) -> Answer:
    body = call.wrapped("Organisation")
    _storable(body)
    if errors := _errors(call.state, body, None):
        raise NotSaved("Could not add Organisation", errors, url="/admin/organisations/add")
    now = call.state.clock.text()
    org = Organisation(
        str(body.get("uuid") or uuid4()).lower(),
        str(body.get("name") or ""),
        created=now,
        modified=now,
        created_by=call.user.id,
    )
    _take(org, body)
    return Answer({"Organisation": full(call.state.organisations.put(org))})


@route("admin/organisations/edit", needs="perm_site_admin")
def edit(call: Call) -> Answer:
    org = _known(call.state, call.arg())
    if org is None:
        raise Refused(404, "Invalid organisation.")
    body = call.wrapped("Organisation")
    _storable(body)
    if errors := _errors(call.state, body, org):
        raise NotSaved("Could not edit Organisation", errors, url="/admin/organisations/edit")
    _take(org, body)
    org.modified = call.state.clock.text()
    return Answer({"Organisation": full(org) | {"restricted_to_domain": []}})


@route("admin/organisations/delete", needs="perm_site_admin")
def delete(call: Call) -> Answer:
    org = _known(call.state, call.arg())
    if org is None:
        raise Refused(404, "Invalid organisation")
    url = f"/admin/organisations/delete/{call.arg()}"
    if _is_used(call.state, org):
        raise NotSaved("Could not delete Organisation", [], url=url, row=call.arg())
    del call.state.organisations[org.id]
    return saved("Organisation deleted", url, call.arg())


def _known(state: State, id_or_uuid: str) -> Organisation | None:
    return state.organisations.known(id_or_uuid)


def _storable(body: Json) -> None:
    if has_4_byte_characters(str(body.get("name") or "")):
        raise Refused(500, INTERNAL)


def _take(org: Organisation, body: Json) -> None:
    for name in EDITABLE:
        if name in body:
            value = body[name]
            setattr(org, name, bool(value) if name == "local" else value)


def _errors(state: State, body: Json, own: Organisation | None) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    uuid = body.get("uuid")
    if uuid and own is None:
        if not _is_uuid(uuid):
            errors["uuid"] = ["Please provide a valid RFC 4122 UUID"]
        elif state.organisations.by(uuid=str(uuid).lower()):
            errors["uuid"] = ["An organisation with this UUID already exists."]
    clash = state.organisations.by(name=body["name"]) if body.get("name") else None
    if clash is not None and clash is not own:
        errors["name"] = ["An organisation with this name already exists."]
    return errors


def _is_used(state: State, org: Organisation) -> bool:
    return any(one.org is org for one in state.users.values()) or any(
        org.id in (one.org_id, one.orgc_id) for one in state.events.values()
    )


def _is_uuid(text: Any) -> bool:
    try:
        return str(UUID(str(text))) == str(text).lower()
    except ValueError:
        return False
