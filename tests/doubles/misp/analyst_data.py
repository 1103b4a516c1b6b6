"""Notes and opinions: they are taken for things that do not exist, and travel with a full push."""

from __future__ import annotations

from typing import Any

from tests.doubles.misp.answers import Answer, Refused, saved
from tests.doubles.misp.organisations import full
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Json, User
from tests.doubles.misp.state import State

KINDS = {"Note": 0, "Opinion": 1}
OWN = {"Note": ("note", "language"), "Opinion": ("opinion", "comment")}


@route("analyst_data/add", needs="perm_analyst_data")
def add(call: Call) -> Answer:
    kind, target, of = call.arg(0), call.arg(1), call.arg(2)
    if kind not in KINDS:
        raise Refused(405, "Invalid type.")
    body = call.wrapped(kind)
    now, mine = call.state.clock.text(), call.user.org.uuid
    distribution = str(body.get("distribution", "1"))
    row: Json = {
        "id": str(len(call.state.notes[kind]) + 1),
        "uuid": str(body.get("uuid") or call.misp.new_uuid()),
        "object_uuid": target.lower(),
        "object_type": of,
        "authors": str(body.get("authors") or call.user.email),
        "org_uuid": mine,
        "orgc_uuid": mine,
        "created": now,
        "modified": now,
        "distribution": distribution,
        "sharing_group_id": body.get("sharing_group_id") if distribution == "4" else None,
        "locked": False,
        **{name: body.get(name, "en" if name == "language" else "") for name in OWN[kind]},
    }
    return Answer({kind: _keep(call.state, kind, row)})


@route("analyst_data/index")
def index(call: Call) -> Answer:
    kind = call.arg()
    return Answer([{kind: one} for one in call.state.notes[kind]])


@route("analyst_data/filteranalystdataforpush", needs="perm_sync")
def wanted(call: Call) -> Answer:
    asked = call.document
    found: Json = {}
    for kind in ("Note", "Opinion", "Relationship"):
        known = {one["uuid"]: one["modified"] for one in call.state.notes[kind]}
        rows = asked.get(kind) or {}
        found[kind] = {u: m for u, m in rows.items() if u not in known or known[u] < m} or []
    return Answer(found)


@route("analyst_data/pushanalystdata", needs="perm_sync")
def take(call: Call) -> Answer:
    counted = {"imported": 0, "ignored": 0, "failed": 0}
    for kind in KINDS:
        if isinstance(row := call.document.get(kind), dict):
            known = next((x for x in call.state.notes[kind] if x["uuid"] == row["uuid"]), None)
            if known is not None and known["modified"] >= row["modified"]:
                counted["ignored"] += 1
                continue
            if known is not None:
                call.state.notes[kind].remove(known)
            _taken(call.state, call.user, kind, row)
            counted["imported"] += 1
    told = ", ".join(f"{number} {word}" for word, number in counted.items())
    return saved(f"Analyst Data imported. {told}. ", "/analyst_data/pushAnalystData")


@route("analyst_data/indexminimal", needs="perm_sync")
def minimal(call: Call) -> Answer:
    found = {
        kind: {one["uuid"]: one["modified"] for one in call.state.notes[kind]}
        for kind in KINDS
        if call.state.notes[kind]
    }
    return Answer(found or [])


def _taken(state: State, user: User, kind: str, row: Json) -> None:
    creator = state.organisation(row.get("Orgc") or {"uuid": row["orgc_uuid"]}, user)
    group = row.get("SharingGroup") or {}
    known = state.groups.by(uuid=group.get("uuid"))
    told = {name: value for name, value in row.items() if name not in ("Org", "SharingGroup")}
    told |= {
        "id": str(len(state.notes[kind]) + 1),
        "org_uuid": user.org.uuid,
        "orgc_uuid": creator.uuid,
        "sharing_group_id": str(known.id) if known else None,
        "locked": True,
    }
    _keep(state, kind, told)


def _keep(state: State, kind: str, row: Json) -> Json:
    creator = state.organisations.by(uuid=row["orgc_uuid"])
    owner = state.organisations.by(uuid=row["org_uuid"])
    row |= {"note_type": KINDS[kind], "note_type_name": kind}
    row["Orgc"] = full(creator) if creator else None
    row["Org"] = full(owner) if owner else None
    group: Any = state.groups.known(row["sharing_group_id"] or "0")
    if group is not None:
        shown = ("name", "uuid", "releasability", "description", "active", "roaming", "local")
        row["SharingGroup"] = {"id": str(group.id), "org_id": str(group.org_id)} | {
            name: getattr(group, name) for name in shown
        }
    row["_canEdit"] = True
    state.notes[kind].append(row)
    return row
