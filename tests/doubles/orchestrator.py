"""An orchestrator that can behave as badly as real ones do.

`behave()` queues what happens to the next posts; when the queue is empty it answers 202.
`acted` are the keys whose playbook it ran; a misbehaving answer does not mean that it did not.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HUGE = 2 * 1024 * 1024


class Server(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1 that does not print and does not wait at the end."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        return


class Orchestrator:
    """`answers` to look-ups: None says the truth, a number is that status for every question."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.acted: list[str] = []
        self.asked: list[str] = []
        self.look_up_status: int | None = None
        self.release = threading.Event()
        self._behaviour: deque[str] = deque()
        self._lock = threading.Lock()
        self._server = Server(_handler(self))

    @property
    def url(self) -> str:
        return f"{self._server.url}/hook"

    @property
    def look_up_url(self) -> str:
        return f"{self._server.url}/runs"

    @property
    def keys(self) -> Counter[str]:
        """How often each key was posted."""
        return Counter(key for key, _, _ in self.posts)

    def behave(self, *words: str) -> None:
        """Treat the next posts in these ways, one word each."""
        self._behaviour.extend(words)

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, key: str, headers: dict[str, str], body: bytes) -> str:
        with self._lock:
            self.posts.append((key, headers, body))
            word = self._behaviour.popleft() if self._behaviour else "accept"
            if not word.startswith("refuse"):
                self.acted.append(key)
            return word

    def asked_for(self, key: str) -> int:
        with self._lock:
            self.asked.append(key)
            if self.look_up_status is not None:
                return self.look_up_status
            return 200 if key in self.acted else 404


def _handler(double: Orchestrator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            word = double.take(headers.get("webhook-id", ""), headers, body)
            getattr(self, f"_{word.partition(':')[0].replace('-', '_')}")(word.partition(":")[2])

        def do_GET(self) -> None:
            self._answer(double.asked_for(self.path.rpartition("/")[2]), b"{}")

        def _accept(self, _: str) -> None:
            self._answer(202, json.dumps({"id": f"run-{len(double.acted)}"}).encode())

        def _status(self, number: str) -> None:
            self._answer(int(number), b'{"why": "because"}')

        def _refuse(self, number: str) -> None:
            self._answer(int(number or 400), b"")

        def _refuse_later(self, seconds: str) -> None:
            self._answer(429, b"", {"Retry-After": seconds})

        def _die(self, _: str) -> None:
            self.close_connection = True

        def _hang(self, _: str) -> None:
            double.release.wait(30)
            self.close_connection = True

        def _drip(self, _: str) -> None:
            self.close_connection = True
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 400:
                if double.release.is_set():
                    return
                self.wfile.write(bytes([letter]))
                self.wfile.flush()
                time.sleep(0.05)

        def _redirect(self, where: str) -> None:
            self._answer(302, b"", {"Location": where})

        def _refuse_redirect(self, where: str) -> None:
            self._answer(307, b"", {"Location": where})

        def _huge(self, _: str) -> None:
            self._answer(200, b"x" * HUGE)

        def _short(self, _: str) -> None:
            self._answer(200, b"{}", {"Content-Length": "200"})
            self.close_connection = True

        def _nonsense(self, _: str) -> None:
            self.wfile.write(b"I am not HTTP\r\n\r\n")
            self.close_connection = True

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler
