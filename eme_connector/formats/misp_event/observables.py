"""The values of a threat that a MISP may know: addresses, names, hashes, CVEs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from uuid import UUID

from eme_connector.domain.misp import VIA_MISP
from eme_connector.domain.threat import Detection, Threat
from eme_connector.formats.misp_event import foreign, others
from eme_connector.formats.misp_event.detection import CVE
from eme_connector.formats.misp_event.event import event_uuid
from eme_connector.formats.misp_event.objects import Json

MOST = 50
"""Values that are asked for of one threat."""
MAX_LENGTH = 500
_TYPES = frozenset(
    {"ip-src", "ip-dst", "ip-src|port", "ip-dst|port", "domain", "domain|ip", "hostname"}
    | {"hostname|port", "url", "uri", "email", "email-src", "email-dst", "mac-address"}
    | {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "ssdeep", "vulnerability"}
    | {"filename|md5", "filename|sha1", "filename|sha256", "ja3-fingerprint-md5"}
    | {"x509-fingerprint-sha1", "x509-fingerprint-sha256"}
)
_EQUAL = re.compile(r":(?:value|hashes\.\S+?)\s*=\s*'((?:[^'\\]|\\.)*)'")
_EVENT = re.compile(r"misp-event--([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_ADDRESS = re.compile(r"(?<![\w.:-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-]*\w)|\b[0-9a-f:]{6,39}\b", re.I)
_HASH = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\b", re.I)


def values_of(threat: Threat, raw: bytes | None) -> tuple[tuple[str, ...], bool]:
    """Return what to ask a MISP about *threat*, and True where there was more than fits.

    *raw* is the bundle as it came: what stands in it beside the detections counts too. Converting
    that takes seconds at worst, so this belongs in the worker.
    """
    found = dict.fromkeys(
        one for one in _values(threat, raw) if one and len(one) <= MAX_LENGTH and "\n" not in one
    )
    return tuple(found)[:MOST], len(found) > MOST


def event_of(threat: Threat) -> str:
    """Return the uuid of the threat's own event."""
    made = _EVENT.fullmatch(threat.detection.carrier_id)
    return made[1] if made and VIA_MISP in threat.flags else event_uuid(threat.id)


def _values(threat: Threat, raw: bytes | None) -> Iterator[str]:
    detection = threat.detection
    for one in detection.assets:
        yield from _addresses(one.address)
    yield from _in_text(detection)
    if raw:
        for attribute in _beside(threat, raw):
            yield from _whole_and_parts(attribute)


def _in_text(detection: Detection) -> Iterator[str]:
    text = "\n".join((detection.name, detection.threat, detection.summary, detection.actor))
    yield from (one.upper() for one in CVE.findall(text))
    yield from (one.lower() for one in _HASH.findall(text))
    yield from _addresses(text)


def _addresses(text: str) -> Iterator[str]:
    for one in _ADDRESS.findall(text):
        try:
            yield str(ip_address(one))
        except ValueError:
            continue


def _beside(threat: Threat, raw: bytes) -> Iterator[Json]:
    found = others.beside(raw, foreign.converter(UUID(threat.id)))
    yield from found.attributes
    for one in found.objects:
        yield from one.get("Attribute", ())


def _whole_and_parts(attribute: Json) -> Iterator[str]:
    # as a MISP stores it: it answers 500 to characters of four bytes
    kind, value = str(attribute.get("type")), str(attribute.get("value", ""))
    if kind == "stix2-pattern":
        yield from (re.sub(r"\\(.)", r"\1", one) for one in _EQUAL.findall(value))
    if kind not in _TYPES:
        return
    if "|" not in kind:
        yield value
        return
    names = kind.split("|")
    for name, part in zip(names, value.split("|"), strict=False):
        if name not in ("port", "filename"):
            yield part
