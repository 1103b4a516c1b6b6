"""An orchestrator that takes approved playbooks as Standard Webhooks."""

from __future__ import annotations

import json
import time
from typing import Any, Literal

from eme_connector.adapters.egress import Answer, Gate, Target
from eme_connector.config import Orchestrator
from eme_connector.domain.delivery import Absent, Delivery, Found, LookUp, Receipt, Unknown
from eme_connector.errors import ConfigError, DeliveryError
from eme_connector.formats import standard_webhooks
from eme_connector.ports import Clock

USER_AGENT = "eme-connector"
_LONGEST_WAIT = 3600.0
_LONGEST_REFERENCE = 200


class WebhookChannel:
    """Lane `orchestrator:NAME`: one POST per delivery, signed anew at each attempt."""

    def __init__(self, one: Orchestrator, gate: Gate, *, clock: Clock = time.time) -> None:
        self.lane = f"orchestrator:{one.name}"
        self.width = one.width
        self.timeout = one.timeout_s
        self.repeat: Literal["safe", "look_first"] = "safe" if one.idempotent else "look_first"
        self._clock = clock
        self._keys = _secrets(one)
        self._target = Target(one.url, gate, timeout=one.timeout_s, keep=one.width)
        self._look_up = one.look_up_url and Target(
            one.look_up_url, gate, timeout=one.timeout_s, keep=one.width
        )

    def send(self, delivery: Delivery) -> Receipt:
        """Post the approved playbook; a 2xx is its receipt.

        Raises:
            DeliveryError: see `judge` for what an answer means.
        """
        headers = self._headers(delivery.key, delivery.payload) | {
            "Content-Type": "application/json",
            "Idempotency-Key": delivery.key,
        }
        answer = self._target.call("POST", body=delivery.payload, headers=headers)
        judge(answer)
        return Receipt(_reference(answer), {"status": answer.status})

    def look_up(self, delivery: Delivery) -> LookUp:
        """Ask whether it has arrived: 200 it has, 404 surely not, anything else says nothing.

        Raises:
            DeliveryError: there was no answer at all.
        """
        if not self._look_up:
            return Unknown("no-look-up")
        try:
            answer = self._look_up.call(
                "GET", path=f"/{delivery.key}", headers=self._headers(delivery.key, b"")
            )
        except DeliveryError as exc:
            if exc.reason == "redirect-refused":
                return Unknown(exc.reason)
            raise
        if answer.status == 200:
            return Found(Receipt(_reference(answer), {"status": answer.status}))
        return Absent() if answer.status == 404 else Unknown(f"http-{answer.status}")

    def ping(self) -> None:
        """Raise DeliveryError unless a connection can be made."""
        self._target.ping()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._target.close()
        if self._look_up:
            self._look_up.close()

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        signed = standard_webhooks.headers(self._keys, key, self._clock(), body)
        return signed | {"User-Agent": USER_AGENT, "Accept": "application/json"}


def judge(answer: Answer) -> None:
    """Return for a 2xx, else raise what the status means.

    * 425, 429: surely not taken; again, after Retry-After where it says so.
    * 408, 409: it may have it: some time out or find the key in use although they act.
    * 5xx: it may have acted before it failed.
    * any other 4xx: refused for good; a person has to mend it and retry.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    raise DeliveryError(
        f"http-{status}",
        permanent=400 <= status < 500 and status not in (408, 409, 425, 429),
        maybe_sent=status in (408, 409) or not 400 <= status < 500,
        retry_after=retry_after(answer),
    )


def retry_after(answer: Answer) -> float:
    """Return the seconds that the answer asks us to wait, at most an hour; 0 when it does not.

    The form with a date is not taken: it would trust the other side's clock.
    """
    text = answer.headers.get("retry-after", "").strip()
    return min(float(text), _LONGEST_WAIT) if text.isascii() and text.isdigit() else 0.0


def _reference(answer: Answer) -> str:
    """Return the `id` that the receiver gives it, where it says one."""
    try:
        found: Any = json.loads(answer.body) if len(answer.body) <= 65_536 else None
    except (ValueError, RecursionError):
        return ""
    name = found.get("id") if isinstance(found, dict) else None
    return name[:_LONGEST_REFERENCE] if isinstance(name, str) and name.isprintable() else ""


def _secrets(one: Orchestrator) -> tuple[bytes, ...]:
    try:
        return standard_webhooks.secrets(one.secret.get_secret_value())
    except ValueError as exc:
        raise ConfigError([f"orchestrators.{one.name}.secret: {exc}"]) from exc
