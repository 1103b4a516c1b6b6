"""Kept sessions with a Cerebrate, and the meaning of what it answers.

Its status codes do not mean what HTTP says: 405 is a key that it does not know or a permission
that is missing, 200 may carry a refusal, and 500 is a refusal as often as it is a failure. Each
call makes a PHP session unless the cookie is kept, and only with the cookie the entries of writes
in its audit log carry our user.
"""

from __future__ import annotations

import json
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlencode

from eme_connector.adapters.egress import Answer, Gate, Target, tls_context
from eme_connector.errors import DeliveryError, EmeError
from eme_connector.formats import strict_json

MOST = 64 * 1024 * 1024
MAX_PAGE = 100
"""A `limit` beyond this is taken for this."""
_RESTARTS = 3

Json = dict[str, Any]


class Refused(DeliveryError):
    """Cerebrate answered, and it was no: `status` and its own words."""

    def __init__(self, status: int, message: str, *, reason: str | None = None) -> None:
        self.status, self.message = status, message
        super().__init__(
            reason or _reason(status, message),
            message[:200],
            permanent=status < 500,
            maybe_sent=status >= 500,
        )


class Connection:
    """Calls one Cerebrate with one key; paths are those of its REST API."""

    def __init__(
        self,
        url: str,
        key: str,
        gate: Gate,
        *,
        timeout: float,
        authority: str | None = None,
        unsafe: bool = False,
    ) -> None:
        tls = tls_context(authority, unsafe=unsafe) if authority or unsafe else None
        self.url = url.rstrip("/")
        self._target = Target(self.url, gate, timeout=timeout, most=MOST, tls=tls)
        self._key = key
        self.calls = 0
        self._cookies: dict[str, str] = {}

    def get(self, path: str, **query: object) -> Any:
        """Return what GET *path* answers.

        Raises:
            Refused, DeliveryError
        """
        return _read(self._call("GET", path, query))

    def rows(self, path: str, **query: object) -> list[Json]:
        """Return the rows of an index, all of them in one answer.

        Raises:
            Refused, DeliveryError
        """
        return _rows(_read(self._call("GET", path, query)))

    def whole(self, path: str, **query: object) -> list[Json]:
        """Return the rows of an index of which the key sees every one.

        Raises:
            Refused
            DeliveryError: `list-incomplete` when it counts others than it shows.
        """
        for _ in range(_RESTARTS):
            answer = self._call("GET", path, query)
            found = _rows(_read(answer))
            if len(found) == _total(answer):
                return found
            # it counts and lists in two steps: somebody may have added one between them
        raise DeliveryError("list-incomplete", f"{len(found)} of {_total(answer)}")

    def pages(self, path: str, *, page: int, every: bool) -> list[Json]:
        """Return the rows of an index, *page* (at most 100) at a time.

        It counts before it hides what the key may not see: a page may be short or empty with
        others to come. *every*: the key sees all, so a row that is missing is an error.

        Raises:
            Refused
            DeliveryError: `list-incomplete`, or `list-changing` when it does not stand still.
        """
        for _ in range(_RESTARTS):
            found = self._walk(path, min(page, MAX_PAGE))
            if found is None:
                continue
            rows, total = found
            if every and len(rows) != total:
                raise DeliveryError("list-incomplete", f"{len(rows)} of {total}")
            return list(rows.values())
        raise DeliveryError("list-changing", path)

    def post(self, path: str, body: Json) -> Any:
        """Return what POST *path* answers.

        Raises:
            Refused, DeliveryError
        """
        return _read(self._call("POST", path, {}, body))

    def add(self, path: str, body: Json) -> Json:
        """Return the row that POST *path* has made; a refusal is a 200 without an id.

        Raises:
            Refused, DeliveryError
        """
        found = self.post(path, body)
        if isinstance(found, dict) and "id" in found:
            return found
        raise Refused(200, _message(found))

    def edit(self, path: str, body: Json) -> Json:
        """Return the row as it stands after POST *path*; a refusal is a bare 500.

        Raises:
            Refused, DeliveryError
        """
        return self.add(path, body)

    def close(self) -> None:
        """Close what is kept."""
        self._target.close()

    def _walk(self, path: str, page: int) -> tuple[dict[int, Json], int] | None:
        """Return the rows by id and how many it counts; None when the count changed meanwhile."""
        found: dict[int, Json] = {}
        total, number = page, 0
        while number * page < total:
            number += 1
            query = {"limit": page, "page": number, "sort": "id", "direction": "asc"}
            try:
                answer = self._call("GET", path, query)
                rows = _rows(_read(answer))
            except Refused as exc:
                if exc.status == 404 and number > 1:
                    return None  # there are fewer pages now
                raise
            if number > 1 and _total(answer) != total:
                return None
            total = _total(answer)
            found |= {int(row["id"]): row for row in rows}
        return found, total

    def _call(
        self, method: str, path: str, query: dict[str, object], body: Json | None = None
    ) -> Answer:
        headers = {"Authorization": self._key, "Accept": "application/json"}
        content = b""
        if method == "POST":
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode() if body else b"{}"
        if kept := self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        self.calls += 1
        full = f"{path}?{urlencode(query)}" if query else path
        answer = self._target.call(method, path=full, body=content, headers=headers)
        self._keep_cookies(answer)
        return answer

    def _keep_cookies(self, answer: Answer) -> None:
        found = dict(self._cookies)
        for text in answer.cookies:
            try:
                found |= {name: one.value for name, one in SimpleCookie(text).items()}
            except CookieError:
                continue
        self._cookies = found


def _read(answer: Answer) -> Any:
    if "json" not in answer.headers.get("content-type", ""):
        raise Refused(answer.status if answer.status >= 300 else 502, "no JSON")
    try:
        body = strict_json.loads(answer.body, max_bytes=MOST)
    except EmeError as exc:
        raise DeliveryError("not-json", maybe_sent=True) from exc
    if not 200 <= answer.status < 300:
        raise Refused(answer.status, _message(body))
    return body


def _rows(body: Any) -> list[Json]:
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        raise DeliveryError("not-a-list")
    return body


def _total(answer: Answer) -> int:
    text = answer.headers.get("x-total-count", "")
    if not (text.isascii() and text.isdigit()):
        raise DeliveryError("not-counted", "X-Total-Count is missing")
    return int(text)


def _message(body: Any) -> str:
    found = body.get("message") if isinstance(body, dict) else None
    return found if isinstance(found, str) else ""


_WORDS = (
    ("invalid user credentials", "key-refused"),
    ("permission", "not-allowed"),
    ("cannot be linked by the current user", "not-allowed"),
)


_REASONS = {
    200: "refused",
    400: "not-understood",
    404: "not-there",
    405: "not-allowed",
    500: "failed-or-refused",
}


def _reason(status: int, message: str) -> str:
    """Return our word for a refusal."""
    text = message.lower()
    for word, reason in _WORDS:
        if word in text and status in (200, 405):
            return reason
    return _REASONS.get(status, f"http-{status}")
