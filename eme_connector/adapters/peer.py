"""Another sidecar of the sharing group: signed messages out, signed receipts back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Literal

from eme_connector.adapters.egress import Answer, Gate, Target
from eme_connector.adapters.webhook import USER_AGENT, retry_after
from eme_connector.domain.accounts import Peer
from eme_connector.domain.delivery import Delivery, LookUp, Receipt, Unknown
from eme_connector.errors import DeliveryError, EmeError
from eme_connector.formats import eme_message
from eme_connector.ports import Clock, Signer

PATH = "/api/v1/synchronization/eme/threat"
PATH_MANY = f"{PATH}s"
CONFIRMATION = "/api/v1/peers/handshakes/confirmation"
MEDIA = "application/jose"
TIMEOUT_S = 15.0
WIDTH = 4
BATCH = 64
_REFUSED = frozenset({400, 405, 406, 409, 410, 411, 413, 415, 422})


class PeerChannel:
    """Lane `peer:ORGANISATION`: the content is fixed, the signature is made at each attempt."""

    repeat: Literal["safe", "look_first"] = "safe"

    def __init__(self, peer: Peer, signer: Signer, gate: Gate, *, clock: Clock = time.time) -> None:
        self.lane = f"peer:{peer.organisation}"
        self.width = WIDTH
        self.timeout = TIMEOUT_S
        self._peer = peer
        self._signer = signer
        self._clock = clock
        self.batch = BATCH
        self._target = Target(peer.url, gate, timeout=TIMEOUT_S, keep=WIDTH)

    def send(self, delivery: Delivery) -> Receipt:
        """Send it: POST while the threat is new to the group, PATCH later.

        Raises:
            DeliveryError: `permanent` only for what sending again cannot mend. A peer that does
                not know us yet (401), or not as a member (403), may be told by its people.
        """
        first = eme_message.is_first(delivery.payload)
        answer = self._call("POST" if first else "PATCH", PATH, self._signed(delivery))
        return self._check(answer.body, delivery)

    def send_many(self, deliveries: Sequence[Delivery]) -> list[Receipt | DeliveryError]:
        """Send them in one call; a peer that does not know how gets them one by one."""
        try:
            body = "\n".join(self._signed(one) for one in deliveries)
            answer = self._call("POST", PATH_MANY, body)
            answers = eme_message.parse_answers(answer.body, len(deliveries))
        except DeliveryError as exc:
            if exc.reason not in ("http-404", "http-405"):
                return [exc] * len(deliveries)
            self.batch = 1
            return [_tried(partial(self.send, one)) for one in deliveries]
        except EmeError:
            return [DeliveryError("receipt-invalid", maybe_sent=True)] * len(deliveries)
        pairs = zip(answers, deliveries, strict=True)
        return [_tried(partial(self._answered, answer, one)) for answer, one in pairs]

    def look_up(self, delivery: Delivery) -> LookUp:
        """Say nothing: a repeat is safe, so nobody needs to ask."""
        return Unknown("no-look-up")

    def ping(self) -> None:
        """Raise DeliveryError unless a connection can be made."""
        self._target.ping()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._target.close()

    def _answered(self, answer: str | int, delivery: Delivery) -> Receipt:
        if isinstance(answer, int):
            raise _refused(answer)
        return self._check(answer.encode(), delivery)

    def _signed(self, delivery: Delivery) -> str:
        content = eme_message.with_id(delivery.payload, delivery.key)
        return self._signer.sign(content, issued_at=self._clock())

    def _call(self, method: str, path: str, body: str) -> Answer:
        headers = {"Content-Type": MEDIA, "Accept": MEDIA, "User-Agent": USER_AGENT}
        answer = self._target.call(method, path=path, body=body.encode("ascii"), headers=headers)
        if not 200 <= answer.status < 300:
            raise _refused(answer.status, retry_after(answer))
        return answer

    def _check(self, body: bytes, delivery: Delivery) -> Receipt:
        """Take as received only what the peer itself signed for this very message."""
        try:
            verified = self._signer.verify(body.decode("ascii").strip(), self._peer.certificate)
            receipt = eme_message.parse_receipt(verified.payload)
        except (EmeError, UnicodeDecodeError) as exc:
            raise DeliveryError("receipt-invalid", maybe_sent=True) from exc
        if (receipt.message, receipt.threat) != (delivery.key, delivery.threat_id):
            raise DeliveryError("receipt-of-another", maybe_sent=True)
        detail = {"stored": receipt.stored, "sequence": receipt.sequence}
        return Receipt(receipt.message, detail)


def introduce(url: str, confirmation: str, private_networks: Iterable[str]) -> str:
    """Send the last step of a handshake and return the receipt, whose signature is not checked.

    Raises:
        DeliveryError
    """
    target = Target(url, Gate.of(private_networks), timeout=TIMEOUT_S)
    headers = {"Content-Type": MEDIA, "Accept": MEDIA, "User-Agent": USER_AGENT}
    with closing(target):
        answer = target.call(
            "POST", path=CONFIRMATION, body=confirmation.encode("ascii"), headers=headers
        )
    if not 200 <= answer.status < 300:
        raise DeliveryError(_reason(answer.status), "the peer did not take our confirmation")
    return answer.body.decode("ascii", "replace").strip()


def _tried(send: Callable[[], Receipt]) -> Receipt | DeliveryError:
    try:
        return send()
    except DeliveryError as exc:
        return exc


def _refused(status: int, pause: float = 0.0) -> DeliveryError:
    return DeliveryError(
        _reason(status),
        permanent=status in _REFUSED,
        maybe_sent=status >= 500,
        retry_after=pause,
    )


def _reason(status: int) -> str:
    return {401: "not-peered-there", 403: "not-a-member-there"}.get(status, f"http-{status}")
