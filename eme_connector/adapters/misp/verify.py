"""Who has an event after it was published: asked at the receivers, where we have a key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json
from eme_connector.errors import DeliveryError, EmeError
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_group import Finding, Receiver

Status = Literal["arrived", "older", "invisible", "not-pushed", "unknown"]
WAIT_S = 4.0


@dataclass(frozen=True, slots=True)
class Member:
    """What one member of the group has: `reason` says why, where it is not *arrived*."""

    organisation: str
    status: Status
    reason: str = ""

    def document(self) -> dict[str, str]:
        """Return it without empty members."""
        return {"status": self.status} | ({"reason": self.reason} if self.reason else {})


Members = tuple[Member, ...]


class Verifier:
    """Looks at the receivers' MISPs with the keys that they gave us for it."""

    def __init__(
        self,
        clients: dict[Receiver, MispClient | None],
        *,
        wait: float = WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clients = clients
        self._wait = wait
        self._sleep = sleep

    def receivers(self) -> tuple[Receiver, ...]:
        """Return the MISPs of members that we know of."""
        return tuple(self._clients)

    def verify(
        self, uuid: str, sequence: int, members: Iterable[str], findings: Iterable[Finding]
    ) -> Members:
        """Return what each of *members* (organisation uuids) has of the event.

        An event that is on its way is waited for, a few seconds in all.
        """
        why = {one.who: one.code for one in findings if one.who}
        until = time.monotonic() + self._wait
        return tuple(
            self._one(organisation, uuid, sequence, why.get(organisation, ""), until)
            for organisation in sorted(members)
        )

    def close(self) -> None:
        """Close the connections that are kept."""
        for client in self._clients.values():
            if client is not None:
                client.connection.close()

    def _one(self, organisation: str, uuid: str, sequence: int, why: str, until: float) -> Member:
        client = next(
            (one for known, one in self._clients.items() if known.organisation == organisation),
            None,
        )
        if client is None:
            return Member(organisation, "unknown", why or "no-key")
        pause = 0.05
        while True:
            seen = _look(client, organisation, uuid, sequence, why)
            if seen.status in ("arrived", "unknown") or why or time.monotonic() >= until:
                return seen
            self._sleep(pause)
            pause = min(0.5, pause * 2)


def _look(client: MispClient, organisation: str, uuid: str, sequence: int, why: str) -> Member:
    try:
        event = client.find_event(uuid)
    except DeliveryError as exc:
        return Member(organisation, "unknown", exc.reason)
    if event is None:
        return Member(organisation, "not-pushed", why or "not-seen-there")
    if str(event.get("distribution")) == "0":
        return Member(organisation, "invisible", "distribution-0")
    if _sequence(event) < sequence:
        return Member(organisation, "older", "not-updated-there")
    return Member(organisation, "arrived")


def _sequence(event: Json) -> int:
    try:
        return misp_event.parse(event).sequence
    except EmeError:
        return 0
