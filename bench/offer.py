"""Offer detections to a sidecar: at a fixed rate whatever it takes, or as fast as it answers.

The fixed rate runs in a process of its own (`python -m bench.offer`), so that it does not slow
what measures beside it. Latency counts from when a request was due, not from when it was sent.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
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
DIGITS = 8


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
    before, after = body(f"{time.time()}-0IRISID").split("0IRISID")
    size = len(before.encode()) + len(after.encode()) + DIGITS
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {os.environ['BENCH_TOKEN']}\r\nContent-Length: {size}\r\n\r\n"
    )
    numbers, total = itertools.count(), int(rate * seconds)
    late: list[float] = []
    refused: list[int] = []
    began = time.monotonic() + 0.2

    def work() -> None:
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        while (number := next(numbers)) < total:
            due = began + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            connection.sendall(f"{head}{before}{number:0{DIGITS}}{after}".encode())
            status = _answer(connection)
            if status < 300:
                late.append((time.monotonic() - due) * 1000)
            else:
                refused.append(status)

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


def _answer(connection: socket.socket) -> int:
    """Read one answer and return its status: an HTTP library would take a third of a core."""
    told = b""
    while b"\r\n\r\n" not in told:
        told += _more(connection)
    head, _, content = told.partition(b"\r\n\r\n")
    (size,) = (line.split(b":")[1] for line in head.lower().split(b"\r\n")
               if line.startswith(b"content-length:"))  # fmt: skip
    missing = int(size) - len(content)
    while missing > 0:
        missing -= len(_more(connection))
    return int(head.split(b" ", 2)[1])


def _more(connection: socket.socket) -> bytes:
    found = connection.recv(65_536)
    if not found:
        raise ConnectionError("the sidecar has closed the connection")
    return found


if __name__ == "__main__":
    print(json.dumps(_offer(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
