"""MISP expansion and hover: what an EME sidecar knows of a value."""

from typing import Any

mispattributes: dict[str, Any] = {
    "input": [
        "ip-src", "ip-dst", "ip-src|port", "ip-dst|port", "domain", "domain|ip", "hostname",
        "hostname|port", "vulnerability", "text", "comment", "link", "other", "url",
        "iris-detection", "device", "ip-port",
    ],
    "output": ["link", "response-decision"],
    "format": "misp_standard",
}  # fmt: skip
moduleinfo: dict[str, Any] = {
    "version": "1.0",
    "author": "EME connector",
    "module-type": ["expansion", "hover"],
    "name": "EME look-up",
    "description": "Status, risk, playbook and decision of the threats that name a value, "
    "of those that the token's organisation may see.",
    "logo": "",
    "requirements": ["eme-connector", "An EME sidecar and a token with the right `read`"],
    "features": "Addresses, host names, devices, CVEs, ids of threats. What comes back stays in "
    "your organisation (distribution 0).",
    "references": [],
    "input": "An attribute or an object.",
    "output": "A link to each threat, and where its response stands.",
}
moduleconfig = ["eme_url", "eme_token"]


def handler(q: Any = False) -> Any:
    """Answer one request of MISP."""
    if q is False:
        return False
    try:
        from eme_connector.bootstrap import open_sidecar
        from eme_connector.usecases.misp_modules.answer import answer
        from eme_connector.usecases.misp_modules.look_up import look_up
    except ImportError as exc:
        return {"error": f"EME: not installed beside misp-modules: {exc}", "results": {}}
    return answer(q, look_up(open_sidecar))


def introspection() -> dict[str, Any]:
    """Say what goes in and out."""
    return mispattributes


def version() -> dict[str, Any]:
    """Say what this is and which settings it has."""
    return moduleinfo | {"config": moduleconfig}
