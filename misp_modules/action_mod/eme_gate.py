"""MISP workflow action: let an event pass only when a person in an EME sidecar approved it."""

from typing import Any

mispattributes: dict[str, Any] = {"input": [], "output": []}
moduleinfo: dict[str, Any] = {
    "version": "1.0",
    "author": "EME connector",
    "module-type": ["action"],
    "name": "EME: ask for approval",
    "description": "Blocks (publishing, for instance) until a person in an EME sidecar approved "
    "exactly this content. No answer of the sidecar blocks too.",
    "logo": "",
    "requirements": [
        "eme-connector",
        "EME_MODULES_URL and EME_MODULES_TOKEN_FILE in the environment of misp-modules; "
        "the token has the rights `ingest` and `read`",
    ],
    "features": "The first time the request appears in the sidecar and the event is blocked; "
    "after the approval the same event passes. A changed event is asked about anew. Events of "
    "the sidecar itself pass.",
    "references": [],
    "input": "An event in MISP's core format.",
    "output": "Whether it may go on.",
}
moduleconfig = {
    "params": {},
    "blocking": True,
    "support_filters": True,
    "expect_misp_core_format": True,
}
returns = "boolean"


def handler(q: Any = False) -> Any:
    """Answer one request of MISP; whatever goes wrong blocks."""
    if q is False:
        return False
    try:
        from eme_connector.bootstrap import open_sidecar
        from eme_connector.usecases.misp_modules import act, answer
    except ImportError as exc:
        return {"error": f"EME: not installed beside misp-modules: {exc}", "results": {}}
    return answer.answer(q, act.gate(open_sidecar), max_bytes=act.MAX_BYTES)


def introspection() -> dict[str, Any]:
    """Say what goes in and out."""
    return mispattributes


def version() -> dict[str, Any]:
    """Say what this is and which parameters it has."""
    return moduleinfo | {"config": moduleconfig}
