"""A peer sidecar on a real port: it hands each message to a function and returns its answer."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from eme_connector.errors import EmeError
from tests.doubles.orchestrator import Server

PATH = "/api/v1/synchronization/eme/threat"
CONFIRMATION = "/api/v1/peers/handshakes/confirmation"


class PeerServer:
    """`receive` is the receiving side's use case; `behave()` spoils the next answers.

    `calls` are the numbers of messages per request; with `knows_many` off it is an older sidecar.
    """

    def __init__(self, receive: Callable[[str], str], path: str = PATH) -> None:
        self.messages: list[tuple[str, str]] = []
        self.calls: list[int] = []
        self.knows_many = True
        self.receive = receive
        self.path = path
        self._behaviour: deque[str] = deque()
        self._server = Server(_handler(self))

    @property
    def url(self) -> str:
        return self._server.url

    def behave(self, *words: str) -> None:
        self._behaviour.extend(words)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, jws: str) -> tuple[int, str]:
        """Return status and body; the word of the moment decides what is made of the receipt."""
        self.messages.append((method, jws))
        word = self._behaviour.popleft() if self._behaviour else "honest"
        if word.startswith("status:"):
            return int(word.partition(":")[2]), ""
        try:
            receipt = self.receive(jws)
        except EmeError as exc:
            return exc.status, type(exc).__name__
        if word == "lose":
            return 0, ""
        if word == "broken-receipt":
            receipt = receipt[:-6] + ("AAAAAA" if receipt[-6:] != "AAAAAA" else "BBBBBB")
        return 200, "nonsense" if word == "no-receipt" else receipt

    def answer_many(self, lines: list[str]) -> tuple[int, str]:
        """Return status and body for many messages, each answered by its word."""
        self.calls.append(len(lines))
        answers = [self.answer("POST", one) for one in lines]
        told = [text if status == 200 else {"status": status} for status, text in answers]
        return 200, json.dumps({"answers": told})


def _handler(double: PeerServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            self._take()

        def do_PATCH(self) -> None:
            self._take()

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            is_many = self.path == f"{double.path}s" and double.knows_many
            if self.headers["Content-Type"] != "application/jose":
                status, text = 404, ""
            elif is_many and self.command == "POST":
                status, text = double.answer_many(body.split("\n"))
            elif self.path != double.path:
                status, text = 404, ""
            else:
                double.calls.append(1)
                status, text = double.answer(self.command, body)
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            return

    return Handler
