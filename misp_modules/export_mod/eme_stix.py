"""MISP export: events as a STIX 2.1 bundle with the IRIS extension and CACAO playbooks."""

from typing import Any

mispattributes: dict[str, Any] = {
    "inputSource": ["event"],
    "outputFileExtension": "json",
    "responseType": "application/stix+json",
    "userConfig": {
        "with_assets": {
            "type": "Boolean",
            "message": "Include what stays at home: addresses, device and account names.",
        }
    },
}
moduleinfo: dict[str, Any] = {
    "version": "1.0",
    "author": "EME connector",
    "module-type": ["export"],
    "name": "EME STIX export",
    "description": "Events as one STIX 2.1 bundle: EME threats with the IRIS extension and their "
    "playbooks in CACAO 2.0, everything else by way of misp-stix.",
    "logo": "",
    "requirements": ["eme-connector"],
    "features": "Event by event, attribute by attribute: what cannot be converted is named in a "
    "note, the rest is exported.",
    "references": [],
    "input": "Events.",
    "output": "A STIX 2.1 bundle.",
    "require_standard_format": True,
    "fetch_options": {"includeAttachments": True},
}
moduleconfig = ["eme_url"]


def handler(q: Any = False) -> Any:
    """Answer one request of MISP."""
    if q is False:
        return False
    try:
        from eme_connector.usecases.misp_modules.answer import answer
        from eme_connector.usecases.misp_modules.export import MAX_BYTES, export_events
    except ImportError as exc:
        return {"error": f"EME: not installed beside misp-modules: {exc}", "results": {}}
    return answer(q, export_events, max_bytes=MAX_BYTES)


def introspection() -> dict[str, Any]:
    """Say what goes in and out."""
    return mispattributes


def version() -> dict[str, Any]:
    """Say what this is and which settings it has."""
    return moduleinfo | {"config": moduleconfig}
