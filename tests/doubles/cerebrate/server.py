"""The HTTP side: keys, sessions, routes, and switches to be down, slow, short or broken."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.doubles.cerebrate import groups, organisations, others
from tests.doubles.cerebrate.answers import Call, Failure, absent, forbidden
from tests.doubles.cerebrate.state import CONSTITUENCY, State

ROUTES: dict[tuple[str, str], Callable[[Call], Any]] = {
    ("instance", "status"): others.status,
    ("users", "view"): others.me,
    ("auditlogs", "index"): others.audit_index,
    ("organisations", "index"): organisations.organisations_index,
    ("organisations", "view"): organisations.organisations_view,
    ("organisations", "add"): organisations.organisations_add,
    ("organisations", "edit"): organisations.organisations_edit,
    ("organisations", "delete"): organisations.organisations_delete,
    ("individuals", "index"): organisations.individuals_index,
    ("individuals", "add"): organisations.individuals_add,
    ("individuals", "delete"): organisations.individuals_delete,
    ("alignments", "index"): organisations.alignments_index,
    ("alignments", "add"): organisations.alignments_add,
    ("metatemplates", "index"): organisations.templates_index,
    ("metatemplates", "toggle"): organisations.templates_toggle,
    ("sharinggroups", "index"): groups.groups_index,
    ("sharinggroups", "view"): groups.groups_view,
    ("sharinggroups", "add"): groups.groups_add,
    ("sharinggroups", "edit"): groups.groups_edit,
    ("sharinggroups", "delete"): groups.groups_delete,
    ("sharinggroups", "addorg"): groups.groups_add_org,
    ("sharinggroups", "removeorg"): groups.groups_remove_org,
    ("encryptionkeys", "index"): others.keys_index,
    ("encryptionkeys", "add"): others.keys_add,
    ("encryptionkeys", "edit"): others.keys_edit,
    ("encryptionkeys", "delete"): others.keys_delete,
    ("broods", "index"): others.broods_index,
    ("broods", "downloadorg"): others.broods_download_org,
    ("broods", "downloadsharinggroup"): others.broods_download_group,
    ("inbox", "index"): others.inbox_index,
    ("outbox", "index"): others.outbox_index,
}
_CONTROLLERS = {controller for controller, _ in ROUTES}


class CerebrateServer:
    """A Cerebrate; `state` is what it holds.

    Switches: `slow_s` delays every answer, `short` (a controller to how many rows at most) hides
    rows as a changed permission does, `hide` (how many) leaves rows out that it has counted,
    `break_next` (a path's start to how often) answers 500, `after` is called with (method, path)
    once a call has been carried out. stop() and start() take it off its port and put it back.
    """

    def __init__(self, name: str = "CERT-ONE") -> None:
        self.state = State(name)
        self.state.template(CONSTITUENCY)
        self.calls: list[tuple[str, str]] = []
        self.slow_s = 0.0
        self.short: dict[str, int] = {}
        self.hide: dict[str, int] = {}
        self.break_next: dict[str, int] = {}
        self.after: Callable[[str, str], None] = lambda method, path: None
        self._sessions: set[str] = set()
        self._port = 0
        self._server: _Server | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), _handler(self))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    close = stop

    def writes(self) -> list[str]:
        """Return the paths of the calls that change something."""
        return [path for method, path in self.calls if method != "GET"]

    def answer(
        self, method: str, target: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        """Return (status, body, headers); a body of None is a redirect to the login."""
        parts = urlsplit(target)
        path = parts.path.removesuffix(".json")
        more: dict[str, str] = {}
        try:
            if "application/json" not in headers.get("accept", "") and path == parts.path:
                return 302, None, {"Location": "/users/login"}
            user = self._user(headers)
            known = self._session(headers, more)
            self._spoil(path)
            call = _call(self.state, user, method, path, parts.query, raw, known)
            with self.state.lock:
                body = self._run(call, path)
            return 200, body, more | call.headers
        except Failure as exc:
            body = {"message": exc.message, "url": target, "code": exc.status}
            return exc.status, body, more

    def _user(self, headers: dict[str, str]) -> dict[str, Any]:
        number = self.state.authkeys.get(headers.get("authorization", ""))
        if number is None:
            raise Failure(405, "Invalid user credentials.")
        return self.state.users[number]

    def _session(self, headers: dict[str, str], more: dict[str, str]) -> bool:
        kept = SimpleCookie(headers.get("cookie", "")).get("PHPSESSID")
        if kept is not None and kept.value in self._sessions:
            return True
        name = secrets.token_hex(13)
        self._sessions.add(name)
        more["Set-Cookie"] = f"PHPSESSID={name}; path=/; HttpOnly; SameSite=Lax"
        return False

    def _spoil(self, path: str) -> None:
        for start, times in self.break_next.items():
            if path.startswith(start) and times > 0:
                self.break_next[start] -= 1
                raise Failure(500, "An Internal Error Has Occurred.")

    def _run(self, call: Call, path: str) -> Any:
        names = [one.replace("-", "").replace("_", "").lower() for one in path.split("/")[1:3]]
        controller, action = (*names, "index")[:2]
        if controller not in _CONTROLLERS:
            raise absent()
        found = ROUTES.get((controller, action))
        if found is None:
            raise forbidden()
        body = found(call)
        if action == "index" and controller in self.short:
            body = body[: self.short[controller]]
            call.headers["X-Total-Count"] = str(len(body))
        if action == "index" and controller in self.hide:
            body = body[self.hide[controller] :]
        return body


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def get_request(self) -> Any:
        found = super().get_request()
        self._open.add(found[0])
        return found

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that are kept: who is down answers on none."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        return


def _call(
    state: State, user: dict[str, Any], method: str, path: str, query: str, raw: bytes, known: bool
) -> Call:
    try:
        body = json.loads(raw) if raw else None
    except ValueError as exc:
        raise Failure(400, "Bad Request") from exc
    wanted = parse_qs(query, keep_blank_values=True)
    return Call(state, user, method, path.split("/")[3:], wanted, body, known)


def _handler(double: CerebrateServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            self._take()

        def do_POST(self) -> None:
            self._take()

        def do_PUT(self) -> None:
            self._take()

        def _take(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            double.calls.append((self.command, self.path))
            if double.slow_s:
                time.sleep(double.slow_s)
            status, body, more = double.answer(self.command, self.path, headers, raw)
            double.after(self.command, self.path)
            content = b"" if body is None else json.dumps(body, indent=4).encode()
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            kind = "text/html" if body is None else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    return Handler
