"""One attempt at a delivery, and where it stands after it: no transaction in here.

What may have arrived is never sent again on a `look_first` channel; it is asked about instead:

* Found: delivered. Absent: owed again. Unknown, which is an *answer* that says nothing: asked
  again with growing pauses until `settle_s` after the first doubt, then uncertain, for a person.
* No answer at all is not Unknown: the target is down, and the settling time starts anew when it
  is back. Only `give_up_s` ends that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from eme_connector.config import Delivery as Rules
from eme_connector.domain.delivery import (
    Absent,
    Delivery,
    Found,
    Receipt,
    State,
    Unknown,
    backoff,
)
from eme_connector.errors import DeliveryError
from eme_connector.ports import Bulk, Channel

Outcome = Receipt | Found | Absent | Unknown | DeliveryError
Done = tuple[Delivery, Outcome]
LEASE_MARGIN_S = 30.0
NO_ANSWER = frozenset(
    {"unreachable", "connect-timeout", "name-unresolved", "tls", "timeout", "private-address",
     "misp-down"}
)  # fmt: skip
WHY = "detail"
"""The member of a receipt that says more about the last failure."""


class Slots(Protocol):
    """What a lease depends on; every Channel is one, and the share lane."""

    width: int
    timeout: float
    repeat: Literal["safe", "look_first"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a delivery's next state depends on besides the outcome."""

    rules: Rules
    repeat: Literal["safe", "look_first"]
    timeout: float
    now: float
    jitter: float = 0.0

    def pause(self, delivery: Delivery, least: float = 0.0) -> float:
        """Return the moment of the next attempt."""
        first, most = self.rules.retry_first_s, self.rules.retry_most_s
        wait = backoff(delivery.attempts, self.jitter, first=first, most=most)
        return self.now + max(wait, least)

    def asked_first(self, delivery: Delivery) -> float:
        """Return the earliest moment to ask: before it, `Absent` could be premature."""
        return max((delivery.sent_at or self.now) + self.timeout, self.now)

    def may_be_on_its_way(self, delivery: Delivery) -> bool:
        """Say whether the time-out of the last send has not passed yet."""
        return self.asked_first(delivery) > self.now

    def is_old(self, delivery: Delivery) -> bool:
        """Say whether it is time to give up."""
        return self.now - delivery.created_at > self.rules.give_up_s


def attempt(delivery: Delivery, channel: Channel) -> Outcome:
    """Send it, or only ask about it; the network is touched here and nowhere else."""
    try:
        return channel.look_up(delivery) if delivery.asking else channel.send(delivery)
    except DeliveryError as exc:
        return exc


def attempt_all(deliveries: list[Delivery], channel: Channel) -> list[Outcome]:
    """Send or ask about each of them, in as few calls as the channel allows."""
    if len(deliveries) > 1 and isinstance(channel, Bulk):
        return list(channel.send_many(deliveries))
    return [attempt(one, channel) for one in deliveries]


def room(channel: Slots) -> int:
    """Return how many deliveries may be under lease at once."""
    return channel.width * batch(channel)


def batch(channel: Slots) -> int:
    """Return how many deliveries one call carries."""
    return channel.batch if isinstance(channel, Bulk) else 1


def lease_seconds(channel: Slots) -> float:
    """Return how long a lease lasts: more than twice the time-out, so that no send outlives it."""
    return 2 * channel.timeout + LEASE_MARGIN_S


def is_too_late(delivery: Delivery, channel: Slots, now: float) -> bool:
    """Say whether a send that starts now could outlive its lease: it waited too long in line."""
    return now + channel.timeout >= delivery.lease_until


def start_asking(delivery: Delivery, reason: str, terms: Terms) -> Delivery:
    """Return a delivery that may have arrived, parked until it may be asked about.

    It stays `sending` so that a revision does not withdraw it, without a lease so that it holds
    up its own threat only.
    """
    asked_first = terms.asked_first(delivery)
    return replace(
        delivery,
        state=State.SENDING,
        asking=True,
        lease_until=0.0,
        settle_until=asked_first + terms.rules.settle_s,
        next_at=asked_first,
        reason=reason,
    )


def after(delivery: Delivery, outcome: Outcome, terms: Terms) -> Delivery:
    """Return the delivery as it stands after *outcome*."""
    if isinstance(outcome, DeliveryError):
        delivery = replace(delivery, receipt=_learnt(delivery, outcome))
    if isinstance(outcome, Receipt):
        return _delivered(delivery, outcome)
    if isinstance(outcome, Found):
        return _delivered(delivery, outcome.receipt)
    if isinstance(outcome, Absent):
        return _owed(delivery, "absent", terms.now)
    if isinstance(outcome, Unknown):
        return _unknown(delivery, outcome.reason or "unknown", terms)
    if delivery.asking:
        return _unanswered(delivery, outcome.reason, terms)
    return _failed(delivery, outcome, terms)


def _delivered(delivery: Delivery, receipt: Receipt) -> Delivery:
    kept = _without_why(delivery) | {"reference": receipt.reference, **receipt.detail}
    return replace(_closed(delivery, State.DELIVERED, ""), receipt=kept)


def _learnt(delivery: Delivery, error: DeliveryError) -> dict[str, Any]:
    why = {WHY: error.detail} if error.detail else {}
    return _without_why(delivery) | error.learnt | why


def _without_why(delivery: Delivery) -> dict[str, Any]:
    return {key: value for key, value in delivery.receipt.items() if key != WHY}


def _failed(delivery: Delivery, error: DeliveryError, terms: Terms) -> Delivery:
    if error.permanent and not error.maybe_sent:
        return _closed(replace(delivery, sent_at=None), State.REFUSED, error.reason)
    if error.maybe_sent and terms.repeat == "look_first":
        return start_asking(delivery, error.reason, terms)
    if terms.is_old(delivery):
        state = State.UNCERTAIN if error.maybe_sent else State.DEAD
        return _closed(delivery, state, error.reason)
    sent_at = delivery.sent_at if error.maybe_sent else None
    again = _owed(delivery, error.reason, terms.pause(delivery, error.retry_after))
    return replace(again, sent_at=sent_at)


def _unknown(delivery: Delivery, reason: str, terms: Terms) -> Delivery:
    until = terms.now if delivery.settle_until is None else delivery.settle_until
    if terms.now >= until:
        return _closed(delivery, State.UNCERTAIN, reason)
    return _ask_again(delivery, reason, min(terms.pause(delivery), until), until)


def _unanswered(delivery: Delivery, reason: str, terms: Terms) -> Delivery:
    if terms.is_old(delivery):
        return _closed(delivery, State.UNCERTAIN, reason)
    return _ask_again(delivery, reason, terms.pause(delivery), terms.now + terms.rules.settle_s)


def _ask_again(delivery: Delivery, reason: str, next_at: float, until: float) -> Delivery:
    return replace(
        delivery,
        state=State.SENDING,
        lease_until=0.0,
        next_at=next_at,
        settle_until=until,
        reason=reason,
    )


def _owed(delivery: Delivery, reason: str, next_at: float) -> Delivery:
    return replace(
        delivery,
        state=State.OWED,
        asking=False,
        lease_until=0.0,
        settle_until=None,
        next_at=next_at,
        reason=reason,
        sent_at=None,
    )


def _closed(delivery: Delivery, state: State, reason: str) -> Delivery:
    return replace(
        delivery,
        state=state,
        asking=False,
        lease_until=0.0,
        settle_until=None,
        reason=reason,
    )
