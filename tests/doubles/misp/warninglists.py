"""Warninglists: values that are known to be harmless."""

from __future__ import annotations

import ipaddress

from tests.doubles.misp.answers import Answer, Refused
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Json
from tests.doubles.misp.state import State


def hits(state: State, kind: str | None, values: list[str]) -> dict[str, list[Json]]:
    """Return for each value the enabled lists that it is on."""
    found: dict[str, list[Json]] = {}
    for one in state.warninglists:
        if not one["enabled"] or (kind and kind not in one["types"]):
            continue
        for value in values:
            entry = next((e for e in one["entries"] if _matches(one["type"], e, value)), None)
            if entry is not None:
                row = {"id": one["id"], "name": one["name"], "matched": entry}
                found.setdefault(value, []).append(row)
    return found


@route("warninglists/index")
def index(call: Call) -> Answer:
    rows = [
        {
            "Warninglist": _head(one)
            | {
                "warninglist_entry_count": str(len(one["entries"])),
                "valid_attributes": ", ".join(one["types"]),
            }
        }
        for one in call.state.warninglists
    ]
    return Answer({"Warninglists": rows})


@route("warninglists/add", needs="perm_warninglist")
def add(call: Call) -> Answer:
    body = call.wrapped("Warninglist")
    entries = body.get("entries") or []
    if isinstance(entries, str):
        entries = entries.splitlines()
    row = {
        "id": str(len(call.state.warninglists) + 1),
        "name": str(body["name"]),
        "description": str(body.get("description") or ""),
        "type": str(body.get("type") or "string"),
        "entries": list(entries),
        "types": list(body.get("matching_attributes") or ["ALL"]),
        "enabled": False,
    }
    call.state.warninglists.append(row)
    return Answer({"Warninglist": _head(row)})


@route("warninglists/toggleenable", needs="perm_warninglist")
def toggle(call: Call) -> Answer:
    row = _known(call, call.asked("id") or call.arg())
    row["enabled"] = call.asked("enabled") in ("1", "true")
    word = "enabled" if row["enabled"] else "disabled"
    return Answer({"saved": True, "success": f"1 warninglist(s) {word}"})


@route("warninglists/view")
def view(call: Call) -> Answer:
    row = _known(call, call.arg())
    entries = [
        {"id": str(n), "value": one, "warninglist_id": row["id"], "comment": None}
        for n, one in enumerate(row["entries"], 1)
    ]
    types = [
        {"id": str(n), "type": one, "warninglist_id": row["id"]}
        for n, one in enumerate(row["types"], 1)
    ]
    parts = {"WarninglistEntry": entries, "WarninglistType": types}
    return Answer({"Warninglist": _head(row) | parts})


@route("warninglists/delete", needs="perm_warninglist")
def delete(call: Call) -> Answer:
    call.state.warninglists.remove(_known(call, call.arg()))
    return Answer(None, 302, {"Location": f"{call.state.url}/warninglists"})


@route("warninglists/checkvalue")
def check(call: Call) -> Answer:
    given = call.body if isinstance(call.body, list) else [call.body]
    # an empty PHP array is a list
    return Answer(hits(call.state, None, [str(one) for one in given if one]) or [])


def _known(call: Call, id_: str) -> Json:
    row = next((one for one in call.state.warninglists if one["id"] == id_), None)
    if row is None:
        raise Refused(404, "Invalid Warninglist.")
    return row


def _head(row: Json) -> Json:
    return {
        "id": row["id"],
        "name": row["name"],
        "type": row["type"],
        "description": row["description"],
        "version": "1",
        "enabled": row["enabled"],
        "default": False,
        "category": "false_positive",
    }


def _matches(kind: str, entry: str, value: str) -> bool:
    if kind == "cidr":
        try:
            return ipaddress.ip_address(value) in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if kind == "hostname":
        return value == entry.lstrip(".") or value.endswith("." + entry.lstrip("."))
    return entry in value if kind == "substring" else entry == value
