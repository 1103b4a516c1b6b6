"""`make bench`: every figure beside its floor or its peer, in the same run -> build/bench.json.

One file a case; `QUICK=1` takes fewer rounds and 100,000 rows, and leaves the keys of 1,000,000
rows null. `--write-docs` writes docs/benchmarks.md from the figures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import accept, latency, lists, machine, mapping, memory, postgres, streams
from bench.report import lines, page

ROOT = Path(__file__).parent.parent
CASES = ("accept", "latency", "streams", "memory", "mapping", "postgres", "lists")


def main() -> None:
    """Measure, print, write down."""
    asked = _asked()
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    found: dict[str, Any] = {}
    if asked.keep and target.exists():
        found = json.loads(target.read_text())
    with tempfile.TemporaryDirectory(prefix="eme-bench-") as folder:
        found |= machine.describe(Path(folder))
        for name in asked.cases or CASES:
            began = time.monotonic()
            print(f"{name} …", flush=True)
            speeds = [machine.loop_ms()]
            found |= _run(name, Path(folder) / name, quick=asked.quick)
            found[f"{name}_machine_loop_ms"] = [*speeds, machine.loop_ms()]
            target.write_text(json.dumps(found, indent=1) + "\n")  # the next case may fail
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    print("\n".join(lines(found)))
    if asked.write_docs:
        (ROOT / "docs" / "benchmarks.md").write_text(page(found))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="at most 240 s, 100,000 rows")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--keep", action="store_true", help="keep the figures of other cases")
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="all of them by default")
    return parser.parse_args()


def _run(name: str, folder: Path, *, quick: bool) -> dict[str, Any]:
    folder.mkdir()
    if name == "accept":
        return accept.run(folder, rounds=3 if quick else 5, seconds=3 if quick else 8)
    if name == "latency":
        return latency.run(folder, walks=40 if quick else 200)
    if name == "streams":
        return streams.run(folder, rounds=3 if quick else 5, seconds=3 if quick else 10)
    if name == "memory":
        return memory.run(folder)
    if name == "mapping":
        return mapping.run()
    if name == "postgres":
        return postgres.run(folder, seconds=2 if quick else 5, rounds=2 if quick else 5)
    return _lists(folder, quick=quick)


def _lists(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Return the figures at 100,000 and (not in quick runs) at 1,000,000 rows.

    Keys without a suffix are those of the larger run that was made.
    """
    small = lists.run(folder, rows=100_000, quick=quick)
    large = {} if quick else lists.run(folder, rows=1_000_000, quick=quick)
    return (
        (large or small)
        | {f"{key}_100k": value for key, value in small.items()}
        | {f"{key}_1m": large.get(key) for key in small}
    )


if __name__ == "__main__":
    main()
