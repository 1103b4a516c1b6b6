"""A look into a member's MISP: has the event arrived there, and can its people read it?

Only a look tells: MISP says "published" whether or not anybody receives the event. Nothing is
ever written there.
"""

from __future__ import annotations

from typing import Literal

from eme_connector.adapters.misp.channel import Source, Told
from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json
from eme_connector.domain.arrival import check_lane
from eme_connector.domain.delivery import Delivery, Found, LookUp, Receipt
from eme_connector.errors import DeliveryError
from eme_connector.formats import misp_group
from eme_connector.formats.misp_event import compare
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event.event import Rendering
from eme_connector.formats.misp_group import Finding, Receiver

PATIENCE = 11
"""Doublings of the pause after a look that found nothing: up to half an hour."""


class MispCheck:
    """Lane `misp:ORGANISATION`: looks with the key that the member gave us for it."""

    repeat: Literal["safe", "look_first"] = "safe"

    def __init__(
        self,
        receiver: Receiver,
        there: MispClient,
        here: MispClient,
        source: Source,
        *,
        our_url: str,
        timeout: float,
        width: int = 2,
    ) -> None:
        self.lane = check_lane(receiver.organisation)
        self.timeout = timeout
        self.width = width
        self._receiver = receiver
        self._there = there
        self._here = here
        self._source = source
        self._our_url = our_url

    def send(self, delivery: Delivery) -> Receipt:
        """Look; a receipt means that it has arrived and can be read.

        Raises:
            DeliveryError: it has not, or not as it should; `permanent` where only a person can
                mend that. A retry sends the event anew.
        """
        told = self._source(delivery.threat_id, delivery.organisation)
        if told is None:
            raise DeliveryError("no-threat", permanent=True)
        uuid = misp_event.event_uuid(delivery.threat_id)
        event = self._there.find_event(uuid)
        if event is None:
            raise self._not_there(told, delivery)
        if str(event.get("distribution")) == "0":
            why = self._why(told)
            raise DeliveryError("hidden-there", why.detail if why else "", permanent=True)
        sequence = misp_event.sequence_of(event)
        if sequence < delivery.sequence and event.get("Object"):
            raise DeliveryError("not-updated-there", retry_after=_pause(delivery))
        self._compare(event, told, sequence)
        note = self._judge_group(event.get("SharingGroup") or {}, told)
        return Receipt(uuid, {"sequence": sequence, "note": note})

    def look_up(self, delivery: Delivery) -> LookUp:
        """Look: a send here is nothing but a look.

        Raises:
            DeliveryError
        """
        return Found(self.send(delivery))

    def ping(self) -> None:
        """Raise DeliveryError unless it answers and knows the key."""
        self._there.connection.ping()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._there.connection.close()

    def _not_there(self, told: Told, delivery: Delivery) -> DeliveryError:
        why = self._why(told)
        if why is not None:
            return DeliveryError(why.code, why.detail, permanent=True)
        return DeliveryError("not-seen-there", retry_after=_pause(delivery))

    def _compare(self, event: Json, told: Told, sequence: int) -> None:
        """Miss what left us and is not there, where it shows the state that we have now."""
        if sequence not in (0, told.threat.sequence):
            return
        sent = compare.as_told(misp_event.render(told.threat, Rendering(told.organisation)))
        if lost := compare.losses(sent, event).dropped:
            names = ", ".join(dict.fromkeys(lost))[:200]
            raise DeliveryError("dropped-there", names, permanent=True)

    def _why(self, told: Told) -> Finding | None:
        """Return what our own group says about why this member does not have it."""
        wanted, one = told.group, self._receiver
        answer = self._here.find_group(wanted.uuid) if wanted else None
        if wanted is None or answer is None:
            return None
        held = misp_group.parse(answer, self._our_url)
        me = self._here.me().organisation
        findings = misp_group.lint(held, wanted, me, self._our_url, [one])
        mine = (f for f in findings if f.who == one.organisation and f.code != "may-extend")
        return next(mine, None)

    def _judge_group(self, copy: Json, told: Told) -> str:
        """Return what is worth a note about the copy of the group there.

        Raises:
            DeliveryError: it keeps members from reading, or lets others read.
        """
        if not copy or told.group is None:
            return ""
        there = misp_group.parse(copy, self._receiver.url)
        wanted = told.group.members | {self._here.me().organisation}
        if outside := there.members - wanted:
            raise DeliveryError("group-wider-there", ", ".join(sorted(outside)), permanent=True)
        if missing := wanted - there.members:
            raise DeliveryError("group-stale-there", ", ".join(sorted(missing)), permanent=True)
        knows_us = there.roaming or self._our_url in {one.url for one in there.servers}
        return "" if knows_us else "no-way-back"


def _pause(delivery: Delivery) -> float:
    return float(2 ** min(delivery.attempts, PATIENCE)) if delivery.attempts > 4 else 0.0
