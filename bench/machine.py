"""What the figures depend on: the machine, its load, what a flush to its disk costs."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SLOW_US = 1000


def describe(folder: Path) -> dict[str, Any]:
    """Return the machine, the versions and the cost of one fdatasync in *folder*."""
    commit = _run("git", "rev-parse", "--short", "HEAD")
    return {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}",
        "commit": commit,
        "fdatasync_us": round(fdatasync_us(folder)),
        "load_average": round(os.getloadavg()[0], 2),
    }


def fdatasync_us(folder: Path, rounds: int = 200) -> float:
    """Return the median µs of a 4 KiB append with fdatasync in *folder*."""
    took = []
    path = folder / "fsync.probe"
    with path.open("wb", buffering=0) as file:
        for _ in range(rounds):
            began = time.perf_counter()
            file.write(b"\0" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(took) * 1e6


def loop_ms(rounds: int = 40) -> float:
    """Return the median ms of a loop of Python alone: how fast the machine is just now."""
    took = []
    for _ in range(rounds):
        began, total = time.perf_counter(), 0
        for number in range(40_000):
            total += number * number
        took.append(time.perf_counter() - began)
    return round(statistics.median(took) * 1e3, 2)


def slow_disk(folder: Path) -> dict[str, str] | None:
    """Return what makes each flush 1 ms slower, as environment; None without a C compiler."""
    if shutil.which("cc") is None:
        return None
    library = folder / "slowfsync.so"
    _run("cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "slowfsync.c"), "-ldl")
    return {"LD_PRELOAD": str(library), "SLOW_US": str(SLOW_US)}


def pss_mb(pid: int) -> float:
    """Return the proportional memory of a process and its children, in MB."""
    total = 0
    for one in family(pid):
        text = Path(f"/proc/{one}/smaps_rollup").read_text()
        total += int(text.split("\nPss:")[1].split()[0])
    return round(total / 1024, 1)


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    return [pid, *map(int, _run("ps", "-o", "pid=", "--ppid", str(pid), check=False).split())]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _run(*words: str, check: bool = True) -> str:
    done = subprocess.run(  # noqa: S603
        words, cwd=HERE.parent, capture_output=True, text=True, check=check
    )
    return done.stdout.strip()
