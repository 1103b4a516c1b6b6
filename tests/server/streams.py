"""Many open live pages, read by one thread: what each was told, and when."""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field

from tests.server.person import Person


@dataclass
class Page:
    """One open stream of somebody."""

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
    """Opens *number* streams for each person; all are read until `close`."""

    def __init__(self, port: int, people: dict[str, Person], number: int) -> None:
        self.pages: list[Page] = []
        self._selector = selectors.DefaultSelector()
        self._ending = False
        for who, person in people.items():
            for _ in range(number):
                self._open(port, who, person)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending = True
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()

    def _open(self, port: int, who: str, person: Person) -> None:
        cookie = "; ".join(f"{one.name}={one.value}" for one in person.http.cookies)
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        connection.sendall(
            f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
        )
        first = connection.recv(4096)
        assert first.startswith(b"HTTP/1.1 200"), first
        connection.setblocking(False)
        page = Page(who)
        page.take(first)
        self.pages.append(page)
        self._selector.register(connection, selectors.EVENT_READ, page)

    def _read(self) -> None:
        while not self._ending:
            for key, _ in self._selector.select(0.1):
                try:
                    data = key.fileobj.recv(65536)
                except OSError:
                    data = b""
                key.data.take(data)
                if not data:
                    self._selector.unregister(key.fileobj)
