"""Offer detections to a sidecar: at a fixed rate whatever it takes, or as fast as it answers.

The fixed rate runs in a process of its own (`python -m bench.offer`), so that it does not slow
what measures beside it. Latency counts from when a request was due, not from when it was sent.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from eme_connector.demo.walk import sample

HERE = Path(__file__).parent
PATH = "/api/v1/ci/threats"
THREADS = CONNECTIONS = 16


def start(port: int, token: str, rate: int, seconds: float) -> subprocess.Popen[str]:
    """Begin to offer *rate* a second for *seconds*; `finish` waits for what came of it."""
    return subprocess.Popen(  # noqa: S603 - our own program, our own words
        [sys.executable, "-m", "bench.offer", str(port), str(rate), str(seconds)],
        cwd=HERE.parent, env=os.environ | {"BENCH_TOKEN": token}, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip


def finish(running: subprocess.Popen[str]) -> dict[str, Any]:
    """Return offered_per_s, achieved_per_s, acknowledged, refused, p50_ms and p99_ms."""
    text, _ = running.communicate()
    if running.returncode:
        raise SystemExit(f"offering ended with {running.returncode}")
    found: dict[str, Any] = json.loads(text)
    return found


def closed(port: int, token: str, seconds: int) -> tuple[float, int]:
    """Return (accepts a second, how many were acknowledged) with wrk.

    At its end wrk waits for no answer: up to CONNECTIONS more may be stored.
    """
    done = subprocess.run(  # noqa: S603
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(HERE / "load.lua"),  # noqa: S607
         "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json",
         f"http://127.0.0.1:{port}{PATH}"],
        env=os.environ | {"BENCH_BODY": body(f"{time.time()}-IRISID")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = next(one for one in done.stdout.splitlines() if one.startswith("RESULT"))
    count, micros, errors, _ = (float(one) for one in line.split()[1:])
    return (count - errors) / (micros / 1e6), int(count - errors)


def body(iris_id: str) -> str:
    """Return the sample detection under another id."""
    document = json.loads(sample().read_bytes())
    document["objects"][0]["detection"]["iris_id"] = iris_id
    return json.dumps(document)


def _offer(port: int, rate: int, seconds: float) -> dict[str, Any]:
    before, after = body(f"{time.time()}-IRISID").split("IRISID")
    headers = {"Authorization": f"Bearer {os.environ['BENCH_TOKEN']}",
               "Content-Type": "application/json"}  # fmt: skip
    numbers, total = itertools.count(), int(rate * seconds)
    late: list[float] = []
    refused: list[int] = []
    began = time.monotonic() + 0.2

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (number := next(numbers)) < total:
            due = began + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            connection.request("POST", PATH, f"{before}{number}{after}".encode(), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status < 300:
                late.append((time.monotonic() - due) * 1000)
            else:
                refused.append(answer.status)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    took = time.monotonic() - began
    late.sort()
    return {
        "offered_per_s": rate,
        "achieved_per_s": round(len(late) / max(took, seconds)),
        "acknowledged": len(late),
        "refused": len(refused),
        "p50_ms": round(late[len(late) // 2], 1) if late else None,
        "p99_ms": round(late[len(late) * 99 // 100], 1) if late else None,
    }


if __name__ == "__main__":
    print(json.dumps(_offer(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
