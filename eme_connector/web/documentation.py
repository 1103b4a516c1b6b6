"""Make the OpenAPI document, with what the framework cannot know: bodies, preconditions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_openapi3 import Info, OpenAPI

from eme_connector import __version__
from eme_connector.domain.rights import Right
from eme_connector.web.routes import OPERATIONS, Api, Operation, Problem

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_TITLES = {
    400: "The body cannot be read",
    401: "No credential, or one that does not hold",
    403: "The right is missing",
    404: "There is no such thing here",
    409: "The present state does not allow it",
    412: "It has changed since it was read",
    413: "The body is too large",
    415: "This content type or encoding is not taken",
    422: "The content breaks its rules",
    428: "If-Match is missing",
    429: "Too many requests",
    503: "A part that is needed is unavailable",
}
_SECURITY_SCHEMES: Any = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token, `eme_…`"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "eme_session",
        "description": "A person's session; writes need X-CSRFToken besides",
    },
}
_STEP = {
    "id": 1,
    "impacted_actor": "PLC-9",
    "action": "Isolate Host",
    "description": "Cut it off the network",
    "execution_api": "",
    "action_impact": 10,
}
EXAMPLES: dict[str, Any] = {
    "bundle": {
        "type": "bundle",
        "id": "bundle--3c1d2e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
        "objects": [
            {
                "type": "extension-definition",
                "spec_version": "2.1",
                "id": "extension-definition--0d1f2e3c-4b5a-4697-8879-6a5b4c3d2e1f",
                "detection": {
                    "detection_name": "Modbus write from an unknown master",
                    "organisation": "CI-1",
                    "classification": "attack",
                    "confidence": "80",
                    "risk_score": "7.5",
                    "threat": "Unauthorised command (T0855)",
                    "iris_id": 7,
                },
                "criticalities": {
                    "asset_ip": "10.1.2.9",
                    "asset_device": "PLC-9",
                    "criticality": "2",
                },
                "playbook_actions": {
                    "name": "Contain the master",
                    "workflow_start": "1",
                    "workflow": [_STEP],
                },
            }
        ],
    },
    "event": {
        "id": "eve-4711",
        "name": "SSH brute force",
        "classification": "attack",
        "risk_score": 4,
        "confidence": 60,
        "asset": {"address": "10.1.2.9", "device": "PLC-9"},
    },
    "result": {
        "delivery": "6f1d2c3b-8a79-4e5f-9d0c-1b2a3c4d5e6f",
        "digest": "0" * 64,
        "status": "ongoing",
        "steps": [{"id": "1", "status": "ongoing"}],
    },
    "message": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl",
}


def document(blueprints: Iterable[Api]) -> dict[str, Any]:
    """Return the document of all operations of *blueprints*."""
    app = OpenAPI(
        __name__,
        info=Info(title="EME connector", version=__version__),
        security_schemes=_SECURITY_SCHEMES,
        validation_error_model=Problem,
        doc_ui=False,
    )
    for one in blueprints:
        app.register_api(one.described())
    return _complete(app.api_doc)


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    """Return *document* with bodies, preconditions, ETags and refusals of every operation."""
    by_id = {found.id: found for found in OPERATIONS.values()}
    for path in document["paths"].values():
        for operation in path.values():
            if operation.get("operationId") in by_id:
                _complete_one(operation, by_id[operation["operationId"]])
    return document


def _complete_one(operation: dict[str, Any], found: Operation) -> None:
    responses = operation["responses"]
    responses.pop("default", None)
    for status in _refusals(found):
        responses[str(status)] = {"description": _TITLES[status], "content": _PROBLEM}
    if found.raw:
        content = operation["requestBody"]["content"]
        for media in content.values():
            media["example"] = EXAMPLES[found.raw]
        operation["requestBody"]["required"] = True
    if found.conditional:
        operation.setdefault("parameters", []).append(_IF_MATCH)


_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of what the caller has read.",
    "schema": {"type": "string", "minLength": 1},
}


_ABSENT = ("vulnerability-scanning", "/misp/hint")
"""What is not there without its section of the configuration."""


def _refusals(found: Operation) -> list[int]:
    statuses = [400, 422, 503]
    if isinstance(found.right, Right):
        statuses += [401, 403]
    elif found.right == "signed" or "session" in found.path:
        statuses += [401, 403, 409]
    if "{" in found.path or "<" in found.path or found.path.endswith(_ABSENT):
        statuses.append(404)
    if found.method != "GET":
        statuses += [409, 413, 415]
    if found.conditional:
        statuses += [412, 428]
    if found.path.endswith("/session"):
        statuses.append(429)
    return sorted(set(statuses))
