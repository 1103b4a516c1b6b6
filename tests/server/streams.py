"""Many open live pages, read in a process of their own: what each was told, and when."""

from __future__ import annotations

import json
import multiprocessing
import selectors
import socket
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from tests.server.person import Person

QUIET_S = 3.0


@dataclass
class Page:
    """One open stream of somebody; times are of the machine's monotonic clock."""

    who: str
    seen: dict[str, float] = field(default_factory=dict)
    ended: bool = False
    rest: bytes = b""

    def take(self, data: bytes) -> None:
        now = time.monotonic()
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b'data: {"id"'):
                self.seen.setdefault(json.loads(line[6:])["threat"], now)
        self.ended = self.ended or not data


class Pages:
    """Opens *number* streams for each person.

    `close` returns what they were told, once nobody has been told anything for three seconds.
    """

    def __init__(self, port: int, people: dict[str, Person], number: int) -> None:
        cookies = {
            who: "; ".join(f"{one.name}={one.value}" for one in person.http.cookies)
            for who, person in people.items()
        }
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_read, args=(port, cookies, number, there))
        self._process.start()
        assert self._here.recv() == "open"

    def close(self) -> list[Page]:
        self._here.send("close")
        found: list[Page] = self._here.recv()
        self._process.join(10)
        return found


def _read(port: int, cookies: dict[str, str], number: int, there: Connection) -> None:
    selector, pages = selectors.DefaultSelector(), []
    for who, cookie in cookies.items():
        for _ in range(number):
            connection, page = _open(port, who, cookie)
            pages.append(page)
            selector.register(connection, selectors.EVENT_READ, page)
    there.send("open")
    heard = time.monotonic()
    while not there.poll() or time.monotonic() < heard + QUIET_S:
        for key, _ in selector.select(0.1):
            heard = time.monotonic()
            try:
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
            except OSError:
                data = b""
            key.data.take(data)
            if not data:
                selector.unregister(key.fileobj)
    there.send(pages)


def _open(port: int, who: str, cookie: str) -> tuple[socket.socket, Page]:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(
        f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
    )
    first = connection.recv(4096)
    assert first.startswith(b"HTTP/1.1 200"), first
    connection.setblocking(False)
    page = Page(who)
    page.take(first)
    return connection, page
