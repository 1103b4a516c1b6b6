"""TLP 2.0 in STIX 2.1: ids and objects (the marking travels in the bundle).

Source: FIRST TLP 2.0; the ids and the extension are those that STIX producers agree upon.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eme_connector.domain.threat import Tlp

TLP_EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
_IDS = {
    Tlp.CLEAR: "94868c89-83c2-464b-929b-a1a8aa3c8487",
    Tlp.GREEN: "bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    Tlp.AMBER: "55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    Tlp.AMBER_STRICT: "939a9414-2ddd-4d32-a0cd-375ea402b003",
    Tlp.RED: "e828b379-4e03-4974-9ac4-e53a884c97c1",
}
_TLP_1 = {
    "613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
    "5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
}
_KNOWN = {f"marking-definition--{uuid}": tlp for tlp, uuid in _IDS.items()} | {
    f"marking-definition--{uuid}": tlp for uuid, tlp in _TLP_1.items()
}
_ORDER = list(Tlp)


def tlp_uuid(tlp: Tlp) -> str:
    """Return the uuid that STIX and CACAO share for *tlp*."""
    return _IDS[tlp]


def marking_id(tlp: Tlp) -> str:
    """Return the id of the TLP 2.0 marking definition of *tlp*."""
    return f"marking-definition--{_IDS[tlp]}"


def marking_object(tlp: Tlp) -> dict[str, Any]:
    """Return the marking definition of *tlp* as a STIX 2.1 object."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": marking_id(tlp),
        "created": "2022-10-01T00:00:00.000Z",
        "name": f"TLP:{tlp.value.upper()}",
        "extensions": {TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": tlp}},
    }


def tlp_of(refs: Iterable[str]) -> tuple[Tlp | None, bool]:
    """Return (the most restrictive TLP among *refs* or None, whether every ref was known).

    A marking that we do not know may be stricter than any we do: the caller fails closed.
    """
    refs = list(refs)
    known = [_KNOWN[ref] for ref in refs if ref in _KNOWN]
    return max(known, key=_ORDER.index, default=None), len(known) == len(refs)
