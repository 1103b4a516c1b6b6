"""Events as a STIX 2.1 bundle with the IRIS extension and CACAO playbooks (D3)."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID, uuid5

from eme_connector.errors import Malformed
from eme_connector.formats.misp_event import export
from eme_connector.formats.misp_event.export import Exported
from eme_connector.usecases.misp_modules.answer import Json, setting

MAX_BYTES = 67_108_864
MAX_TOLD = 100
BASE_URL = "https://eme-connector.invalid"
"""Names our extension's schema where no sidecar is told of (`eme_url`)."""


def export_events(request: Json) -> Json:
    """Return the request's events as one bundle, base64, with a note of what is not in it.

    Raises:
        Malformed: there is no event, or nothing of any could be written.
    """
    events = request.get("data")
    if not isinstance(events, list) or not events:
        raise Malformed("MISP sent no event")
    found = export.render(
        events,
        base_url=setting(request, "eme_url").rstrip("/") or BASE_URL,
        at_home=setting(request, "with_assets") in ("1", "true", "True"),
    )
    if not found.bundle["objects"]:
        raise Malformed("; ".join(f"{at} {why}" for at, why in list(found.refused.items())[:3]))
    if found.refused:
        found.bundle["objects"].append(_note(found))
    data = json.dumps(found.bundle, ensure_ascii=False).encode()
    return {"data": base64.b64encode(data).decode(), "response": []}


def _note(found: Exported) -> Json:
    objects: list[dict[str, Any]] = found.bundle["objects"]
    about = next((one for one in objects if one["type"] in ("report", "grouping")), objects[0])
    lines = [f"{at} {why}" for at, why in list(found.refused.items())[:MAX_TOLD]]
    if len(found.refused) > MAX_TOLD:
        lines.append(f"… and {len(found.refused) - MAX_TOLD} more")
    namespace = UUID(str(found.bundle["id"]).partition("--")[2])
    made = max((str(one["modified"]) for one in objects if "modified" in one), default="")
    stamp = made or "1970-01-01T00:00:00.000Z"
    return {
        "type": "note",
        "spec_version": "2.1",
        "id": f"note--{uuid5(namespace, 'left out')}",
        "created": stamp,
        "modified": stamp,
        "abstract": "Not exported (event, place, why)",
        "content": "\n".join(lines),
        "object_refs": [about["id"]],
    }
