"""Sharing groups by REST: what is seen, added, and what a delete refuses (S14-S16)."""

from __future__ import annotations

from tests.doubles.misp.answers import Answer, NotSaved, Refused, saved
from tests.doubles.misp.capture_group import capture, may_edit
from tests.doubles.misp.organisations import full, short
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import GroupServer, Json, Member, Organisation, Server, SharingGroup
from tests.doubles.misp.state import State

# MISP escapes the apostrophe for HTML even in JSON
HIDDEN = "Sharing group doesn&#039;t exist or you do not have permission to access it."


def head(group: SharingGroup) -> Json:
    return {
        "id": str(group.id),
        "name": group.name,
        "releasability": group.releasability,
        "description": group.description,
        "uuid": group.uuid,
        "organisation_uuid": group.organisation_uuid,
        "org_id": str(group.org_id),
        "sync_user_id": str(group.sync_user_id),
        "active": group.active,
        "created": group.created,
        "modified": group.modified,
        "local": group.local,
        "roaming": group.roaming,
    }


def inside(state: State, group: SharingGroup) -> Json:
    """Return a group as it stands inside an event."""
    return head(group) | {
        "Organisation": short(state.organisations[group.org_id]),
        "SharingGroupOrg": [_member(state, group, one) for one in group.members],
        "SharingGroupServer": [
            _server(group, one)
            | {"Server": {"id": str(one.server_id)} | _address(state, one, named=False)}
            for one in group.servers
        ],
    }


@route("sharing_groups/index")
def index(call: Call) -> Answer:
    active = call.arg() != "true"
    rows = call.state.groups.values()
    seen = [one for one in rows if call.state.in_group(call.user, one) and one.active == active]
    seen.sort(key=lambda one: one.name.casefold())
    limit, page = int(call.asked("limit") or 60), int(call.asked("page") or 1)
    shown = seen[(page - 1) * limit : page * limit]
    if page > 1 and not shown:
        raise Refused(404, "Not Found")
    return Answer({"response": [_row(call, one) for one in shown]})


@route("sharing_groups/view")
def view(call: Call) -> Answer:
    state = call.state
    group = state.groups.known(call.arg())
    if group is None or not state.may_view(call.user, group):
        raise Refused(404 if call.method == "HEAD" else 405, HIDDEN)
    by = state.users[group.sync_user_id].org
    top = head(group) | {"sync_org_name": by.name, "sync_org": short(by)}
    return Answer(
        {
            "SharingGroup": top,
            "Organisation": full(state.organisations[group.org_id]),
            "SharingGroupOrg": [_member(state, group, one, local=True) for one in group.members],
            "SharingGroupServer": [
                _server(group, one)
                | {"Server": {"id": str(one.server_id)} | _address(state, one, named=True)}
                for one in group.servers
            ],
        }
    )


@route("sharing_groups/add", needs="perm_sharing_group")
def add(call: Call) -> Answer:
    body = _document(call)
    made = capture(call.state, call.user, body)
    if made is None:
        raise NotSaved(
            "Could not add SharingGroup", "Could not save sharing group.", url="/sharing_groups/add"
        )
    group = call.state.groups[made]
    if not group.servers and not group.roaming:
        # MISP itself puts the local instance into a group that is added by REST
        group.servers.append(GroupServer(0, False, next(call.state.ids["group-server"])))
    return Answer(_brief(call.state, group))


@route("sharing_groups/edit", needs="perm_sharing_group")
def edit(call: Call) -> Answer:
    group = call.state.groups.known(call.arg())
    if group is None:
        raise Refused(404, "Invalid sharing group.")
    if not may_edit(call.user, group):
        raise Refused(405, "Action not allowed.")
    capture(call.state, call.user, {**_document(call), "uuid": group.uuid})
    return Answer(_brief(call.state, group))


@route("sharing_groups/delete", needs="perm_sharing_group")
def delete(call: Call) -> Answer:
    state, group = call.state, call.state.groups.known(call.arg())
    if group is None or not (call.user.may("perm_site_admin") or group.org_id == call.user.org.id):
        raise Refused(405, HIDDEN)
    url = f"/sharing_groups/delete/{call.arg()}"
    if _is_used(state, group):
        why = "The sharing group could not be deleted."
        raise NotSaved("Could not delete SharingGroup", why, url=url, row=call.arg())
    del state.groups[group.id]
    return saved("SharingGroup deleted", url, call.arg())


@route("sharing_groups/addorg", needs="perm_sharing_group")
def add_org(call: Call) -> Answer:
    group, org = _editable(call), _org(call)
    if group.member(org.id):
        raise _not_done(call, "add", "Organisation", "Organisation is already in")
    extend = call.asked("extend") in ("1", "true")
    # `modified` stays as it is: S10
    group.members.append(Member(org.id, extend, next(call.state.ids["member"])))
    return _done(call, "Organisation added to")


@route("sharing_groups/removeorg", needs="perm_sharing_group")
def remove_org(call: Call) -> Answer:
    group, org = _editable(call), _org(call)
    member = group.member(org.id)
    if member is None:
        raise _not_done(call, "remove", "Organisation", "Organisation is not in")
    group.members.remove(member)
    return _done(call, "Organisation removed from")


