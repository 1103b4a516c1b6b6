"""(f) memory: idle, with many threats, under hostile input; (g) seconds to the first answer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from bench.machine import pss_mb
from bench.world import bundle, new_world, started
from eme_connector.demo.world import World

STARTS, BOMBS, READS = 5, 50, 20
HOSTILE = {
    "deep": b"[" * 200_000 + b"]" * 200_000,
    "long-text": b'{"type":"bundle","id":"' + b"a" * 900_000 + b'"}',
    "many-keys": b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}",
}


def run(folder: Path) -> dict[str, Any]:
    """Return `ready_s`, and the memory when idle and under hostile input."""
    world = new_world(folder / "empty")
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


def when_used(world: World, pid: int) -> tuple[float, int]:
    """Read and write the running sidecar; return its memory after, and what it acknowledged."""
    paths, there = list(_reads(world)), f"{world.url('ci')}/api/v1/ci/threats"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {world.tokens[world.ci]}"
        for number, path in enumerate(paths):
            session.get(path, timeout=60).raise_for_status()
            session.post(there, json=bundle(f"memory-{number}"), timeout=60).raise_for_status()
    time.sleep(2)
    return pss_mb(pid), len(paths)


def _reads(world: World) -> Iterator[str]:
    base = f"{world.url('ci')}/api/v1/ci/threats"
    for words in ("", "&sort=risk", "&status=approved", "&keyword=alrak", "&criticality=5"):
        for _ in range(READS):
            yield f"{base}?limit=100{words}"
        yield f"{base}/aggregate"


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
