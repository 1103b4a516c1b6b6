"""The demo's receiver of playbooks: it checks the signature, remembers, runs nothing.

Usage: python -m eme_connector.demo.receiver SETTINGS.json. It answers `succeeded` for every step,
so that the whole way can be seen. It is not an orchestrator.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from eme_connector.errors import EmeError
from eme_connector.formats import standard_webhooks

TRIES = 20


class Memory:
    """What was received, kept in a file of JSON lines: key, threat and digest."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        lines = path.read_text().splitlines() if path.exists() else []
        self._known = {one["key"]: one for one in map(json.loads, lines)}

    def keep(self, one: dict[str, str]) -> bool:
        """Remember *one*; False when its key was here before."""
        with self._lock:
            if one["key"] in self._known:
                return False
            with self._path.open("a") as file:
                file.write(json.dumps(one) + "\n")
            self._known[one["key"]] = one
            return True

    def all(self) -> list[dict[str, str]]:
        """Return everything, oldest first."""
        with self._lock:
            return list(self._known.values())

    def has(self, key: str) -> bool:
        """Say whether *key* was received."""
        return key in self._known


class Receiver(ThreadingHTTPServer):
    """The server and what it was told in its settings."""

    daemon_threads = True

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.keys = standard_webhooks.secrets(settings["secret"])
        self.memory = Memory(Path(settings["folder"]) / "received.jsonl")
        super().__init__(("127.0.0.1", settings["port"]), _Handler)

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Check and remember a playbook, then say how it went.

        Raises:
            EmeError: the signature does not hold.
        """
        key = standard_webhooks.verify(self.keys, headers, body, now=time.time())
        found = json.loads(body)
        one = {"key": key, "threat": found["threat_id"], "digest": found["digest"]}
        if self.memory.keep(one):
            threading.Thread(target=self._report, args=(key, found), daemon=True).start()

    def _report(self, key: str, found: dict[str, Any]) -> None:
        steps = [step["id"] for book in found["playbook"]["playbooks"] for step in book["steps"]]
        for status in ("ongoing", "succeeded"):
            body = {
                "delivery": key,
                "digest": found["digest"],
                "status": status,
                "steps": [{"id": step, "status": status} for step in steps],
            }
            self._post(found, json.dumps(body).encode())
            time.sleep(0.2)

    def _post(self, found: dict[str, Any], body: bytes) -> None:
        url = f"{self.settings['sidecar']}/api/v1/ci/threats/{found['threat_id']}/playbook/results"
        token = self.settings["tokens"].get(found["organisation"], "")
        for _ in range(TRIES):
            signed = standard_webhooks.headers(self.keys, str(uuid4()), time.time(), body)
            headers = signed | {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            }
            try:
                answer = requests.post(url, data=body, headers=headers, timeout=10)
            except requests.RequestException:
                answer = None
            if answer is not None and answer.status_code < 500:
                return
            time.sleep(0.5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        try:
            self.server.take({k.lower(): v for k, v in self.headers.items()}, body)
        except (EmeError, ValueError, KeyError):
            self._answer(401, {"error": "the signature does not hold"})
        else:
            self._answer(202, {"taken": True})

    def do_GET(self) -> None:
        key = self.path.removeprefix("/playbooks").strip("/")
        if not key:
            self._answer(200, self.server.memory.all())
        else:
            self._answer(200 if self.server.memory.has(key) else 404, {})

    def log_message(self, *_: object) -> None:
        return

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Receiver(json.loads(Path(sys.argv[1]).read_text())).serve_forever()
