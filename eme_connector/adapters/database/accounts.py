"""The audit log, accounts, tokens, sessions, peers and messages inside a transaction."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import bindparam, delete, select

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.pending import Pending
from eme_connector.adapters.database.statements import (
    Connection,
    Statement,
    put_into,
)
from eme_connector.domain.accounts import Account, Peer, Token
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.handshake import Handshake, Stage
from eme_connector.domain.rights import Right

KEPT_ENDED = 30 * 86_400_000_000
"""µs after which a session or a handshake that has ended is swept away by the next one."""
_P = bindparam
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_END_SESSION = Statement(delete(t.session).where(t.session.c.id == _P("id")))
_END_SESSIONS = Statement(delete(t.session).where(t.session.c.account_id == _P("account_id")))
_OLD_SESSIONS = Statement(delete(t.session).where(t.session.c.expires_at < _P("at")))
_KEEP = Statement(
    lambda m: (
        m.insert(t.message)
        .values({c.name: _P(c.name) for c in t.message.columns})
        .on_conflict_do_nothing(index_elements=["sender", "id"])
    )
)
_HANDSHAKE = Statement(
    select(t.handshake)
    .where(t.handshake.c.code == _P("code"), t.handshake.c.role == _P("role"))
    .with_for_update()
)
_OLD_HANDSHAKES = Statement(delete(t.handshake).where(t.handshake.c.expires_at < _P("at")))


class AccountRows:
    """`ports.AccountWrites` and the audit log."""

    _db: Connection
    _pending: Pending
    _touched: set[str]

    def record(self, record: AuditRecord) -> None:
        row = {
            "at": record.at,
            "event": record.event,
            "by": record.by,
            "organisation": record.organisation,
            "threat_id": record.threat_id,
            "revision": record.revision,
            "detail": _ENCODE(record.detail),
        }
        self._pending.record(row)

    def save_account(self, account: Account) -> None:
        self._db.run(put_into(t.account), _row(account, t.account))
        self._touched.add("account")

    def save_token(self, token: Token) -> None:
        row = _row(token, t.token) | {"rights": json.dumps(sorted(token.rights))}
        self._db.run(put_into(t.token), row)
        self._touched.add("token")

    def save_peer(self, peer: Peer) -> None:
        self._db.run(put_into(t.peer), _row(peer, t.peer))

    def find_handshake(self, code: str, role: str) -> Handshake | None:
        row = self._db.one(_HANDSHAKE, {"code": code, "role": role})
        names = [column.name for column in t.handshake.columns]
        return handshake_of(dict(zip(names, row, strict=True))) if row else None

    def save_handshake(self, handshake: Handshake) -> None:
        self._db.run(put_into(t.handshake), _row(handshake, t.handshake))
        self._db.run(_OLD_HANDSHAKES, {"at": handshake.created_at - KEPT_ENDED})

    def save_session(
        self, session_id: str, data: bytes, expires_at: int, account_id: str | None = None
    ) -> None:
        row = {
            "id": session_id,
            "account_id": account_id,
            "data": data,
            "expires_at": expires_at,
        }
        self._db.run(put_into(t.session), row)
        self._db.run(_OLD_SESSIONS, {"at": expires_at - KEPT_ENDED})

    def delete_session(self, session_id: str) -> None:
        self._db.run(_END_SESSION, {"id": session_id})
        self._touched.add("account")

    def delete_sessions_of(self, account_id: str) -> None:
        self._db.run(_END_SESSIONS, {"account_id": account_id})
        self._touched.add("account")

    def keep_message(
        self, message_id: str, sender: str, threat_id: str, jws: bytes, at: int
    ) -> bool:
        row = {"sender": sender, "id": message_id, "threat_id": threat_id, "jws": jws, "at": at}
        return self._db.run(_KEEP, row) == 1


def account_of(row: dict[str, Any]) -> Account:
    """Return the account in *row*."""
    return Account(**(row | {"disabled": bool(row["disabled"])}))


def token_of(row: tuple[Any, ...]) -> Token:
    """Return the token in *row*, the columns of its table."""
    found = dict(zip(t.token.columns.keys(), row, strict=True))
    rights = frozenset(Right(word) for word in json.loads(found["rights"]))
    return Token(**(found | {"rights": rights}))


def handshake_of(row: dict[str, Any]) -> Handshake:
    """Return the handshake in *row*."""
    return Handshake(**(row | {"stage": Stage(row["stage"])}))


def _row(thing: object, table: Any) -> dict[str, Any]:
    return {c.name: getattr(thing, c.name) for c in table.columns}
