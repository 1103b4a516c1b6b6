"""Running the sidecar: health, metrics, deliveries, published schemas (F6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify

from eme_connector.bootstrap import Eme
from eme_connector.domain.delivery import OPEN, State
from eme_connector.domain.rights import Right
from eme_connector.errors import EmeError
from eme_connector.formats import stix_bundle, threat_json
from eme_connector.ports import Shared
from eme_connector.usecases import deliver
from eme_connector.web.app_state import eme, metrics
from eme_connector.web.auth import current_caller
from eme_connector.web.forms import DeliveryPath, DeliveryQuery, HealthQuery
from eme_connector.web.routes import Api, operation
from eme_connector.web.shapes import DeliveryList, DeliveryShape, Health

REMEMBER_S = 5.0
blueprint = Api("operation", "Health, metrics and deliveries")
public = Blueprint("public", __name__)


@public.get("/healthz")
def alive() -> Response:
    """Say that the process answers."""
    return Response("ok\n", mimetype="text/plain")


@public.get("/readyz")
def ready() -> Response:
    """Say that detections can be accepted; 503 when not."""
    eme().store.ping()
    return Response("ok\n", mimetype="text/plain")


@public.get("/metrics")
def show_metrics() -> Response:
    """Return Prometheus metrics to whoever may see deliveries."""
    current_caller().need(Right.AUDIT)
    return metrics().render(eme())


@public.get("/schemas/iris-response/1.0/schema.json")
def schema() -> Response:
    """Publish the JSON schema of our STIX extension."""
    response = jsonify(stix_bundle.load_schema())
    response.mimetype = "application/schema+json"
    return response


@public.get("/schemas/iris-response/1.0/extension-definition.json")
def extension_definition() -> Response:
    """Publish the definition of our STIX extension."""
    response = jsonify(stix_bundle.extension_definition(eme().config.public_url))
    response.mimetype = "application/stix+json"
    return response


@operation(
    blueprint, "get", "/health", id="health_read", right=Right.READ, answers={200: Health},
    query=HealthQuery,
)  # fmt: skip
def health(query: HealthQuery) -> Response:
    """Ping every part, or only our own"""
    running = eme()
    parts = [_ping("store", running.store.ping)]
    if running.config.redis is not None:
        parts.append(_ping("redis", running.shared.ping))
    if not query.quick:
        parts += [
            _ping_rarely(lane, channel.ping, running.shared)
            for lane, channel in running.channels().items()
        ]
        known = running.cerebrates().items()
        parts += [
            _ping_rarely(f"cerebrate:{name}", there.ping, running.shared) for name, there in known
        ]
    return jsonify(ok=all(one["ok"] for one in parts), parts=parts, open_deliveries=_open(running))


@operation(
    blueprint, "get", "/deliveries", id="deliveries_list", right=Right.ADMIN,
    answers={200: DeliveryList}, query=DeliveryQuery,
)  # fmt: skip
def deliveries(query: DeliveryQuery) -> Response:
    """List what is owed to outside systems and how it stands"""
    found = eme().store.list_deliveries(
        state=State(query.state) if query.state else None,
        lane=query.lane,
        organisation=current_caller().organisation,
        after=query.after,
        limit=query.limit,
    )
    return jsonify(deliveries=[threat_json.delivery(one) for one in found])


@operation(
    blueprint, "post", "/deliveries/<int:delivery_id>/retry", id="deliveries_retry",
    right=Right.READ, answers={200: DeliveryShape},
)  # fmt: skip
def retry_delivery(path: DeliveryPath) -> Response:
    """Owe a delivery once more, as a person with the right to decide or to share"""
    found = deliver.retry(path.delivery_id, caller=current_caller(), system=eme())
    return jsonify(threat_json.delivery(found))


def _ping(part: str, ping: Callable[[], None]) -> dict[str, Any]:
    try:
        ping()
    except EmeError as exc:
        return {"part": part, "ok": False, "detail": getattr(exc, "reason", str(exc))}
    return {"part": part, "ok": True, "detail": ""}


def _ping_rarely(part: str, ping: Callable[[], None], shared: Shared) -> dict[str, Any]:
    """Ping what others run, but not each time that somebody asks."""
    key = f"health:{part}"
    if known := shared.get(key):
        found: dict[str, Any] = json.loads(known)
        return found
    fresh = _ping(part, ping)
    shared.put(key, json.dumps(fresh).encode(), seconds=REMEMBER_S)
    return fresh


def _open(running: Eme) -> int:
    counts = running.store.delivery_counts()
    return sum(number for (_, state), number in counts.items() if state in OPEN)