@route("sharing_groups/addserver", needs="perm_sharing_group")
def add_server(call: Call) -> Answer:
    group, server = _editable(call), _known_server(call)
    if group.server(server.id):
        raise _not_done(call, "add", "Server", "Server is already in")
    every = call.asked("all_orgs") in ("1", "true")
    group.servers.append(GroupServer(server.id, every, next(call.state.ids["group-server"])))
    return _done(call, "Server added to")


@route("sharing_groups/removeserver", needs="perm_sharing_group")
def remove_server(call: Call) -> Answer:
    group = _editable(call)
    row = group.server(int(call.asked("server_id") or call.arg(1) or -1))
    if row is None:
        raise _not_done(call, "remove", "Server", "Server is not in")
    # MISP deletes the row whose own id is that of the server, in whatever group it stands
    for one in call.state.groups.values():
        one.servers = [kept for kept in one.servers if kept.id != row.server_id]
    return _done(call, "Server removed from")


def _document(call: Call) -> Json:
    body = call.wrapped("SharingGroup")
    extra = {
        k: call.document[k]
        for k in ("SharingGroupOrg", "SharingGroupServer", "Organisation")
        if k in call.document
    }
    return extra | body


def _is_used(state: State, group: SharingGroup) -> bool:
    rows = (
        *state.events.values(),
        *state.attributes.values(),
        *state.objects.values(),
    )
    return any(one.distribution == 4 and one.sharing_group_id == group.id for one in rows)


def _editable(call: Call) -> SharingGroup:
    group = call.state.groups.known(call.asked("sg_id") or call.arg(0))
    if group is None or not may_edit(call.user, group):
        raise Refused(405, "Invalid sharing group or no editing rights.")
    return group


def _org(call: Call) -> Organisation:
    org = call.state.organisations.known(call.asked("org_id") or call.arg(1))
    if org is None:
        raise Refused(405, "Invalid organisation.")
    return org


def _known_server(call: Call) -> Server:
    server = call.state.servers.known(call.asked("server_id") or call.arg(1) or "0")
    if server is None:
        raise Refused(405, "Invalid Server.")
    return server


def _action(call: Call) -> str:
    parts = [one for one in call.path.split("/") if one]
    return f"/sharing_groups/{parts[1]}"


def _done(call: Call, what: str) -> Answer:
    return saved(f"{what} the sharing group.", _action(call))


def _not_done(call: Call, verb: str, noun: str, why: str) -> NotSaved:
    link = "to" if verb == "add" else "from"
    message = f"Could not {verb} {noun} {link} SharingGroup"
    return NotSaved(message, f"{why} the sharing group.", url=_action(call))


def _member(state: State, group: SharingGroup, one: Member, *, local: bool = False) -> Json:
    return {
        "id": str(one.id),
        "sharing_group_id": str(group.id),
        "org_id": str(one.org_id),
        "extend": one.extend,
        "Organisation": short(state.organisations[one.org_id], local=local),
    }


def _server(group: SharingGroup, one: GroupServer) -> Json:
    return {
        "id": str(one.id),
        "sharing_group_id": str(group.id),
        "server_id": str(one.server_id),
        "all_orgs": one.all_orgs,
    }


def _address(state: State, one: GroupServer, *, named: bool) -> Json:
    if one.server_id == 0:
        return {"url": state.url, "name": "Local instance" if named else state.url}
    server = state.servers.get(one.server_id)
    return {"url": server.url, "name": server.name} if server else {"url": "", "name": ""}


def _brief(state: State, group: SharingGroup) -> Json:
    servers = []
    for one in group.servers:
        told = _server(group, one)
        if one.server_id:
            told["Server"] = {"id": str(one.server_id)} | _address(state, one, named=True)
        servers.append(told)
    return {
        "SharingGroup": head(group),
        "SharingGroupOrg": [_member(state, group, one) for one in group.members],
        "SharingGroupServer": servers,
        "Organisation": short(state.organisations[group.org_id]),
    }


def _row(call: Call, group: SharingGroup) -> Json:
    state = call.state
    shown = ("id", "uuid", "name", "description", "releasability", "local", "active", "roaming")
    servers = []
    for one in group.servers:
        known = state.servers.get(one.server_id)
        server: Json | list[Json] = {"name": known.name, "id": str(known.id)} if known else []
        told = _server(group, one)
        servers.append(
            {k: told[k] for k in ("all_orgs", "server_id", "sharing_group_id")} | {"Server": server}
        )
    owner = group.org_id == call.user.org.id and call.user.may("perm_sharing_group")
    return {
        "SharingGroup": {name: head(group)[name] for name in shown}
        | {"org_count": str(len(group.members))},
        "Organisation": short(state.organisations[group.org_id]),
        "SharingGroupOrg": [_member(state, group, one) for one in group.members],
        "SharingGroupServer": servers,
        "editable": may_edit(call.user, group),
        "deletable": call.user.may("perm_site_admin") or owner,
    }
