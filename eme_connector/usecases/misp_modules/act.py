"""What a workflow of MISP asks of the sidecar: make a threat of an event, or ask a person (D4).

The sidecar's address and token come from the environment of the misp-modules process: parameters
of a workflow can be read by everybody who may edit workflows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from eme_connector.errors import Conflict, EmeError, NotAuthenticated
from eme_connector.formats import misp_request
from eme_connector.formats.misp_event import bundle
from eme_connector.ports.sidecar import OpenSidecar, Sidecar
from eme_connector.usecases.misp_modules.answer import Json, Work, in_time

URL, TOKEN, TOKEN_FILE = "EME_MODULES_URL", "EME_MODULES_TOKEN", "EME_MODULES_TOKEN_FILE"
MAX_BYTES = 33_554_432
DONE: Json = {"data": True}


def create(open_sidecar: OpenSidecar, environ: Mapping[str, str] = os.environ) -> Work:
    """Return the work that makes a threat of an event."""
    return in_time(lambda request: _create(request, _open(open_sidecar, environ)))


def gate(open_sidecar: OpenSidecar, environ: Mapping[str, str] = os.environ) -> Work:
    """Return the work that lets an event pass only when a person in the sidecar said so."""
    return in_time(lambda request: _gate(request, _open(open_sidecar, environ)))


def _create(request: Json, sidecar: Sidecar) -> Json:
    event = misp_request.event_of(request)
    if misp_request.threat_id(event):
        # it came from a sidecar: sending it back would make another of the same
        return DONE
    for document in _imported(event) or [misp_request.as_event(event, _params(request))]:
        sidecar.create(document)
    return DONE


def _gate(request: Json, sidecar: Sidecar) -> Json:
    event = misp_request.event_of(request)
    own = misp_request.threat_id(event)
    found = sidecar.look_up([own or str(event["uuid"])])
    if own:
        if any(one["id"] == own for one in found["threats"]):
            return DONE
        raise Conflict("this event says that it is a threat of a sidecar, which does not know it")
    organisation = str(found["organisation"]["uuid"])
    asked = sidecar.create(misp_request.approval(event, organisation))[0]
    known = [one["decision"] for one in sidecar.look_up([str(asked["id"])])["threats"]]
    decision = known[0] if known else {"status": asked["status"], "reason": ""}
    if decision["status"] == "approved":
        return DONE
    if decision["status"] == "declined":
        raise Conflict(f"publishing was declined: {decision['reason'] or 'no reason given'}")
    raise Conflict("publishing waits for a person in the sidecar; publish again afterwards")


def _imported(event: Json) -> list[Json]:
    """Return the bundles that were imported into the event."""
    try:
        return bundle.every_received(event)
    except (EmeError, LookupError, TypeError, ValueError):
        return []


def _open(open_sidecar: OpenSidecar, environ: Mapping[str, str]) -> Sidecar:
    url, token = environ.get(URL, ""), environ.get(TOKEN, "")
    if path := environ.get(TOKEN_FILE):
        token = Path(path).read_text(encoding="utf-8").strip()
    if not url or not token:
        raise NotAuthenticated(f"set {URL} and {TOKEN_FILE} where misp-modules runs")
    return open_sidecar(url, token)


def _params(request: Json) -> Json:
    found = request.get("params")
    return found if isinstance(found, dict) else {}
