"""MISP import: a STIX 2.1 file, with or without the IRIS extension, into the open event."""

from typing import Any

mispattributes: dict[str, Any] = {
    "inputSource": ["file", "paste"],
    "output": ["MISP objects"],
    "format": "misp_standard",
}
userConfig = {
    "criticality_order": {
        "type": "Select",
        "message": "Of the criticalities in the file: descending means that 1 is the highest.",
        "options": {"descending": "descending", "ascending": "ascending"},
    },
    "share_assets": {
        "type": "Boolean",
        "message": "Let addresses and device names leave with the event.",
    },
}
moduleinfo: dict[str, Any] = {
    "version": "1.0",
    "author": "EME connector",
    "module-type": ["import"],
    "name": "EME import",
    "description": "Import a STIX 2.1 bundle: IRIS detections with their playbooks, and all "
    "other objects by way of misp-stix.",
    "logo": "",
    "requirements": ["eme-connector"],
    "features": "Every leaf of the file is accounted for in an event report: mapped, kept (in a "
    "file that stays at home) or refused, and why.",
    "references": [],
    "input": "A STIX 2.1 bundle as JSON, up to 1 MiB.",
    "output": "Attributes, objects, tags and a report for the open event.",
}
moduleconfig: list[str] = []


def handler(q: Any = False) -> Any:
    """Answer one request of MISP."""
    if q is False:
        return False
    try:
        from eme_connector.usecases.misp_modules.answer import answer
        from eme_connector.usecases.misp_modules.import_file import import_file
    except ImportError as exc:
        return {"error": f"EME: not installed beside misp-modules: {exc}", "results": {}}
    return answer(q, import_file)


def introspection() -> dict[str, Any]:
    """Say what goes in and what the person is asked."""
    return mispattributes | {"userConfig": userConfig}


def version() -> dict[str, Any]:
    """Say what this is and which settings it has."""
    return moduleinfo | {"config": moduleconfig}
