"""A person at a browser: logged in, with a live page open."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import requests

from tests.faults.sidecar import PASSWORD


class Person:
    """Logs in at *url*; `get` and `call` are as the pages' scripts do."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.http = url, requests.Session()
        answer = self.http.post(
            f"{url}/api/v1/session", json={"name": name, "password": PASSWORD}, timeout=20
        )
        answer.raise_for_status()
        self.http.headers["X-CSRFToken"] = answer.json()["csrf_token"]

    def get(self, path: str, **how: Any) -> requests.Response:
        return self.http.get(self.url + path, timeout=20, **how)


class Stream(threading.Thread):
    """An open live page: the threats it was told of, and when."""

    def __init__(self, person: Person) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self.foreign: list[str] = []
        self.ended = False
        self._person = person
        self._answer = person.get("/live", params={"after": 0}, stream=True)
        assert self._answer.status_code == 200, self._answer.text
        self.port: int = self._answer.raw.connection.sock.getsockname()[1]
        self.start()

    def run(self) -> None:
        try:
            for line in self._answer.iter_lines(chunk_size=1):
                if line.startswith(b'data: {"id"'):
                    threat = json.loads(line[6:])["threat"]
                    self.seen.setdefault(threat, time.monotonic())
        except requests.RequestException:
            pass
        self.ended = True

    def close(self) -> None:
        self._answer.close()
