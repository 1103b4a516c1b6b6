"""The HTTP side: keys, content types, encodings, and the faults that a test asks for."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import secrets
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.doubles.misp.answers import INTERNAL, Answer, Refused
from tests.doubles.misp.routes import Call, dispatch, find
from tests.doubles.misp.rows import User

if TYPE_CHECKING:
    from tests.doubles.misp.instance import Misp

NOT_AUTHENTICATED = (
    "Authentication failed. Please make sure you pass the API key of an API enabled user "
    "along in the Authorization header."
)
NOT_FROM_HERE = "It is not possible to use this Auth key from your IP address"
NOT_JSON = (
    "Invalid JSON input. Make sure that the JSON input is a correctly formatted JSON string. "
    "This request has been blocked to avoid an unfiltered request."
)
LOGIN = b'<!DOCTYPE html>\n<html lang="en"><head><title>Users - MISP</title></head></html>\n'
HTML = "text/html; charset=UTF-8"


class Server(ThreadingHTTPServer):
    """Listens on one port, and can be gone from it and come back."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, misp: Misp, port: int) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _handler(misp, self.open))
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self.shutdown()
        self.server_close()
        for one in list(self.open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, *_: Any) -> None:
        return


def _handler(misp: Misp, connections: set[socket.socket]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            connections.add(self.connection)

        def finish(self) -> None:
            connections.discard(self.connection)
            super().finish()

        def do_GET(self) -> None:
            self._serve()

        def do_HEAD(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def do_PUT(self) -> None:
            self._serve()

        def do_DELETE(self) -> None:
            self._serve()

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            word, _, value = misp.fault().partition(":")
            if word == "die":
                self.close_connection = True
                return
            if word == "slow":
                time.sleep(float(value))
            if word == "status":
                self._send(_page(int(value)), misp_agent=False)
                return
            if word == "html":
                self._send(Answer(LOGIN, headers={"Content-Type": HTML}), misp_agent=False)
                return
            agent = headers.get("user-agent", "").startswith(("MISP", "PyMISP"))
            answer = answer_to(misp, self.command, self.path, headers, raw)
            if word == "lose":
                self.close_connection = True
                return
            if word == "then-status":
                answer = _page(int(value))
            self._send(answer, misp_agent=agent)

        def _send(self, answer: Answer, *, misp_agent: bool) -> None:
            body, kind = _bytes(answer.body, compact=misp_agent)
            headers = {"Content-Type": kind} | answer.headers
            asked = self.headers.get("If-None-Match")
            if answer.status == 200 and misp_agent and asked is not None and body:
                headers["ETag"] = f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'
                if asked == headers["ETag"]:
                    answer, body = Answer(status=304), b""
            if self.command == "HEAD":
                headers["Content-Type"], body = HTML, b""
            self.send_response(answer.status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler


def answer_to(misp: Misp, method: str, path: str, headers: dict[str, str], raw: bytes) -> Answer:
    """Return the answer to one request, refusals included."""
    plain = path.partition("?")[0]
    try:
        user, read_only, cookie = _authenticate(misp, headers)
        name, _, _ = find(plain)
        json_wanted = "json" in headers.get("accept", "") or plain.endswith(".json")
        if not json_wanted and method != "POST":
            return _login(misp, name)
        call = Call(misp, user, method, plain, headers, raw=raw, read_only=read_only)
        call.body = _read(raw, headers)
        misp.note(method, plain, user)
        answer = dispatch(call)
        if misp.jobs_first:
            misp.work()
        answer.headers = cookie | answer.headers
        return answer
    except Refused as exc:
        return Answer(exc.body(plain), exc.status, exc.headers)


def _authenticate(misp: Misp, headers: dict[str, str]) -> tuple[User, bool, dict[str, str]]:
    """Return the user, whether the key only reads, and a cookie to keep the session by."""
    state, key = misp.state, headers.get("authorization", "")
    kept = bool(state.settings.get("Security.authkey_keep_session"))
    with state.lock:
        session = re.search(r"MISP-session=(\w+)", headers.get("cookie", "")) if kept else None
        if session and session[1] in state.sessions:
            # the key that comes along is not even looked at
            return *state.sessions[session[1]], {}
        found = state.keys.by(text=key) if re.fullmatch(r"[A-Za-z0-9]{40}", key) else None
        if found is None or (found.expiration and found.expiration < state.clock.now()):
            raise Refused(403, NOT_AUTHENTICATED)
        if found.allowed_ips and "127.0.0.1" not in found.allowed_ips:
            raise Refused(403, NOT_FROM_HERE)
        cookie = {}
        if kept:
            token = secrets.token_hex(16)
            state.sessions[token] = (found.user, found.read_only)
            cookie["Set-Cookie"] = f"MISP-session={token}; path=/; HttpOnly"
        return found.user, found.read_only, cookie


def _read(raw: bytes, headers: dict[str, str]) -> Any:
    if headers.get("content-encoding") == "gzip":
        raw = gzip.decompress(raw)
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        raise Refused(405, NOT_JSON) from None


def _login(misp: Misp, name: str) -> Answer:
    """Return what a client gets that does not say that it wants JSON."""
    if name == "users/login":
        return Answer(LOGIN, headers={"Content-Type": HTML})
    return Answer(None, 302, {"Content-Type": HTML, "Location": f"{misp.url}/users/login"})


def _page(status: int) -> Answer:
    body = {"name": INTERNAL, "message": INTERNAL, "url": "/"}
    return Answer(body, status)


def _bytes(body: Any, *, compact: bool) -> tuple[bytes, str]:
    if body is None:
        return b"", HTML
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=UTF-8"
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 4}
    return json.dumps(body, ensure_ascii=False, **layout).encode(), "application/json"
