"""MISP workflow action: make a threat in an EME sidecar of an event."""

from typing import Any

mispattributes: dict[str, Any] = {"input": [], "output": []}
moduleinfo: dict[str, Any] = {
    "version": "1.0",
    "author": "EME connector",
    "module-type": ["action"],
    "name": "EME: create threat",
    "description": "Send the event to an EME sidecar, which makes a threat of it. The sidecar's "
    "own events are left alone.",
    "logo": "",
    "requirements": [
        "eme-connector",
        "EME_MODULES_URL and EME_MODULES_TOKEN_FILE in the environment of misp-modules; "
        "the token has the right `ingest`",
    ],
    "features": "An IRIS bundle that was imported into the event goes as it was received; any "
    "other event becomes a detection without a playbook.",
    "references": [],
    "input": "An event in MISP's core format.",
    "output": "Whether the sidecar took it.",
}
moduleconfig = {
    "params": {
        "classification": {
            "type": "string",
            "description": "attack (default) or vulnerability.",
            "value": "attack",
            "jinja_supported": False,
        }
    },
    "blocking": False,
    "support_filters": True,
    "expect_misp_core_format": True,
}
returns = "boolean"


def handler(q: Any = False) -> Any:
    """Answer one request of MISP."""
    if q is False:
        return False
    try:
        from eme_connector.bootstrap import open_sidecar
        from eme_connector.usecases.misp_modules import act, answer
    except ImportError as exc:
        return {"error": f"EME: not installed beside misp-modules: {exc}", "results": {}}
    return answer.answer(q, act.create(open_sidecar), max_bytes=act.MAX_BYTES)


def introspection() -> dict[str, Any]:
    """Say what goes in and out."""
    return mispattributes


def version() -> dict[str, Any]:
    """Say what this is and which parameters it has."""
    return moduleinfo | {"config": moduleconfig}
