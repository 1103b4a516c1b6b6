"""(f) memory: idle and under hostile input; (g) seconds to the first answer."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from bench.machine import pss_mb
from bench.world import new_world, started

STARTS, BOMBS = 5, 50
HOSTILE = {
    "deep": b"[" * 200_000 + b"]" * 200_000,
    "long-text": b'{"type":"bundle","id":"' + b"a" * 900_000 + b'"}',
    "many-keys": b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}",
}


def run(folder: Path) -> dict[str, Any]:
    """Return `ready_s`, `pss_idle_mb`, and by how much 50 hostile bodies at once raise it."""
    world = new_world(folder)
    ready = []
    for _ in range(STARTS):
        began = time.monotonic()
        with started(world, "ci"):
            ready.append(time.monotonic() - began)
    with started(world, "ci") as children:
        time.sleep(2)
        idle = pss_mb(children[0].pid)
        peak = _bombard(f"{world.url('ci')}/api/v1/ci/threats", world.tokens[world.ci],
                        children[0].pid)  # fmt: skip
    return {
        "ready_s": round(statistics.median(ready), 2),
        "ready_worst_s": round(max(ready), 2),
        "pss_idle_mb": idle,
        "pss_hostile_mb": peak,
        "pss_hostile_more_mb": round(peak - idle, 1),
    }


def _bombard(url: str, token: str, pid: int) -> float:
    """Post hostile bodies side by side; return the highest memory seen meanwhile."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(body: bytes) -> int:
        return requests.post(url, data=body, headers=headers, timeout=60).status_code

    peak = 0.0
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(post, body) for body in HOSTILE.values() for _ in range(BOMBS)]
        while not all(one.done() for one in answers):
            peak = max(peak, pss_mb(pid))
            time.sleep(0.05)
    if wrong := {one.result() for one in answers if one.result() not in (400, 413, 422)}:
        raise SystemExit(f"hostile input was answered with {wrong}")
    return peak
