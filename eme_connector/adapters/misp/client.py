"""The calls to a MISP that the connector makes, each with its traps taken care of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eme_connector.adapters.misp.connection import Connection, Json, Refused
from eme_connector.errors import DeliveryError


@dataclass(frozen=True, slots=True)
class Me:
    """Whose key we have: its organisation, and what its role may do."""

    user: str
    organisation: str
    organisation_name: str
    role: str
    permissions: frozenset[str]


class MispClient:
    """One MISP as one user sees it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._me: Me | None = None

    def me(self) -> Me:
        """Return whose key this is; asked once.

        Raises:
            DeliveryError
        """
        if self._me is None:
            found = self.connection.get("/users/view/me")
            role = found.get("Role") or {}
            self._me = Me(
                str(found["User"]["email"]),
                str(found["Organisation"]["uuid"]).lower(),
                str(found["Organisation"]["name"]),
                str(role.get("name", "")),
                frozenset(key for key, value in role.items() if key.startswith("perm_") and value),
            )
        return self._me

    def find_event(self, uuid: str) -> Json | None:
        """Return an event as we may see it, or None."""
        found = self.connection.find(f"/events/view/{uuid}")
        event: Json | None = found.get("Event") if isinstance(found, dict) else None
        return event

    def add_event(self, event: Json) -> Json:
        """Store a new event and return what MISP made of it.

        Raises:
            Refused, DeliveryError
        """
        return _event(self.connection.post("/events/add", {"Event": event}))

    def edit_event(self, uuid: str, event: Json) -> Json:
        """Replace an event of ours and return what MISP made of it; it is unpublished then."""
        return _event(self.connection.post(f"/events/edit/{uuid}", {"Event": event}))

    def publish(self, uuid: str) -> str:
        """Ask to publish; what MISP says about it is no proof of anything."""
        answer = self.connection.post(f"/events/publish/{uuid}", {})
        return str(answer.get("message", "")) if isinstance(answer, dict) else ""

    def remove_tag(self, uuid: str, tag: str) -> None:
        """Take a tag off an event; one that is not there is fine."""
        try:
            self.connection.post("/tags/removeTagFromObject", {"uuid": uuid, "tag": tag})
        except Refused as exc:
            if exc.status != 404:
                raise

    def find_group(self, uuid: str) -> Json | None:
        """Return a sharing group with its members and servers, None when we may not see it."""
        found = self.connection.find(f"/sharing_groups/view/{uuid}")
        return found if isinstance(found, dict) else None

    def search(self, **what: Any) -> list[Json]:
        """Return the events that restSearch finds.

        Raises:
            Refused, DeliveryError
        """
        found = self.connection.post("/events/restSearch", {"returnFormat": "json", **what})
        rows = found.get("response") if isinstance(found, dict) else found
        return [row["Event"] for row in rows or () if isinstance(row, dict) and "Event" in row]

    def search_attributes(self, **what: Any) -> list[Json]:
        """Return the attributes that restSearch finds."""
        found = self.connection.post("/attributes/restSearch", {"returnFormat": "json", **what})
        inner = found.get("response") if isinstance(found, dict) else {}
        rows = inner.get("Attribute") if isinstance(inner, dict) else inner
        return [row for row in rows or () if isinstance(row, dict)]


def _event(answer: Any) -> Json:
    if isinstance(answer, dict) and isinstance(answer.get("Event"), dict):
        found: Json = answer["Event"]
        return found
    raise DeliveryError("not-an-event", maybe_sent=True)
