"""Live pages: a stream of ids and states, and the same by asking where no stream is left."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flask import Flask, Response, current_app, request, stream_with_context

from eme_connector.domain.listing import Change
from eme_connector.domain.rights import Right
from eme_connector.errors import EmeError, Unavailable
from eme_connector.ports import Store
from eme_connector.precedence import STREAMS, readers
from eme_connector.web.app_state import metrics
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.hub import Hub
from eme_connector.web.pages.reader import Reader, reader, still_here

HEARTBEAT_S = 15.0
RECHECK_S = 2.0
BATCH = 500
RETRY_MS = 2_000


@blueprint.get("/live")
def live() -> Response:
    """Stream what changes for this reader, from Last-Event-ID on."""
    who = reader()
    who.caller.need(Right.READ)
    hub, after = _hub(who), _after(who)
    if not hub.enter():  # what may fail comes before: nobody would leave
        raise Unavailable("no live stream is left; the page asks every few seconds instead")
    viewer = partial(_viewer, request.environ)
    events = stream(who.eme.store, hub, viewer, after)
    response = Response(stream_with_context(events), mimetype="text/event-stream")
    streams = metrics().streams
    streams.inc()
    response.call_on_close(streams.dec)
    response.call_on_close(hub.leave)
    readers.end()  # nobody waits for the end of a stream
    request.environ[STREAMS] = True
    response.cache_control.no_store = True
    response.headers["X-Accel-Buffering"] = "no"
    return response


@blueprint.get("/live/changes")
def live_changes() -> Response:
    """Answer what changed since `after`, for pages that have no stream."""
    who = reader()
    who.caller.need(Right.READ)
    found = who.eme.store.changes(who.caller.organisation, _after(who), BATCH)
    full = len(found) == BATCH
    body = {"changes": [_data(one) for one in found], "reset": full, "room": _hub(who).has_room}
    response = Response(json.dumps(body), mimetype="application/json")
    response.cache_control.no_store = True
    return response


def end_streams(app: Flask) -> None:
    """End every open stream of *app*, so that its process can stop; pages come back.

    None is opened any more, also where nobody has opened one before.
    """
    app.extensions.setdefault("eme-live", Hub(0)).end()


def stream(store: Store, hub: Hub, viewer: Callable[[], str | None], after: int) -> Iterator[str]:
    """Yield events; *viewer* says for whom, None that nobody may read on.

    It is asked every RECHECK_S, and before anything is told once a session has ended or an account
    has changed. When the store or the process is going, the stream just ends: pages open another.
    """
    yield f"retry: {RETRY_MS}\n\n"
    beat = time.monotonic()
    asked, endings, organisation = float("-inf"), hub.endings, None
    while not hub.ended:
        turn, now = hub.turn, time.monotonic()
        try:
            if now - asked >= RECHECK_S or endings != hub.endings:
                endings = hub.endings
                asked, organisation = now, viewer()
            text, last = _news(store, hub, organisation, after, turn)
        except EmeError:
            return
        if endings != hub.endings:
            continue
        if organisation is None:
            yield "event: out\ndata: {}\n\n"
            return
        if text:
            after, beat = last, now
            yield text
        elif now - beat >= HEARTBEAT_S:
            beat = now
            yield ": still here\n\n"
        hub.wait(turn, RECHECK_S)


def _news(
    store: Store, hub: Hub, organisation: str | None, after: int, turn: int
) -> tuple[str, int]:
    """Return (the events above *after* as text, the number to go on from)."""
    if organisation is None:
        return "", after

    def read() -> tuple[str, int]:
        found = store.changes(organisation, after, BATCH)
        if len(found) == BATCH:
            last = store.last_change()
            return _reset(last), last
        return "".join(map(_event, found)), found[-1].id if found else after

    return hub.look((organisation, after), turn, read)


def _viewer(environ: dict[str, Any]) -> str | None:
    """Return for whom the stream goes on, or None when they may read no longer.

    Raises:
        Unavailable: they have hung up.
    """
    if _hung_up(environ):
        raise Unavailable("the other side has closed")
    return still_here()


def _hung_up(environ: dict[str, Any]) -> bool:
    """Say whether the other side has closed; without looking, only a write would tell."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is None:
        return False
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
    except (BlockingIOError, ValueError):
        return False  # nothing to read, or TLS, which cannot be looked at this way
    except OSError:
        return True


def _event(change: Change) -> str:
    return f"id: {change.id}\nevent: change\ndata: {json.dumps(_data(change))}\n\n"


def _reset(last: int) -> str:
    """Return the event that says: more than can be told one by one."""
    return f"id: {last}\nevent: reset\ndata: {{}}\n\n"


def _data(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "threat": change.threat_id,
        "event": change.event,
        "status": change.status,
        "execution": change.execution,
        "at": change.at,
    }


def _after(who: Reader) -> int:
    """Return the number of the last change that the page has seen.

    Where a backup was restored meanwhile there may be no such number yet: it has to see all.
    """
    last = who.eme.store.last_change()
    for text in (request.headers.get("Last-Event-ID"), request.args.get("after")):
        if text and text.isascii() and text.isdigit() and len(text) < 19:
            return int(text) if int(text) <= last else 0
    return last


def _hub(who: Reader) -> Hub:
    hubs = current_app.extensions
    if "eme-live" not in hubs:
        hubs.setdefault("eme-live", Hub(who.eme.config.live.max_streams)).listen_to(who.eme.store)
    found: Hub = hubs["eme-live"]
    return found
