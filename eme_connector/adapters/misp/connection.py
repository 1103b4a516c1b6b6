"""Kept sessions with a MISP, and the meaning of what it answers.

An API key costs MISP 36 ms of bcrypt at each request unless the session is kept
(`Security.authkey_keep_session`), so each thread keeps its cookie. PHP lets one request of a
session wait for another, so threads share none.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from eme_connector.adapters.egress import Answer, Gate, Target, tls_context
from eme_connector.adapters.webhook import retry_after
from eme_connector.errors import DeliveryError, EmeError
from eme_connector.formats import strict_json

MOST = 32 * 1024 * 1024
AGENT = "MISP EME connector"
"""Agents that start with MISP get answers without indentation."""
_FOR_GOOD = frozenset(
    {"blocklisted", "duplicate", "event-not-ours", "misp-invalid", "signature-refused"}
)
"""Refusals that time does not mend: a person has to do something and send again."""

Json = dict[str, Any]


class Refused(DeliveryError):
    """MISP answered, and it was no: `status` and its own words."""

    def __init__(self, status: int, message: str, *, retry_after: float = 0.0) -> None:
        self.status = status
        reason = reason_of(status, message)
        super().__init__(
            reason,
            message[:200],
            permanent=reason in _FOR_GOOD,
            # a 500 may come after half of the event was stored
            maybe_sent=status >= 500,
            retry_after=retry_after,
        )


class Connection:
    """Calls one MISP with one key."""

    def __init__(
        self,
        url: str,
        key: str,
        gate: Gate,
        *,
        timeout: float,
        keep: int = 4,
        authority: str | None = None,
        unsafe: bool = False,
    ) -> None:
        tls = tls_context(authority, unsafe=unsafe) if authority or unsafe else None
        self._target = Target(url, gate, timeout=timeout, keep=keep, most=MOST, tls=tls)
        self._key = key
        self._kept = threading.local()

    def get(self, path: str) -> Any:
        """Return what GET *path* answers.

        Raises:
            Refused, DeliveryError
        """
        return self._read(self._call("GET", path))

    def get_signed(self, path: str) -> tuple[Any, bytes, str | None]:
        """Return what GET *path* answers, its bytes, and MISP's signature over them, if any.

        Raises:
            Refused, DeliveryError
        """
        answer = self._call("GET", path)
        return self._read(answer), answer.body, answer.headers.get("x-pgp-signature")

    def find(self, path: str) -> Any | None:
        """Return what GET *path* answers, None where it is not there (or not for us)."""
        try:
            return self.get(path)
        except Refused as exc:
            if exc.reason == "not-there":
                return None
            raise

    def post(
        self, path: str, body: Json | list[str], sign: Callable[[bytes], str] | None = None
    ) -> Any:
        """Return what POST *path* answers; *sign* makes MISP's signature of the body.

        Raises:
            Refused, DeliveryError
        """
        data = json.dumps(body).encode()
        more = {"x-pgp-signature": sign(data)} if sign else {}
        return self._read(self._call("POST", path, data, more))

    def date(self) -> str:
        """Return MISP's own clock as its answers tell it (the Date header), or an empty text.

        Raises:
            DeliveryError
        """
        return self._call("GET", "/servers/getVersion").headers.get("date", "")

    def ping(self) -> None:
        """Raise DeliveryError unless it answers and knows our key."""
        self.get("/servers/getVersion")

    def close(self) -> None:
        """Close what is kept."""
        self._target.close()

    def _call(
        self, method: str, path: str, body: bytes = b"", more: Mapping[str, str] | None = None
    ) -> Answer:
        headers = {
            "Authorization": self._key,
            # without it MISP shows the login page
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": AGENT,
            **(more or {}),
        }
        if cookie := getattr(self._kept, "cookie", ""):
            headers["Cookie"] = cookie
        answer = self._target.call(method, path=quote(path), body=body, headers=headers)
        self._keep_cookies(answer)
        return answer

    def _keep_cookies(self, answer: Answer) -> None:
        kept: dict[str, str] = getattr(self._kept, "all", {})
        for text in answer.cookies:
            try:
                kept |= {name: one.value for name, one in SimpleCookie(text).items()}
            except CookieError:
                continue
        self._kept.all = kept
        self._kept.cookie = "; ".join(f"{name}={value}" for name, value in kept.items())

    def _read(self, answer: Answer) -> Any:
        if answer.status >= 502:
            raise DeliveryError("misp-down", str(answer.status), maybe_sent=True)
        if "json" not in answer.headers.get("content-type", "") and answer.status != 500:
            raise DeliveryError("not-misp", f"{answer.status} without JSON", maybe_sent=True)
        try:
            body = strict_json.loads(answer.body, max_bytes=MOST)
        except EmeError as exc:
            reason = "misp-500" if answer.status == 500 else "not-misp"
            raise DeliveryError(reason, "no JSON", maybe_sent=True) from exc
        if not 200 <= answer.status < 300:
            raise Refused(answer.status, _message(body), retry_after=retry_after(answer))
        return body


def _message(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    said = [body.get("message") or body.get("name") or "", body.get("errors") or ""]
    return " ".join(one if isinstance(one, str) else json.dumps(one) for one in said).strip()


_WORDS = (
    ("authentication failed", "key-refused"),
    ("auth key from your ip", "key-refused"),
    ("blocklist", "blocklisted"),
    ("already exists, if you would", "duplicate"),
    ("exist or you do not have permission", "not-there"),
    ("invalid event", "not-there"),
    ("invalid sharing group", "sharing-group-refused"),
    ("not newer than", "not-newer"),
    ("same organisation as the original creator", "event-not-ours"),
    ("protected event", "signature-refused"),
    ("failed_servers", "push-failed"),
    ("module failure", "blocked-by-workflow"),
    ("could not add event", "misp-invalid"),
    ("could not edit event", "misp-invalid"),
    ("not authorised", "not-allowed"),
    ("permission", "not-allowed"),
)


def reason_of(status: int, message: str) -> str:
    """Return our word for a refusal; MISP's codes do not mean what HTTP says."""
    if status == 500:
        return "misp-500"
    text = message.lower()
    return next((reason for word, reason in _WORDS if word in text), f"http-{status}")
