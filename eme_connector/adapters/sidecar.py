"""Speak to a sidecar over its API, from a process that is not one (misp-modules)."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

from eme_connector.adapters.egress import Answer, Gate, Target
from eme_connector.errors import (
    DeliveryError,
    EmeError,
    Fault,
    InvalidMessage,
    NotAllowed,
    Unavailable,
)
from eme_connector.formats import strict_json

TIMEOUT_S = 2.5
MOST = 2_097_152
# the address is an administrator's setting; beyond his own networks it needs TLS
_PRIVATE = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
Json = dict[str, Any]


class HttpSidecar:
    """One sidecar, called with one token."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT_S) -> None:
        address = f"{url.rstrip('/')}/api/v1"
        self._target = Target(address, Gate.of(_PRIVATE), timeout=timeout, most=MOST)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def look_up(self, values: Collection[str]) -> Json:
        """Return the threats that name one of *values*.

        Raises:
            Unavailable, NotAllowed, InvalidMessage
        """
        query = urlencode([("value", one) for one in values])
        return self._read("GET", f"/lookup?{query}")

    def create(self, document: Json) -> list[Json]:
        """Store a STIX bundle or one event; return what became of each detection.

        Raises:
            Unavailable, NotAllowed, InvalidMessage
        """
        path = "/ci/threats" if document.get("type") == "bundle" else "/ci/threats/event"
        found: list[Json] = self._read("POST", path, json.dumps(document).encode())["threats"]
        return found

    def _read(self, method: str, path: str, body: bytes = b"") -> Json:
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        try:
            answer = self._target.call(method, path=path, body=body, headers=headers)
        except DeliveryError as exc:
            raise Unavailable(f"the sidecar does not answer: {exc.reason}") from exc
        finally:
            self._target.close()
        return _document(answer)


def _document(answer: Answer) -> Json:
    try:
        found = strict_json.loads(answer.body, max_bytes=MOST)
    except EmeError as exc:
        raise Unavailable("what answers there is no sidecar") from exc
    if not isinstance(found, dict):
        raise Unavailable("what answers there is no sidecar")
    if answer.status in (200, 201):
        return found
    raise _refusal(answer.status, found)


def _refusal(status: int, problem: Json) -> EmeError:
    if status in (401, 403):
        return NotAllowed(f"the sidecar refuses the token ({status})")
    faults = problem.get("errors")
    if status == 422 and isinstance(faults, list) and faults:
        return InvalidMessage(
            [Fault(str(one.get("pointer", "")), str(one.get("detail", ""))) for one in faults]
        )
    return Unavailable(f"the sidecar answers {status}: {problem.get('title', '')}")
