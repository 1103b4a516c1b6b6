"""Keys, broods, inbox, outbox, the instance, the audit log."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.doubles.cerebrate.answers import Call, Failure, absent, crash, index, refusal
from tests.doubles.cerebrate.state import Row, State, now


def status(call: Call) -> Row:
    user = call.user
    shown = {k: user[k] for k in ("id", "uuid", "username", "organisation_id", "role")}
    organisation = call.state.organisations[call.own]
    return {"version": "1.35", "application": "Cerebrate",
            "user": {**shown, "organisation": dict(organisation)}}  # fmt: skip


def me(call: Call) -> Row:
    if call.arguments[:1] != ["me"]:
        raise absent()
    found: Row = status(call)["user"]
    return found


def audit_index(call: Call) -> list[Row]:
    call.need("community_admin")
    names = ("model", "model_id", "request_action")
    filters = {name: (lambda row, name=name: row[name]) for name in names}
    return index(call, reversed(call.state.audit), filters)


def keys_index(call: Call) -> list[Row]:
    names = ("owner_model", "owner_id", "encryption_key")
    filters = {name: (lambda row, name=name: row[name]) for name in names}
    state = call.state

    def told(row: Row) -> Row:
        return {**_key(state, row), "_canBeEdited": _may_edit(call, row)}

    return index(call, state.keys.values(), filters, after=told)


def keys_add(call: Call) -> Row:
    state, given = call.state, call.input()
    if not given.get("owner_id") or not given.get("type") or not given.get("encryption_key"):
        why = "There has been validation issues with multiple fields"
        return refusal("EncryptionKey", "added", why)
    if not _may_edit(call, given):
        return {"message": "Selected organisation cannot be linked by the current user."}
    fields = {k: given[k] for k in ("revoked", "expires", "owner_model") if k in given}
    text, kind = given["encryption_key"], given["type"]
    row = state.encryption_key(int(given["owner_id"]), text, kind, **fields)
    if "revoked" in given:
        row["revoked"] = bool(given["revoked"])
    told = {k: given[k] for k in given if k != "uuid"}  # it chooses the uuid itself
    return {**told, **{k: row[k] for k in (*fields, "uuid", "created", "modified", "id")}}


def keys_edit(call: Call) -> Row:
    row = call.state.keys.get(call.number())
    if row is None:
        raise absent("EncryptionKey")
    given = call.input()
    if not _may_edit(call, row):
        return {"message": "Selected organisation cannot be linked by the current user."}
    row.update({k: given[k] for k in ("type", "encryption_key", "revoked") if k in given})
    row["modified"] = now()
    return dict(row)


def keys_delete(call: Call) -> list[Row]:
    row = call.state.keys.get(call.number())
    if row is not None and _may_edit(call, row):
        del call.state.keys[row["id"]]
    return []


def broods_index(call: Call) -> list[Row]:
    call.need("community_admin")
    state = call.state
    filters = {name: (lambda row, name=name: row[name]) for name in ("name", "url", "uuid")}
    return index(call, state.broods.values(), filters, after=lambda row: _brood(state, row))


def broods_download_org(call: Call) -> Row:
    call.need("community_admin")
    remote = _from_brood(call, f"/organisations/view/{call.number(1)}.json")
    _capture(call.state, remote)
    said = "Organisation fetched from remote."
    return {"saved": True, "success": True, "name": said, "message": said,
            "url": f"/broods/downloadOrg/{call.number()}"}  # fmt: skip


def broods_download_group(call: Call) -> Row:
    """Save the group and fail at its first member: `extend` is not where it is looked for."""
    call.need("community_admin")
    state = call.state
    remote = _from_brood(call, f"/sharingGroups/view/{call.number(1)}.json")
    owner = _capture(state, remote["organisation"])
    known = [row for row in state.groups.values() if row["uuid"] == remote["uuid"]]
    texts = {k: remote[k] for k in ("uuid", "name", "releasability", "description")}
    if known:
        known[0].update(texts)
    else:
        state.group(owner["id"], **texts)
    if remote["sharing_group_orgs"]:
        raise crash()
    return {"saved": True, "success": True, "message": "Sharing group fetched from remote."}


def inbox_index(call: Call) -> list[Row]:
    call.need("community_admin")
    filters = {name: (lambda row, name=name: row[name]) for name in ("scope", "action", "title")}
    return index(call, call.state.inbox.values(), filters)


def outbox_index(call: Call) -> list[Row]:
    call.need("admin")
    return index(call, call.state.outbox.values(), {})


def _key(state: State, row: Row) -> Row:
    owner = state.organisations if row["owner_model"] == "organisation" else state.individuals
    found = owner.get(row["owner_id"])
    names = ("id", "name", "uuid") if row["owner_model"] == "organisation" else ("id", "email",
                                                                               "uuid")  # fmt: skip
    told = {k: found[k] for k in names} if found else None
    both = {"organisation": None, "individual": None} | {row["owner_model"]: told}
    # gpg is not there to say more
    gpg = {"status": "GnuPG is not configured on this system.", "fingerprint": "N/A"}
    return {**row, **both, **(gpg if row["type"] == "pgp" else {})}


def _may_edit(call: Call, row: Row) -> bool:
    own = (row.get("owner_model"), row.get("owner_id")) == ("organisation", call.own)
    return call.may("community_admin") or (own and call.may("org_admin"))


def _brood(state: State, row: Row) -> Row:
    owner = state.organisations.get(row["organisation_id"])
    return {**row, "organisation": dict(owner) if owner else None}


def _capture(state: State, remote: Row) -> Row:
    """Take over a foreign organisation: the newer local edit is lost, meta fields too."""
    names = ("name", "url", "nationality", "sector", "type", "contacts")
    known = [row for row in state.organisations.values() if row["uuid"] == remote["uuid"]]
    if known:
        known[0].update({k: remote[k] for k in names}, modified=now())
        return known[0]
    return state.organisation(uuid=remote["uuid"], **{k: remote[k] for k in names})


def _from_brood(call: Call, path: str) -> Any:
    brood = call.state.broods.get(call.number())
    if brood is None:
        raise absent()
    headers = {"Authorization": brood["authkey"], "Accept": "application/json"}
    request = urllib.request.Request(brood["url"] + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())
    except OSError as exc:
        raise Failure(403, "Could not save the remote organisation") from exc
