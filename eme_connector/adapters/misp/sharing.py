"""Our own MISP as it is read: what arrived, who has seen what, what it knows of values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json, Refused
from eme_connector.domain.misp import Known, Related
from eme_connector.errors import DeliveryError
from eme_connector.formats.misp_event.objects import unescape
from eme_connector.ports.misp import Headline, Signed

PAGE = 100
OLDEST_S = 90 * 86_400
"""Sightings of events that are older than this are not looked for."""
MOST_ATTRIBUTES = 200
MOST_EVENTS = 10


class OurMisp:
    """`ports.MispSharing` with the key of a user of our organisation."""

    def __init__(self, client: MispClient, url: str) -> None:
        self._client, self._url = client, url

    def arrived(self, since: int, page: int) -> tuple[Headline, ...]:
        rows = self._client.search(
            publish_timestamp=since, published=True, metadata=True, limit=PAGE, page=page
        )
        return tuple(_headline(one) for one in rows)

    def find_event(self, uuid: str) -> Signed | None:
        try:
            found, body, signature = self._client.connection.get_signed(f"/events/view/{uuid}")
        except Refused as exc:
            if exc.status == 404:
                return None
            raise
        event = found.get("Event") if isinstance(found, dict) else None
        if not isinstance(event, dict):
            raise DeliveryError("not-misp", "it answered without the event")
        return Signed(event, body, signature)

    def sighted(self, since: int) -> tuple[tuple[str, int], ...]:
        own = self._client.me().organisation
        # the only place where MISP shows when a sighting came
        what = {"minimal": 1, "timestamp": max(0, since - OLDEST_S)}
        rows = self._client.connection.post("/events/index", what)
        found = (_sighted(one) for one in rows or () if _creator(one) == own)
        return tuple(one for one in found if one[1] and one[1] >= since)

    def know(self, values: Collection[str], *, without: str) -> tuple[tuple[Known, ...], bool]:
        # there a percent sign is a wildcard, and an exclamation mark is "not"
        asked = [one for one in dict.fromkeys(values) if "%" not in one and one[:1] != "!"]
        if not asked:
            return (), False
        rows = self._client.search_attributes(
            value=asked, includeSightings=True, includeEventUuid=True, limit=MOST_ATTRIBUTES
        )
        warned = self._client.connection.post("/warninglists/checkValue", asked)
        lists = warned if isinstance(warned, dict) else {}
        counts = _counted(rows, asked, without)
        told = self._told({uuid for _, uuid in counts})
        found: dict[str, list[Related]] = defaultdict(list)
        for (value, uuid), sightings in counts.items():
            if uuid in told:
                found[value].append(self._related(told[uuid], sightings))
        for several in found.values():
            several.sort(key=lambda one: told[one.uuid]["timestamp"], reverse=True)
        cut = len(rows) >= MOST_ATTRIBUTES or any(len(one) > MOST_EVENTS for one in found.values())
        known = tuple(
            Known(one, tuple(found[one][:MOST_EVENTS]), _names(lists.get(one)))
            for one in asked
            if one in found or one in lists
        )
        return known, cut

    def _told(self, uuids: Collection[str]) -> dict[str, Json]:
        if not uuids:
            return {}
        rows = self._client.search(uuid=sorted(uuids), metadata=True, limit=MOST_ATTRIBUTES)
        return {str(one.get("uuid", "")): one for one in rows}

    def _related(self, event: Json, sightings: Counter[str]) -> Related:
        uuid = str(event["uuid"])
        info = unescape(str(event.get("info", "")))[:200]
        creator = (event.get("Orgc") or {}).get("name")
        link = f"{self._url}/events/view/{uuid}"
        return Related(uuid, info, str(creator or ""), link, dict(sightings))


def _counted(
    rows: Iterable[Json], asked: Collection[str], without: str
) -> dict[tuple[str, str], Counter[str]]:
    """Return (value, event) with its sightings by type."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        uuid = str(row.get("event_uuid", ""))
        if uuid not in ("", without):
            for value in _parts(row, asked):
                types = (str(one.get("type")) for one in row.get("Sighting") or ())
                counts[value, uuid].update(types)
    return counts


def _parts(row: Json, asked: Collection[str]) -> list[str]:
    """Return which of the values an attribute has: one of two parts is enough."""
    value = str(row.get("value", ""))
    return [one for one in dict.fromkeys([value, *value.split("|")]) if one in asked]


def _names(hits: Any) -> tuple[str, ...]:
    rows = hits if isinstance(hits, list) else ()
    return tuple(str(one.get("name", "")) for one in rows if isinstance(one, dict))


def _headline(event: Json) -> Headline:
    try:
        return Headline(
            str(event["uuid"]).lower(),
            int(event["timestamp"]),
            int(event["publish_timestamp"]),
            str(event["Orgc"]["uuid"]).lower(),
            str(event.get("extends_uuid") or "").lower(),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise DeliveryError("not-misp", "a list of events is not one") from exc


def _creator(row: Any) -> str:
    return str(row.get("orgc_uuid", "")).lower() if isinstance(row, dict) else ""


def _sighted(row: Json) -> tuple[str, int]:
    try:
        return str(row["uuid"]).lower(), int(row["sighting_timestamp"] or 0)
    except (KeyError, TypeError, ValueError) as exc:
        raise DeliveryError("not-misp", "an index of events is not one") from exc
