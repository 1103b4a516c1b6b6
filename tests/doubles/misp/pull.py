"""One MISP takes what another lets its key see; distribution 1 becomes 0, 2 becomes 1 (G6)."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

from tests.doubles.misp.answers import Refused
from tests.doubles.misp.capture import Taker
from tests.doubles.misp.capture_group import capture as capture_group
from tests.doubles.misp.protection import keys_in
from tests.doubles.misp.rows import Event, Json, Server, User
from tests.doubles.misp.wire import Peer

if TYPE_CHECKING:
    from tests.doubles.misp.instance import Misp

LOWERED = {"1": 0, "2": 1}
VIEW = "deleted[]:0/deleted[]:1/excludeGalaxy:1/includeEventCorrelations:0/excludeLocalTags:1"


def pull(misp: Misp, server: Server, user: User, wanted: str) -> str:
    """Pull and return MISP's sentence about it; *wanted* is full, update or one id there."""
    done = failed = 0
    try:
        with Peer(server) as peer:
            peer.get("/servers/getVersion")
            _, rows = peer.post("/events/index", {"minimal": 1, "published": 1})
            for row in rows or ():
                if not _is_wanted(misp, row, wanted):
                    continue
                status, told = peer.get(f"/events/view/{row['uuid']}/{VIEW}")
                fine = status == 200 and _take(misp, server, user, told["Event"])
                done, failed = done + fine, failed + (not fine)
    except (OSError, http.client.HTTPException):
        failed += 1
    if wanted.isdigit() and not done:
        failed = 1
    return (
        f"Pull completed. {done} events pulled, {failed} events could not be pulled, "
        "0 proposals pulled, 0 sightings pulled, 0 clusters pulled, 0 analyst data pulled."
    )


def _is_wanted(misp: Misp, row: Json, wanted: str) -> bool:
    known = misp.state.events.by(uuid=row["uuid"])
    blocked = any(one["event_uuid"] == row["uuid"] for one in misp.state.blocklist)
    newer = known is None or (known.locked and int(row["timestamp"]) > known.timestamp)
    if wanted.isdigit() and row["id"] != wanted:
        return False
    if wanted == "update" and known is None:
        return False
    return newer and not blocked


def _take(misp: Misp, server: Server, user: User, document: Json) -> bool:
    state = misp.state
    with state.lock:
        group = 0
        distribution = LOWERED.get(document["distribution"], int(document["distribution"]))
        if distribution == 4:
            group = capture_group(state, user, document.get("SharingGroup") or {}) or 0
            distribution = 4 if group else 0
        known = state.events.by(uuid=document["uuid"])
        event = known or _new(misp, server, user, document)
        event.distribution, event.sharing_group_id = distribution, group
        event.info, event.timestamp = document["info"], int(document["timestamp"])
        event.published = bool(document["published"])
        event.publish_timestamp = state.clock.now()
        event.keys = keys_in(document, event)
        try:
            Taker(state, user, event).everything(_lowered(document))
        except Refused:
            return False
    return True


def _new(misp: Misp, server: Server, user: User, document: Json) -> Event:
    state = misp.state
    event = Event(
        document["uuid"],
        document["info"],
        server.org_id,
        state.organisation(document["Orgc"], user).id,
        user,
        document["date"],
        int(document["timestamp"]),
        int(document["threat_level_id"]),
        int(document["analysis"]),
        locked=True,
        extends_uuid=document.get("extends_uuid") or "",
        protected=document.get("protected"),
    )
    return state.events.put(event)


def _lowered(document: Json) -> Json:
    """Return the document with the distributions of its parts as a pull stores them."""

    def lower(one: Any) -> Json:
        given = str(one.get("distribution", "5"))
        told = {**one, "distribution": str(LOWERED.get(given, given))}
        if "Attribute" in one:
            told["Attribute"] = [lower(part) for part in one["Attribute"]]
        return told

    parts = ("Attribute", "Object", "EventReport")
    return document | {name: [lower(one) for one in document.get(name) or ()] for name in parts}
