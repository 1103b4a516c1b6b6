"""What our people say about threats of others, put into our MISP so that it travels back."""

from __future__ import annotations

from typing import Literal

from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json, Refused
from eme_connector.domain.delivery import FEEDBACK_LANE, Delivery, Found, LookUp, Receipt
from eme_connector.domain.feedback import Feedback, Word
from eme_connector.errors import DeliveryError, InvalidInput
from eme_connector.formats.misp_event import feedback as wire


class FeedbackChannel:
    """Lane `misp-feedback`: a repeat is safe, because each answer has an id of its own."""

    lane = FEEDBACK_LANE
    repeat: Literal["safe", "look_first"] = "safe"

    def __init__(self, client: MispClient, *, timeout: float, width: int = 1) -> None:
        self.timeout, self.width = timeout, width
        self._client = client

    def send(self, delivery: Delivery) -> Receipt:
        """Add the sighting or the extending event, unless it is there, and let it travel.

        Raises:
            DeliveryError: the event is not here (any more), or an answer would not get back.
        """
        feedback = wire.parse(delivery.payload)
        base = self._client.find_event(feedback.event)
        if base is None:
            raise DeliveryError("not-in-our-misp")
        if feedback.word is Word.COMMENT:
            return self._comment(feedback, base)
        return self._sight(feedback, base)

    def look_up(self, delivery: Delivery) -> LookUp:
        """Send: what is there already is not added again.

        Raises:
            DeliveryError
        """
        return Found(self.send(delivery))

    def ping(self) -> None:
        """Raise DeliveryError unless it answers and knows our key."""
        self._client.connection.ping()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._client.connection.close()

    def _sight(self, feedback: Feedback, base: Json) -> Receipt:
        attribute = wire.to_sight(base)
        if attribute is None:
            raise DeliveryError("nothing-to-sight", permanent=True)
        if not any(one.source == feedback.source for one in wire.sightings(base)):
            body = {
                "uuid": attribute,
                "source": feedback.source,
                "type": feedback.sighting_kind,
            }
            answer = self._client.connection.post("/sightings/add", body)
            if not (isinstance(answer, dict) and "Sighting" in answer):
                # without a match MISP says 200 all the same
                raise DeliveryError("not-sighted", maybe_sent=True)
        self._client.connection.post(f"/events/publishSightings/{base['uuid']}", {})
        return Receipt(attribute, {"event": base["uuid"], "word": str(feedback.word)})

    def _comment(self, feedback: Feedback, base: Json) -> Receipt:
        try:
            event = wire.extension(feedback, base)
        except InvalidInput as exc:
            raise DeliveryError("answer-stays-here", permanent=True) from exc
        try:
            self._client.add_event(event)
        except Refused as exc:
            if exc.reason != "duplicate":
                raise
        self._client.publish(event["uuid"])
        if not self._client.is_published(event["uuid"]):
            raise DeliveryError("not-published", maybe_sent=True)
        return Receipt(event["uuid"], {"event": event["uuid"], "word": str(feedback.word)})
