"""A client that goes on through outages and keeps its own log of what was acknowledged."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.bundles import bundle, carrier, step
from tests.faults.sidecar import PASSWORD

RETRY_S = 0.05
COVERED, ASKED_YES, ASKED_NO = "covered", "approved", "declined"


@dataclass
class Log:
    """What was answered 2xx: iris_id -> threat id, threat id -> the decision made."""

    ingested: dict[int, str] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def operations(self) -> int:
        with self.lock:
            return len(self.ingested) + len(self.decided)

    def approved(self) -> set[str]:
        return {threat for threat, word in self.decided.items() if word != ASKED_NO}


class Client:
    """Ingests *count* bundles, a third each covered by policy, approved and declined."""

    def __init__(self, url: str, token: str, name: str, count: int, threads: int = 4) -> None:
        self.log = Log()
        self.problems: list[str] = []
        self._url, self._token, self._name = url, token, name
        self._todo: queue.Queue[int] = queue.Queue()
        for number in range(count):
            self._todo.put(number)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(120)

    def _work(self) -> None:
        person = _Person(self._url, self._name)
        while True:
            try:
                number = self._todo.get_nowait()
            except queue.Empty:
                return
            try:
                self._one(number, person)
            except Exception as exc:
                self.problems.append(f"{number}: {exc!r}")

    def _one(self, number: int, person: _Person) -> None:
        wish = (COVERED, ASKED_YES, ASKED_NO)[number % 3]
        action = "Isolate Host" if wish == COVERED else "Shutdown host"
        document = bundle(carrier(iris_id=number, steps=[step(1, action)], policies=None))
        threat = self._ingest(document)
        with self.log.lock:
            self.log.ingested[number] = threat
            if wish == COVERED:
                self.log.decided[threat] = COVERED
        if wish != COVERED:
            person.decide(threat, wish)
            with self.log.lock:
                self.log.decided[threat] = wish

    def _ingest(self, document: dict[str, Any]) -> str:
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = _insist(
            lambda: requests.post(
                f"{self._url}/api/v1/ci/threats", json=document, headers=headers, timeout=20
            )
        )
        found: str = answer.json()["threats"][0]["id"]
        return found


class _Person:
    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self._http = requests.Session()
        self._csrf = ""

    def decide(self, threat: str, status: str) -> None:
        path = f"{self._url}/api/v1/ci/threats/{threat}/playbook"
        seen = _insist(lambda: self._read(path))
        tag = seen.headers["ETag"]
        _insist(lambda: self._write(path, status, tag))

    def _read(self, path: str) -> requests.Response:
        if not self._csrf:
            self._log_in()
        return self._http.get(path, timeout=20)

    def _write(self, path: str, status: str, tag: str) -> requests.Response:
        return self._http.put(
            path,
            json={"status": status},
            headers={"If-Match": tag, "X-CSRFToken": self._csrf},
            timeout=20,
        )

    def _log_in(self) -> None:
        answer = self._http.post(
            f"{self._url}/api/v1/session",
            json={"name": self._name, "password": PASSWORD},
            timeout=20,
        )
        answer.raise_for_status()
        self._csrf = answer.json()["csrf_token"]


def _insist(call: Any, seconds: float = 60.0) -> requests.Response:
    """Repeat *call* through refused connections and 503; any other answer but 2xx is a fault."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            answer: requests.Response = call()
        except requests.HTTPError:
            raise
        except requests.RequestException:
            time.sleep(RETRY_S)
            continue
        if answer.ok:
            return answer
        if answer.status_code not in (502, 503):
            raise AssertionError(f"{answer.status_code} {answer.text[:300]}")
        time.sleep(RETRY_S)
    raise AssertionError("no answer within a minute")
