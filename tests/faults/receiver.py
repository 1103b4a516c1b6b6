"""A receiver of playbooks that remembers every key and can hold its answer back."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Receiver:
    """An HTTP server on a real port; `seen` are (webhook-id, threat id, digest) as they came.

    While `held` is set, `held_port` is the other side's port of the connection that waits.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.held = threading.Event()
        self.held_port = 0
        self._hold = threading.Event()
        self._release = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/playbooks"

    def hold_next(self) -> None:
        """Take the next request in and then answer nothing until release()."""
        self.held.clear()
        self._release.clear()
        self._hold.set()

    def release(self) -> None:
        self._hold.clear()
        self._release.set()

    def close(self) -> None:
        self._server.shutdown()

    def keys_of(self, threat_id: str) -> list[str]:
        with self._lock:
            return [key for key, threat, _ in self.seen if threat == threat_id]

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def _take(self, key: str, body: bytes, port: int) -> None:
        found = json.loads(body)
        with self._lock:
            self.seen.append((key, found["threat_id"], found["digest"]))
        if self._hold.is_set():
            self._hold.clear()
            self.held_port = port
            self.held.set()
            self._release.wait(60)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._take(self.headers["webhook-id"], body, self.client_address[1])
                self.send_response(202)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                return

        return Handler
