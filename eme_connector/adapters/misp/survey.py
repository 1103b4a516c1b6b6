"""What several events have to know of MISP before they are stored, asked for once."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json
from eme_connector.domain.threat import Threat
from eme_connector.formats.misp_event.event import event_uuid

CANDIDATES = 10
"""Attributes that may name one bundle; more would say no more."""


class Survey:
    """Remembers answers while one batch is sent; without `prepare` each is asked for singly."""

    def __init__(self, client: MispClient) -> None:
        self._client = client
        self._groups: dict[str, Json | None] = {}
        self._absent: frozenset[str] = frozenset()
        self._naming: dict[str, list[Json]] = {}

    def prepare(self, threats: Iterable[Threat]) -> None:
        """Ask in two requests which events of *threats*, or of their bundles, are there.

        Raises:
            Refused, DeliveryError
        """
        several = list(threats)
        if not several:
            # MISP would take no condition for all that it has
            return
        bundles = [one for one in dict.fromkeys(t.bundle_id for t in several) if _is_plain(one)]
        wanted = {event_uuid(one.id) for one in several} | {bundle_uuid(one) for one in bundles}
        rows = self._client.search(uuid=sorted(wanted), metadata=True, limit=len(wanted))
        self._absent = frozenset(wanted - {str(one.get("uuid", "")).lower() for one in rows})
        if not bundles:
            return
        most = CANDIDATES * len(bundles)
        found = self._client.search_attributes(value=bundles, limit=most)
        if len(found) < most:
            self._naming = {bundle: _exactly(bundle, found) for bundle in bundles}

    def find_event(self, uuid: str) -> Json | None:
        """Return an event as we may see it, or None; nothing is asked where it was not there."""
        return None if uuid in self._absent else self._client.find_event(uuid)

    def find_group(self, uuid: str) -> Json | None:
        """Return a sharing group as it was when it was first asked for."""
        if uuid not in self._groups:
            self._groups[uuid] = self._client.find_group(uuid)
        return self._groups[uuid]

    def naming(self, bundle: str) -> list[Json]:
        """Return attributes whose value is the id of that bundle."""
        if bundle not in self._naming:
            found = self._client.search_attributes(value=bundle, limit=CANDIDATES)
            self._naming[bundle] = _exactly(bundle, found)
        return self._naming[bundle]


def _exactly(bundle: str, found: Iterable[Json]) -> list[Json]:
    # a sender chooses the id, and MISP takes some signs in it for wildcards and for "not"
    return [one for one in found if one.get("value") == bundle]


def _is_plain(bundle: str) -> bool:
    uuid = bundle_uuid(bundle)
    return bool(uuid) and bundle.lower() == f"bundle--{uuid}"


def bundle_uuid(bundle: str) -> str:
    """Return the uuid in the id of a bundle, or an empty text."""
    uuid = bundle.rpartition("--")[2].lower()
    try:
        return uuid if str(UUID(uuid)) == uuid else ""
    except ValueError:
        return ""
