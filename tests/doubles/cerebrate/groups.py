"""Sharing groups: who is a member leaves no trace, neither a time nor a line in the log."""

from __future__ import annotations

from tests.doubles.cerebrate.answers import Call, absent, crash, index, refusal
from tests.doubles.cerebrate.state import Row, State, now

_TEXTS = ("name", "releasability", "description", "active")
_PLAIN = ("id", "uuid", "name", "url", "nationality", "sector", "type", "contacts", "created",
          "modified")  # fmt: skip
_WRITERS = ("org_admin", "community_admin", "group_admin")


def groups_index(call: Call) -> list[Row]:
    state = call.state
    filters = {
        "SharingGroups.uuid": lambda row: row["uuid"],
        "SharingGroups.name": lambda row: row["name"],
        "description": lambda row: row["description"],
        "releasability": lambda row: row["releasability"],
        "Organisations.name": lambda row: state.organisations[row["organisation_id"]]["name"],
        "Organisations.uuid": lambda row: state.organisations[row["organisation_id"]]["uuid"],
        "quickFilter": lambda row: row["name"],
    }
    return index(call, state.groups.values(), filters,
                 after=lambda row: shape(state, row) if _sees(call, row) else None)  # fmt: skip


def groups_view(call: Call) -> Row:
    row = call.state.groups.get(call.number())
    if row is None:
        raise absent()
    if not _sees(call, row):
        raise absent("SharingGroup")
    return shape(call.state, row)


def groups_add(call: Call) -> Row:
    call.need(*_WRITERS)
    state, given = call.state, call.input()
    for name in ("name", "releasability"):
        if name not in given:
            return refusal("SharingGroup", "added", f"{name}: This field is required")
    owner = given.get("organisation_id") if call.may("community_admin") else call.own
    taken = {row["uuid"].lower() for row in state.groups.values()}
    if owner not in state.organisations or str(given.get("uuid", "")).lower() in taken:
        raise crash()
    fields = {k: given[k] for k in ("uuid", *_TEXTS) if k in given}
    row = state.group(int(owner), **fields)
    row["user_id"] = call.user["id"]
    state.log("add", "SharingGroups", row, call.auditor)
    told = {k: row[k] for k in ("user_id", "created", "modified", "id")}
    return {**fields, "organisation_id": owner, **told}


def groups_edit(call: Call) -> Row:
    call.need(*_WRITERS)
    row = _owned(call)
    given = call.input()
    changed = {k: given[k] for k in _TEXTS if k in given and given[k] != row[k]}
    if changed:
        row.update(changed, modified=now())
        call.state.log("edit", "SharingGroups", row, call.auditor)
    return dict(row)


def groups_delete(call: Call) -> list[Row]:
    call.need(*_WRITERS)
    number = call.number()
    if number in call.state.groups:
        row = _owned(call)
        call.state.log("delete", "SharingGroups", row, call.auditor)
        del call.state.groups[number]
    return []


def groups_add_org(call: Call) -> Row:
    call.need(*_WRITERS)
    row = _owned(call)
    given = (call.body or {}).get("organisation_id")
    if not given:
        raise crash()
    for one in given if isinstance(given, list) else [given]:
        # one that does not exist is kept as well, and a repeat sets the flag
        call.state.members[row["id"], int(one)] = bool(call.body.get("extend"))
    members = _members(call.state, row)
    return {"success": True, "message": "Organisation(s) added to the sharing group.",
            "data": {**row, "sharing_group_orgs": members},
            "url": f"/sharing_groups/addOrg/{row['id']}"}  # fmt: skip


def groups_remove_org(call: Call) -> Row:
    call.need(*_WRITERS)
    row = _owned(call)
    if call.number(1) not in call.state.organisations:
        raise absent()
    call.state.members.pop((row["id"], call.number(1)), None)
    return {"message": "SharingGroups detached from SharingGroupOrgs."}


def shape(state: State, row: Row) -> Row:
    """Return a group as index and view show it."""
    owner = state.organisations[row["organisation_id"]]
    user = state.users.get(row["user_id"])
    told = {"id": user["id"], "username": user["username"]} if user else None
    return {**row, "user": told, "organisation": {k: owner[k] for k in _PLAIN},
            "sharing_group_orgs": _members(state, row)}  # fmt: skip


def _members(state: State, row: Row) -> list[Row]:
    found = [(o, extend) for (g, o), extend in state.members.items() if g == row["id"]]
    return [
        {
            **{k: state.organisations[o][k] for k in _PLAIN},
            "_joinData": {"sharing_group_id": row["id"], "organisation_id": o, "deleted": False,
                          "extend": extend},
        }
        for o, extend in sorted(found)
        if o in state.organisations
    ]  # fmt: skip


def _sees(call: Call, row: Row) -> bool:
    member = (row["id"], call.own) in call.state.members
    return call.may("community_admin") or member or row["organisation_id"] == call.own


def _owned(call: Call) -> Row:
    row = call.state.groups.get(call.number())
    if row is None:
        raise absent()
    if not call.may("community_admin") and row["organisation_id"] != call.own:
        raise absent("SharingGroup")
    return row
