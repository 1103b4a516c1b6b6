"""Sessions of people, kept in our store: the cookie holds a random id, the table its SHA-256.

A small adapter below Flask-Session. Requests without the cookie never touch a session.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from flask import Flask, Request
from flask_session.base import ServerSideSession, ServerSideSessionInterface

from eme_connector.ports import Clock, Store, Transaction

ACCOUNT = "account"


class _Json:
    """Sessions as JSON: the library's own reader would fall back to pickle."""

    def encode(self, session: dict[str, Any]) -> bytes:
        return json.dumps(dict(session)).encode()

    def decode(self, data: bytes) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(data)
        return found


class StoreSessions(ServerSideSessionInterface):  # type: ignore[misc]
    """Flask-Session on `ports.Store`."""

    ttl = True

    def __init__(self, app: Flask, store: Store, clock: Clock) -> None:
        super().__init__(app, key_prefix="", use_signer=False, permanent=True, sid_length=32)
        self._json = _Json()
        self._store, self._clock = store, clock

    def open_session(self, app: Flask, request: Request) -> ServerSideSession:
        """Return the session of the cookie; a bearer token never has one."""
        if "Authorization" in request.headers:
            return ServerSideSession(sid="")  # logging in gives it one
        session = super().open_session(app, request)
        if not session and session.sid == request.cookies.get(app.config["SESSION_COOKIE_NAME"]):
            session.sid = self._generate_sid(self.sid_length)  # never an id that a client chose
        return session

    def _get_store_id(self, sid: str) -> str:
        return hashlib.sha256(sid.encode()).hexdigest()

    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        data = self._store.find_session(store_id, round(self._clock() * 1_000_000))
        return self._json.decode(data) if data else None

    def _delete_session(self, store_id: str) -> None:
        self._store.transact(lambda tx: tx.delete_session(store_id))

    def _upsert_session(
        self, lifetime: timedelta, session: ServerSideSession, store_id: str
    ) -> None:
        data = self._json.encode(session)
        expires = round((self._clock() + lifetime.total_seconds()) * 1_000_000)
        account = session.get(ACCOUNT)

        def work(tx: Transaction) -> None:
            tx.save_session(store_id, data, expires, account)

        self._store.transact(work)
