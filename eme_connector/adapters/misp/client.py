"""The calls to a MISP that the connector makes, each with its traps taken care of."""

from __future__ import annotations

from collections.abc import Callable, Collection
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
        self.sign: Callable[[bytes], str] | None = None
        """Signs what is added and edited, where events are protected by a key of ours."""
        self._me: Me | None = None

    def me(self, *, anew: bool = False) -> Me:
        """Return whose key this is; asked once, unless *anew*.

        Raises:
            DeliveryError
        """
        if self._me is None or anew:
            self._me = _me(self.connection.get("/users/view/me"))
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
        return _event(self.connection.post("/events/add", {"Event": event}, self.sign))

    def edit_event(self, uuid: str, event: Json) -> Json:
        """Replace an event of ours and return what MISP made of it; it is unpublished then."""
        return _event(self.connection.post(f"/events/edit/{uuid}", {"Event": event}, self.sign))

    def publish(self, uuid: str) -> None:
        """Ask to publish; what MISP answers is no proof of anything.

        Raises:
            Refused, DeliveryError
        """
        self.connection.post(f"/events/publish/{uuid}", {})

    def is_published(self, uuid: str) -> bool:
        """Say whether an event is published, without reading the whole of it."""
        return uuid in self.published([uuid])

    def published(self, uuids: Collection[str]) -> frozenset[str]:
        """Return which of these events are published, in one request."""
        found = self.search(uuid=sorted(uuids), metadata=True, limit=len(uuids))
        return frozenset(str(one.get("uuid")) for one in found if one.get("published"))

    def workflow_stop(self, seconds: int) -> str:
        """Return what stopped a workflow in the last *seconds*.

        Empty where nothing did, or where our key may not read it: only a site admin's may.
        """
        what = {"model": "Workflow", "action": "execute_workflow", "created": f"{seconds}s"}
        try:
            rows = self.connection.post("/logs/index", what)
        except Refused:
            return ""
        logs = [row.get("Log") or {} for row in rows or () if isinstance(row, dict)]
        titles = [" ".join(str(one.get("title", "")).split()) for one in logs]
        return next((one for one in reversed(titles) if one.startswith("Execution stopped")), "")

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
    raise DeliveryError("not-misp", "it answered without the event", maybe_sent=True)


def _me(found: Any) -> Me:
    try:
        role, organisation = found["Role"], found["Organisation"]
        return Me(
            str(found["User"]["email"]),
            str(organisation["uuid"]).lower(),
            str(organisation["name"]),
            str(role["name"]),
            frozenset(key for key, value in role.items() if key.startswith("perm_") and value),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise DeliveryError("not-misp", "it did not say whose key this is") from exc
