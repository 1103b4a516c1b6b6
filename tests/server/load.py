"""Detections sent without a pause, and what became of each."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import Any
from uuid import uuid4

import requests

from tests.bundles import bundle, carrier, step


class Load:
    """*threads* clients; half of them keep their connections. `failures` are not repeated."""

    def __init__(
        self, url: str, token: str, *, threads: int = 6, pause: float = 0.002, **request: Any
    ) -> None:
        self.threats: dict[str, str] = {}
        self.failures: list[str] = []
        self.seconds: list[float] = []
        self._url, self._request = f"{url}/api/v1/ci/threats", request
        self._headers = {"Authorization": f"Bearer {token}"} | request.pop("headers", {})
        self._name, self._number = uuid4().hex[:8], count(1)
        self._ending, self._pause = threading.Event(), pause
        keeps = [bool(number % 2) for number in range(threads)]
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in keeps]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, keep: bool) -> None:
        http: Any = requests.Session() if keep else requests
        while not self._ending.is_set():
            self._one(http, f"{self._name}-{next(self._number)}")
            self._ending.wait(self._pause)

    def _one(self, http: Any, number: str) -> None:
        document = bundle(carrier(iris_id=number, steps=[step(1)]))
        began = time.monotonic()
        try:
            answer = http.post(
                self._url, json=document, headers=self._headers, timeout=30, **self._request
            )
        except requests.RequestException as exc:
            self.failures.append(repr(exc))
            return
        self.seconds.append(time.monotonic() - began)
        if answer.ok:
            self.threats[number] = answer.json()["threats"][0]["id"]
        else:
            self.failures.append(f"{answer.status_code} {answer.text[:200]}")
