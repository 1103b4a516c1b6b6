"""200 open live pages: what they cost an accept, and how soon each has what it may see.

Two organisations read, one of them posts: its pages have to see every threat, those of the other
none. Rounds take turns: the same rate without pages, then with them.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from bench import openloop
from bench.openloop import Waited
from bench.world import HERE, hold_deliveries, new_world, started
from eme_connector.demo.world import World

EACH, RATE, OTHER = 100, 40, "Operator 2"
LAST_S = 2.0
Seen = dict[str, float]
"""Threat -> the machine's monotonic time at which a page was told of it."""


def run(folder: Path, *, rounds: int, seconds: int) -> dict[str, Any]:
    """Return the ratio of both p99s, the latest event, and how many pages saw wrong things."""
    world = new_world(folder, hold_deliveries, [OTHER])
    alone, beside, ratios, late, wrong = Waited(), Waited(), [], [0.0], 0
    with started(world, "ci"):
        _post(world, 1)
        cookies = {who: _log_in(world, who) for who in (world.ci, world.names[OTHER])}
        for _ in range(rounds):
            without = _post(world, seconds)
            reading = _open(world.ports["ci"], cookies)
            among = _post(world, seconds)
            time.sleep(LAST_S)
            pages = _close(reading)
            ratios.append(among.percentile(99) / without.percentile(99))
            alone.ms += without.ms
            beside.ms += among.ms
            answered = {json.loads(body)["threats"][0]["id"]: at for at, body in among.answers}
            for who, seen in pages:
                wrong += set(seen) != (set(answered) if who == world.ci else set())
                late += [at - answered[threat] for threat, at in seen.items() if threat in answered]
    return {
        "streams_open": 2 * EACH,
        "streams_post_p99_ms": beside.percentile(99),
        "streams_post_alone_p99_ms": alone.percentile(99),
        "streams_post_p99_ratio": round(statistics.median(ratios), 2),
        "streams_event_worst_s": round(max(late), 3),
        "streams_wrong": wrong,
    }


def _post(world: World, seconds: int) -> Waited:
    found = openloop.post(world.ports["ci"], world.tokens[world.ci], RATE, seconds)
    if found.refused:
        raise SystemExit(f"{found.refused} detections were refused")
    return found


def _log_in(world: World, uuid: str) -> str:
    person = world.person_of(uuid)
    with requests.Session() as session:
        url = f"{world.url('ci')}/api/v1/session"
        form = {"name": person, "password": world.passwords[person]}
        session.post(url, json=form, timeout=20).raise_for_status()
        return "; ".join(f"{one.name}={one.value}" for one in session.cookies)


def _open(port: int, cookies: dict[str, str]) -> subprocess.Popen[str]:
    """Start the process that reads the pages; return once all are open."""
    process = subprocess.Popen(  # noqa: S603 - our own program, our own words
        [sys.executable, "-m", "bench.streams", str(port)],
        cwd=HERE.parent, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(cookies) + "\n")
    process.stdin.flush()
    if process.stdout.readline() != "open\n":
        raise SystemExit("not every stream was opened")
    return process


def _close(process: subprocess.Popen[str]) -> list[tuple[str, Seen]]:
    text, _ = process.communicate("close\n")
    found: list[tuple[str, Seen]] = json.loads(text)
    return found


async def _read_all(port: int, cookies: dict[str, str]) -> None:
    opened = await asyncio.gather(
        *(_begin(port, who, cookie) for who, cookie in cookies.items() for _ in range(EACH))
    )
    pages: list[tuple[str, Seen]] = [(who, {}) for who, *_ in opened]
    reading = [
        asyncio.create_task(_read(stream, seen))
        for (_, stream, _), (_, seen) in zip(opened, pages, strict=True)
    ]
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for one in reading:
        one.cancel()
    print(json.dumps(pages), flush=True)


async def _begin(
    port: int, who: str, cookie: str
) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a page; it lasts as long as its writer is kept."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
    writer.write(request.encode())
    if b" 200 " not in await reader.readline():
        raise SystemExit("a stream was refused")
    await reader.readuntil(b"retry:")
    return who, reader, writer


async def _read(stream: asyncio.StreamReader, seen: Seen) -> None:
    while line := await stream.readline():
        if line.startswith(b'data: {"id"'):
            seen.setdefault(json.loads(line[6:])["threat"], time.monotonic())


if __name__ == "__main__":
    asyncio.run(_read_all(int(sys.argv[1]), json.loads(sys.stdin.readline())))
