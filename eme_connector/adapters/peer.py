"""Another sidecar of the sharing group: signed messages out, signed receipts back."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from typing import Literal

from eme_connector.adapters.egress import Gate, Target
from eme_connector.adapters.webhook import USER_AGENT, retry_after
from eme_connector.domain.accounts import Peer
from eme_connector.domain.delivery import Delivery, LookUp, Receipt, Unknown
from eme_connector.errors import DeliveryError, EmeError
from eme_connector.formats import eme_message
from eme_connector.ports import Clock, Signer

PATH = "/api/v1/synchronization/eme/threat"
CONFIRMATION = "/api/v1/peers/handshakes/confirmation"
MEDIA = "application/jose"
TIMEOUT_S = 15.0
WIDTH = 4
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
        self._target = Target(peer.url, gate, timeout=TIMEOUT_S, keep=WIDTH)

    def send(self, delivery: Delivery) -> Receipt:
        """Send it: POST while the threat is new to the group, PATCH later.

        Raises:
            DeliveryError: `permanent` only for what sending again cannot mend. A peer that does
                not know us yet (401), or not as a member (403), may be told by its people.
        """
        content = eme_message.with_id(delivery.payload, delivery.key)
        jws = self._signer.sign(content, issued_at=self._clock())
        answer = self._target.call(
            "POST" if eme_message.is_first(delivery.payload) else "PATCH",
            path=PATH,
            body=jws.encode("ascii"),
            headers={"Content-Type": MEDIA, "Accept": MEDIA, "User-Agent": USER_AGENT},
        )
        if not 200 <= answer.status < 300:
            raise DeliveryError(
                _reason(answer.status),
                permanent=answer.status in _REFUSED,
                maybe_sent=answer.status >= 500,
                retry_after=retry_after(answer),
            )
        return self._check(answer.body, delivery)

    def look_up(self, delivery: Delivery) -> LookUp:
        """Say nothing: a repeat is safe, so nobody needs to ask."""
        return Unknown("no-look-up")

    def ping(self) -> None:
        """Raise DeliveryError unless a connection can be made."""
        self._target.ping()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._target.close()

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


def _reason(status: int) -> str:
    return {401: "not-peered-there", 403: "not-a-member-there"}.get(status, f"http-{status}")
