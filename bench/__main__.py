"""`make bench`: accept rate beside the hello floor, latencies, start, memory -> build/bench.json.

A first form: rounds are interleaved with the floor, the median is told, and what was stored is
compared with what was acknowledged. It needs `wrk`.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from eme_connector.cli.api import log_in
from eme_connector.demo.processes import Child, free_port
from eme_connector.demo.walk import sample
from eme_connector.demo.world import World

ROUNDS, SECONDS, WALKS = 5, 5, 40
HERE = Path(__file__).parent


def main() -> None:
    """Measure everything and write it down."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="eme-bench-") as folder:
        found = _measure(Path(folder))
    target = HERE.parent / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n")
    for name, value in found.items():
        print(f"{name:24} {value}")


def _measure(folder: Path) -> dict[str, Any]:
    world = World.open(folder, {who: free_port() for who in ("ci", "cert", "receiver")})
    world.prepare()
    children = [world.start(who) for who in ("receiver", "cert", "ci")]
    hello = _start_hello(folder)
    try:
        visible, dispatched = _latencies(world)
        rates = _rates(world, hello)
    finally:
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.wait()
        hello[0].terminate()
    ready, pss = _start_and_memory(world)
    return {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load_average": os.getloadavg()[0],
        **rates,
        "visible_p50_ms": _percentile(visible, 50),
        "visible_p99_ms": _percentile(visible, 99),
        "dispatch_p95_ms": _percentile(dispatched, 95),
        "ready_s": ready,
        "pss_idle_mb": pss,
    }


def _start_hello(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    words = ["-m", "gunicorn", "bench.hello:app", "-b", f"127.0.0.1:{port}", "-k", "gthread",
             "-w", "1", "--threads", "16", "--log-level", "error"]  # fmt: skip
    process = subprocess.Popen([sys.executable, *words], cwd=HERE.parent)  # noqa: S603
    _wait(f"http://127.0.0.1:{port}/readyz")
    return process, port


def _rates(world: World, hello: tuple[Any, int]) -> dict[str, Any]:
    """Load the sidecar and the floor in turn; acknowledged and stored are compared at the end."""
    before = _stored(world)
    ours, floor, acknowledged, worst = [], [], 0, 0.0
    for _ in range(ROUNDS):
        floor.append(_wrk(hello[1], "none")[0])
        rate, done, p99 = _wrk(world.ports["ci"], world.tokens[world.ci])
        ours.append(rate)
        acknowledged += done
        worst = max(worst, p99)
    stored = _stored(world) - before
    return {
        "accept_per_s": round(statistics.median(ours)),
        "accept_floor_per_s": round(statistics.median(floor)),
        "accept_floor_ratio": round(
            statistics.median(a / b for a, b in zip(ours, floor, strict=True)), 3
        ),
        "accept_worst_p99_ms": round(worst, 1),
        "acknowledged": acknowledged,
        "stored": stored,
        "lost": max(0, acknowledged - stored),
    }


def _wrk(port: int, token: str) -> tuple[float, int, float]:
    body = json.loads(sample().read_bytes())
    carrier = body["objects"][0]
    carrier["detection"]["iris_id"] = f"{time.time()}-IRISID"
    done = subprocess.run(  # noqa: S603
        ["wrk", "-t1", "-c16", f"-d{SECONDS}s", "-s", str(HERE / "load.lua"),  # noqa: S607
         "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json",
         f"http://127.0.0.1:{port}/api/v1/ci/threats"],
        env=os.environ | {"BENCH_BODY": json.dumps(body)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = next(one for one in done.stdout.splitlines() if one.startswith("RESULT"))
    count, micros, errors, p99 = (float(one) for one in line.split()[1:])
    return count / (micros / 1e6), int(count - errors), p99 / 1000


def _stored(world: World) -> int:
    headers = {"Authorization": f"Bearer {world.tokens[world.ci]}"}
    url = f"{world.url('ci')}/api/v1/ci/threats/aggregate"
    return sum(
        one["total"] for one in requests.get(url, headers=headers, timeout=30).json()["days"]
    )


def _latencies(world: World) -> tuple[list[float], list[float]]:
    """Time POST to visible at the CERT, and POST to the receiver of what policy approves."""
    visible, dispatched = [], []
    cert = {"Authorization": f"Bearer {world.cert_token}"}
    log_in(world.url("ci"), "anna", world.passwords["anna"])
    for number in range(WALKS):
        began = time.monotonic()
        threat = _send(world, number)
        url = f"{world.url('cert')}/api/v1/cert/threats/{threat}"
        while requests.get(url, headers=cert, timeout=5).status_code != 200:
            time.sleep(0.002)
        visible.append((time.monotonic() - began) * 1000)
        received = f"{world.url('receiver')}/playbooks"
        while not any(one["threat"] == threat for one in requests.get(received, timeout=5).json()):
            time.sleep(0.002)
        dispatched.append((time.monotonic() - began) * 1000)
    return visible, dispatched


def _send(world: World, number: int) -> str:
    body = json.loads(sample().read_bytes())
    body["objects"][0]["detection"]["iris_id"] = f"walk-{number}"
    body["objects"][0]["playbook_actions"]["workflow"] = body["objects"][0]["playbook_actions"][
        "workflow"
    ][:1]
    headers = {"Authorization": f"Bearer {world.tokens[world.ci]}"}
    url = f"{world.url('ci')}/api/v1/ci/threats"
    answer = requests.post(url, json=body, headers=headers, timeout=10)
    found: str = answer.json()["threats"][0]["id"]
    return found


def _start_and_memory(world: World) -> tuple[float, float]:
    starts, child = [], None
    for _ in range(3):
        began = time.monotonic()
        child = world.start("ci")
        starts.append(time.monotonic() - began)
        time.sleep(1)
        pss = _pss(child)
        child.ask_to_stop()
        child.wait()
    return round(statistics.median(starts), 2), round(pss / 1024, 1)


def _pss(child: Child) -> float:
    arbiter = child.pid
    found = subprocess.run(  # noqa: S603
        ["ps", "-o", "pid=", "--ppid", str(arbiter)],  # noqa: S607
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    total = 0.0
    for pid in [arbiter, *map(int, found.stdout.split())]:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += float(text.split("\nPss:")[1].split()[0])
    return total


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 1)


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


if __name__ == "__main__":
    main()
