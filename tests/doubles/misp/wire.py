"""What one MISP says to another over HTTP, with the headers that it was seen to send."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from tests.doubles.misp.rows import Server

COMPRESS_ABOVE = 1024


class Peer:
    """A connection to the server of one entry; it is opened for one errand."""

    def __init__(self, server: Server) -> None:
        where = urlsplit(server.url)
        self._key = server.authkey
        self._connection = http.client.HTTPConnection(
            where.hostname or "", where.port or 80, timeout=20
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def head(self, path: str) -> int:
        return self._call("HEAD", path, b"", {})[0]

    def get(self, path: str) -> tuple[int, Any]:
        return self._call("GET", path, b"", {})

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        return self._call("POST", path, encode(body), headers or {})

    def _call(self, method: str, path: str, body: bytes, more: dict[str, str]) -> tuple[int, Any]:
        headers = {
            "Authorization": self._key,
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "MISP 2.5.1",
        } | more
        if len(body) > COMPRESS_ABOVE:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        self._connection.request(method, path, body or None, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError:
            return answer.status, None


def encode(body: Any) -> bytes:
    """Return a body as it is sent, which is also what a signature is made over."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
