"""From one MISP to its servers: what is sent, what is stripped, and what is silently not sent."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from tests.doubles.misp.event_json import View, show
from tests.doubles.misp.groups import inside
from tests.doubles.misp.organisations import short
from tests.doubles.misp.protection import sign
from tests.doubles.misp.rows import Attribute, Event, Json, Server, SharingGroup, Thing, User
from tests.doubles.misp.state import State
from tests.doubles.misp.wire import Peer, encode

if TYPE_CHECKING:
    from tests.doubles.misp.instance import Misp

LEVEL_NAMES = {1: "High", 2: "Medium", 3: "Low", 4: "Undefined"}
_NOT_SENT = ("org_id", "orgc_id", "Org", "proposal_email_lock", "RelatedEvent")


class NoServers(Exception):
    """The group has no server row at all and does not roam: MISP falls over this."""


def push_event(misp: Misp, event: Event) -> list[str]:
    """Send one event to every server that may have it; return the URLs where that failed."""
    failed = []
    for server in list(misp.state.servers.values()):
        if not server.flags.get("push"):
            continue
        with misp.state.lock:
            pushable = may_have(misp.state, event, server)
        if pushable and not send(misp, event, server):
            failed.append(server.url)
    return failed


def may_have(state: State, event: Event, server: Server) -> bool:
    """Say whether an event goes to a server; no reason is left anywhere (S7-S9, G6).

    Raises:
        NoServers
    """
    if event.distribution in (0, 1):
        return False
    if event.distribution != 4:
        return True
    group = state.groups.get(event.sharing_group_id)
    if group is None:
        return False
    if not group.servers and not group.roaming:
        state.error_log.append(
            f"{state.clock.text()} Error: Error when pushing event {event.uuid} to remote server "
            f"{server.id}: server not found in sharing group."
        )
        raise NoServers
    return in_group(group, server)


def in_group(group: SharingGroup, server: Server) -> bool:
    """Say whether a server is reached by a group: its organisation has to be listed (S9)."""
    if not group.roaming and group.server(server.id) is None:
        return False
    return group.member(server.remote_org_id) is not None


def send(misp: Misp, event: Event, server: Server) -> bool:
    """Send one event to one server; say no only where MISP does.

    That is: nothing is left of the event, or its signature cannot be made.
    """
    with misp.state.lock:
        told = outgoing(misp.state, event, server)
        if not (told["Attribute"] or told["Object"] or told["EventReport"]):
            return False
        document = {"Event": told}
        headers = {}
        if event.protected:
            signature = sign(misp, encode(document)) if event.keys else None
            if signature is None:
                return False
            headers["x-pgp-signature"] = signature
    try:
        with Peer(server) as peer:
            peer.get("/servers/getVersion")
            there = peer.head(f"/events/view/{event.uuid}") == 200
            path = f"/events/edit/{event.uuid}/metadata:1" if there else "/events/add/metadata:1"
            peer.post(path, document, headers)
    except (OSError, http.client.HTTPException):
        # publish says yes all the same
        return True
    return True


def outgoing(state: State, event: Event, server: Server) -> Json:
    """Return an event as it is pushed: without what the receiver must not have (G5, G6)."""
    told: Json = show(state, event, _everybody(state), View(deleted=True, for_sync=True))["Event"]
    told = {name: value for name, value in told.items() if name not in _NOT_SENT}
    told["distribution"] = "1" if event.distribution == 2 else str(event.distribution)
    told |= {"locked": 1, "user_id": str(event.user.id)}
    told["Orgc"] = short(state.organisations[event.orgc_id], local=True)
    level = event.threat_level_id
    told["ThreatLevel"] = {"name": LEVEL_NAMES.get(level, ""), "id": str(level)}
    if group := state.groups.get(event.sharing_group_id):
        told["SharingGroup"] = inside(state, group)
    told["Attribute"] = _kept(state, server, told["Attribute"], event.attributes)
    told["Object"] = [
        one | {"Attribute": _kept(state, server, one.get("Attribute") or [], thing.attributes)}
        for one, thing in _pairs(told["Object"], event.objects)
        if _passes(state, server, thing)
    ]
    reports = [one for one in state.reports.values() if one.event_id == event.id]
    allowed = {one.uuid for one in reports if one.distribution not in (0, 1)}
    told["EventReport"] = [one for one in told["EventReport"] if one["uuid"] in allowed]
    for name in ("Note", "Opinion"):
        told.pop(name, None)
    return told


def _kept(state: State, server: Server, documents: list[Json], rows: list[Attribute]) -> list[Json]:
    kept = []
    for one, row in _pairs(documents, rows):
        if not _passes(state, server, row):
            continue
        told = {name: value for name, value in one.items() if name not in ("id", "Sighting")}
        if row.distribution == 2:
            told["distribution"] = "1"
        kept.append(told)
    return kept


def _pairs(documents: list[Json], rows: list) -> list[tuple[Json, Attribute | Thing]]:  # type: ignore[type-arg]
    by_uuid = {row.uuid: row for row in rows}
    return [(one, by_uuid[one["uuid"]]) for one in documents if one["uuid"] in by_uuid]


def _passes(state: State, server: Server, row: Attribute | Thing) -> bool:
    if row.distribution in (0, 1):
        return False
    if row.distribution == 4:
        group = state.groups.get(row.sharing_group_id)
        return group is not None and in_group(group, server)
    return True


def _everybody(state: State) -> User:
    return next(one for one in state.users.values() if one.may("perm_site_admin"))
