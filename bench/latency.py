"""(c) POST → visible on the CERT's API, (e) detection → automatic dispatch at the receiver."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from bench.machine import slow_disk
from bench.openloop import Waited
from bench.world import bundle, new_world, started
from eme_connector.demo.processes import free_port
from eme_connector.demo.world import World

GIVE_UP_S = 30.0


class Receiver(ThreadingHTTPServer):
    """Takes playbooks and notes when each threat's arrived."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_port()), _Handler)
        self.arrived: dict[str, float] = {}
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Note the arrival and answer 202."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.arrived.setdefault(json.loads(body)["threat_id"], time.monotonic())
        self.send_response(202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def run(folder: Path, *, walks: int) -> dict[str, Any]:
    """Return both latencies, and the first also with 1 ms more for each flush."""
    found = _walk(folder / "plain", walks, None)
    slow = slow_disk(folder)
    slowed = _walk(folder / "slow", walks, slow) if slow else {}
    return found | {f"{name}_slow_fsync": slowed.get(name) for name in found}


def _walk(folder: Path, walks: int, env: dict[str, str] | None) -> dict[str, Any]:
    receiver = Receiver()
    world = new_world(folder, lambda tree: _to(tree, receiver.server_port))
    visible, dispatched = Waited(), Waited()
    try:
        with started(world, "cert", "ci", env=env), requests.Session() as session:
            _one(world, session, receiver, "warm", Waited(), Waited())
            for number in range(walks):
                _one(world, session, receiver, f"walk-{number}", visible, dispatched)
    finally:
        receiver.shutdown()
        receiver.server_close()
    return {
        "visible_p50_ms": visible.percentile(50),
        "visible_p99_ms": visible.percentile(99),
        "dispatch_p50_ms": dispatched.percentile(50),
        "dispatch_p95_ms": dispatched.percentile(95),
    }


def _one(
    world: World,
    session: requests.Session,
    receiver: Receiver,
    iris_id: str,
    visible: Waited,
    dispatched: Waited,
) -> None:
    ours = {"Authorization": f"Bearer {world.tokens[world.ci]}"}
    theirs = {"Authorization": f"Bearer {world.cert_token}"}
    began = time.monotonic()
    url = f"{world.url('ci')}/api/v1/ci/threats"
    answer = session.post(url, json=bundle(iris_id), headers=ours, timeout=10)
    threat = answer.json()["threats"][0]["id"]
    there = f"{world.url('cert')}/api/v1/cert/threats/{threat}"
    while session.get(there, headers=theirs, timeout=5).status_code != 200:
        if time.monotonic() - began > GIVE_UP_S:
            raise SystemExit("a threat did not become visible at the CERT within 30 s")
        time.sleep(0.002)
    visible.ms.append((time.monotonic() - began) * 1000)
    while threat not in receiver.arrived and time.monotonic() - began < GIVE_UP_S:
        time.sleep(0.001)
    dispatched.ms.append((receiver.arrived[threat] - began) * 1000)


def _to(tree: dict[str, Any], port: int) -> None:
    orchestrator = tree["orchestrators"][0]
    orchestrator["url"] = f"http://127.0.0.1:{port}/playbooks"
    del orchestrator["look_up_url"]
