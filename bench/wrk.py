"""Closed loop: wrk with 16 connections posts detections as fast as they are answered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.world import bundle

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Load:
    """What one round of load came to; `refused` were answered with an error or not at all."""

    rate: float
    acknowledged: int
    refused: int
    p99_ms: float


def post(port: int, token: str, seconds: int) -> Load:
    """Post different detections to a sidecar (or the floor) on *port* for *seconds*."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    done = subprocess.run(  # noqa: S603
        ["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", str(HERE / "load.lua"),  # noqa: S607
         "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json",
         f"http://127.0.0.1:{port}/api/v1/ci/threats"],
        env=os.environ | {"BENCH_BODY": json.dumps(bundle(f"{time.time()}-IRISID"))},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = next(one for one in done.stdout.splitlines() if one.startswith("RESULT"))
    count, micros, errors, p99 = (float(one) for one in line.split()[1:])
    return Load(count / (micros / 1e6), int(count - errors), int(errors), p99 / 1000)
