"""Open loop: requests leave when they are due, and latency counts from then.

A request that waits for a free connection waits on the clock: nothing is left out because the
server was slow.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

from bench.world import bundle

CONNECTIONS = 64


@dataclass
class Waited:
    """Milliseconds from due to answered, what was answered when, and how often it was not 2xx."""

    ms: list[float] = field(default_factory=list)
    answers: list[tuple[float, bytes]] = field(default_factory=list)
    refused: int = 0

    def percentile(self, percent: float) -> float:
        """Return the latency that *percent* of the answers did not exceed."""
        ordered = sorted(self.ms)
        place = min(len(ordered) - 1, int(len(ordered) * percent / 100))
        return round(ordered[place], 2)


def post(port: int, token: str, rate: float, seconds: float) -> Waited:
    """Post different detections at *rate* a second."""
    return asyncio.run(_post(port, token, rate, seconds))


async def _post(port: int, token: str, rate: float, seconds: float) -> Waited:
    loop, found = asyncio.get_running_loop(), Waited()
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    tag = time.time()
    requests = [_request(token, f"{tag}-{n}") for n in range(int(rate * seconds))]
    began = loop.time() + 0.05
    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            group.create_task(_one(free, request, due, found))
    while not free.empty():
        free.get_nowait()[1].close()
    return found


async def _one(
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
    request: bytes,
    due: float,
    found: Waited,
) -> None:
    connection = await free.get()
    reader, writer = connection
    writer.write(request)
    status = int((await reader.readline()).split()[1])
    size = 0
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        size = int(value) if name.lower() == b"content-length" else size
    body, now = await reader.readexactly(size), asyncio.get_running_loop().time()
    found.ms.append((now - due) * 1000)
    found.answers.append((now, body))
    found.refused += not 200 <= status < 300
    free.put_nowait(connection)


def _request(token: str, iris_id: str) -> bytes:
    body = json.dumps(bundle(iris_id)).encode()
    head = (
        "POST /api/v1/ci/threats HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
