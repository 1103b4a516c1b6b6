"""Reads on connections of their own; they never wait for the writer."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Engine, Executable, Table, and_, bindparam, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from eme_connector.adapters.database import changes, charts, entries, keywords, lists
from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.accounts import account_of, handshake_of, token_of
from eme_connector.adapters.database.deliveries import COLUMNS, delivery_of
from eme_connector.adapters.database.directory import entry_of
from eme_connector.adapters.database.misp import ENRICHMENT, MARK, enrichment_of
from eme_connector.adapters.database.schedule import turn_of
from eme_connector.adapters.database.spare import Rows, SpareConnections
from eme_connector.adapters.database.statements import Statement
from eme_connector.adapters.database.threats import MAY_READ, setting_of
from eme_connector.domain.accounts import Account, Peer, Token
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import Delivery, State
from eme_connector.domain.directory import EncryptionKey, Entry, Snapshot, settle, snapshot
from eme_connector.domain.handshake import Handshake
from eme_connector.domain.listing import Aggregate, Change, ListQuery, Page
from eme_connector.domain.misp import Enrichment, Mark, MarkKind
from eme_connector.domain.policy import Setting
from eme_connector.domain.schedule import Turn
from eme_connector.domain.threat import Threat
from eme_connector.errors import StoreUnavailable
from eme_connector.formats.codec import load_threat

TOKEN_KEPT_S = 1.0
"""How long another process may go on taking a token after it was changed here."""
_MOST_TOKENS = 1024
_D = t.delivery.c
_P = bindparam

# asked at every request or delivery: compiled once, run on the driver's own cursor
_VISIBLE = Statement(select(t.threat.c.body).where(MAY_READ))
_RAW = Statement(
    select(t.raw.c.bytes).where(
        and_(
            t.raw.c.threat == t.threat.c.seq,
            t.threat.c.id == _P("id"),
            t.raw.c.revision == _P("revision"),
        )
    )
)
_TOKEN = Statement(select(t.token).where(t.token.c.prefix == _P("prefix")))
_ACCOUNT = Statement(select(t.account).where(t.account.c.id == _P("id")))
_SESSION = Statement(
    select(t.session.c.data).where(
        and_(t.session.c.id == _P("id"), t.session.c.expires_at > _P("at"))
    )
)
_PEERS = Statement(select(t.peer).order_by(t.peer.c.created_at))
_PEER = Statement(select(t.peer).where(t.peer.c.fingerprint == _P("fingerprint")))
_SEQUENCE = Statement(select(t.sequence.c.value).where(t.sequence.c.name == _P("name")))
# one step per lane down the index of what is due, however much each lane holds
_LANES = Statement(
    text("""
WITH RECURSIVE lanes (lane) AS (
  SELECT min(lane) FROM delivery WHERE state IN ('owed', 'sending')
  UNION ALL
  SELECT (SELECT min(lane) FROM delivery
    WHERE lane > lanes.lane AND state IN ('owed', 'sending'))
  FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT lane,
  EXISTS (SELECT 1 FROM delivery WHERE delivery.lane = lanes.lane
    AND state IN ('owed', 'sending') AND next_at <= :now AND lease_until <= :now),
  (SELECT min(next_at) FROM delivery WHERE delivery.lane = lanes.lane
    AND state IN ('owed', 'sending') AND next_at > :now)
FROM lanes WHERE lane IS NOT NULL
""")
)


class DatabaseReads:
    """`ports.Reads` on an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._spare = SpareConnections(engine)
        self._tokens: dict[str, tuple[Token, float]] = {}
        self._numbers: dict[str, int] = {}
        self._frequent = keywords.Frequent()
        self._has_many_writers = engine.dialect.name == "postgresql"

    def find_visible_threat(self, threat_id: str, viewer: str) -> Threat | None:
        row = self._first(_VISIBLE, id=threat_id, viewer=viewer)
        return load_threat(row[0]) if row else None

    def list_threats(self, query: ListQuery) -> Page:
        with self._together() as rows:
            number = partial(self._number, rows=rows)
            return lists.page(query, rows, number, self._engine.dialect.name, self._frequent)

    def aggregate(self, viewer: str, at: int) -> Aggregate:
        return charts.aggregate(viewer, at, self._asked)

    def raw(self, threat_id: str, revision: int) -> bytes | None:
        row = self._first(_RAW, id=threat_id, revision=revision)
        return bytes(row[0]) if row else None

    def timeline(self, threat_id: str) -> tuple[AuditRecord, ...]:
        query = select(t.audit).where(_among(t.audit.c.threat, [threat_id])).order_by(t.audit.c.id)
        return tuple(
            AuditRecord(r.event, r.at, r.by, r.organisation, r.threat_id, r.revision,
                        json.loads(r.detail))
            for r in self._all(query)
        )  # fmt: skip

    def changes(self, viewer: str, after: int, limit: int) -> tuple[Change, ...]:
        settled = self.last_change() if self._has_many_writers else changes.ENDLESS
        number = self._number(viewer)
        values = {"viewer": number, "after": after, "settled": settled, "most": limit}
        return tuple(entries.change_of(row) for row in self._asked(entries.CHANGES, values))

    def last_change(self) -> int:
        if self._has_many_writers:
            return changes.settled(self._asked)
        row = self._first(changes.KEPT)
        return int(row[0]) if row else 0

    def keywords_at(self) -> int:
        """Return the number of the last change whose keywords are indexed."""
        row = self._first(_SEQUENCE, name=keywords.CURSOR)
        return int(row[0]) if row else 0

    def policy_settings_of(self, organisation: str) -> tuple[Setting, ...]:
        table = t.policy_setting
        query = select(table.c.body).where(table.c.organisation == organisation)
        return tuple(setting_of(r.body) for r in self._all(query.order_by(table.c.id)))

    def stopped(self, organisation: str) -> bool:
        query = select(t.stop.c.by).where(t.stop.c.organisation == organisation)
        return self._one(query) is not None

    def deliveries_of(self, threat_id: str) -> tuple[Delivery, ...]:
        query = select(*COLUMNS).where(_among(_D.threat, [threat_id])).order_by(_D.id)
        return tuple(delivery_of(tuple(row)) for row in self._all(query))

    def deliveries_in(self, lane: str, threat_ids: Collection[str]) -> tuple[Delivery, ...]:
        where = and_(_among(_D.threat, threat_ids), _D.lane == lane)
        query = select(*COLUMNS).where(where).order_by(_D.id)
        return tuple(delivery_of(tuple(row)) for row in self._all(query))

    def list_deliveries(
        self,
        *,
        state: State | None = None,
        lane: str | None = None,
        organisation: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> tuple[Delivery, ...]:
        where: list[ColumnElement[bool]] = [_D.id > after]
        wanted = {_D.state: state and str(state), _D.lane: lane, _D.organisation: organisation}
        where += [column == value for column, value in wanted.items() if value is not None]
        query = select(*COLUMNS).where(and_(*where)).order_by(_D.id).limit(limit)
        return tuple(delivery_of(tuple(row)) for row in self._all(query))

    def delivery_counts(self) -> dict[tuple[str, State], int]:
        query = select(_D.lane, _D.state, func.count().label("n")).group_by(_D.lane, _D.state)
        return {(r.lane, State(r.state)): r.n for r in self._all(query)}

    def busy_lanes(self, now: float) -> tuple[tuple[str, ...], float | None]:
        rows = self._rows(_LANES, now=now)
        later = [next_at for *_, next_at in rows if next_at is not None]
        return tuple(lane for lane, due, _ in rows if due), min(later, default=None)

    def find_account(self, name: str) -> Account | None:
        row = self._one(select(t.account).where(t.account.c.name == name))
        return Account(**row._asdict()) if row else None

    def find_account_by_id(self, account_id: str) -> Account | None:
        row = self._first(_ACCOUNT, id=account_id)
        return account_of(_named(t.account, row)) if row else None

    def accounts(self) -> tuple[Account, ...]:
        rows = self._all(select(t.account).order_by(t.account.c.name))
        return tuple(Account(**row._asdict()) for row in rows)

    def find_token(self, prefix: str) -> Token | None:
        kept = self._tokens.get(prefix)
        if kept is not None and kept[1] > time.monotonic():
            return kept[0]
        row = self._first(_TOKEN, prefix=prefix)
        if row is None:
            return None
        if len(self._tokens) >= _MOST_TOKENS:
            self._tokens.clear()
        found = token_of(row)
        self._tokens[prefix] = found, time.monotonic() + TOKEN_KEPT_S
        return found

    def tokens(self) -> tuple[Token, ...]:
        rows = self._all(select(t.token).order_by(t.token.c.created_at))
        return tuple(token_of(tuple(row)) for row in rows)

    def find_session(self, session_id: str, at: int) -> bytes | None:
        row = self._first(_SESSION, id=session_id, at=at)
        return bytes(row[0]) if row else None

    def peers(self) -> tuple[Peer, ...]:
        return tuple(Peer(**_named(t.peer, row)) for row in self._rows(_PEERS))

    def find_peer(self, fingerprint: str) -> Peer | None:
        row = self._first(_PEER, fingerprint=fingerprint)
        return Peer(**_named(t.peer, row)) if row else None

    def mark(self, kind: MarkKind, mark_id: str) -> Mark | None:
        row = self._first(MARK, kind=kind, id=mark_id)
        return Mark(*row) if row else None

    def enrichment(self, threat_id: str) -> Enrichment | None:
        row = self._first(ENRICHMENT, id=threat_id)
        return enrichment_of(row[0]) if row else None

    def turns(self) -> tuple[Turn, ...]:
        return tuple(turn_of(row._asdict()) for row in self._all(select(t.turn).order_by("job")))

    def find_handshake(self, code: str, role: str) -> Handshake | None:
        where = and_(t.handshake.c.code == code, t.handshake.c.role == role)
        row = self._one(select(t.handshake).where(where))
        return handshake_of(row._asdict()) if row else None

    def handshakes(self) -> tuple[Handshake, ...]:
        rows = self._all(select(t.handshake).order_by(t.handshake.c.created_at.desc()))
        return tuple(handshake_of(row._asdict()) for row in rows)

    def directory(self) -> Snapshot:
        return snapshot(self.directory_entries())

    def directory_entries(self) -> tuple[Entry, ...]:
        query = select(t.directory).where(t.directory.c.kind != "key")
        return settle(entry_of(row) for row in self._all(query))

    def told_by(self, source: str) -> tuple[Entry, ...]:
        query = select(t.directory).where(t.directory.c.source == source)
        return tuple(entry_of(row) for row in self._all(query))

    def directory_version(self) -> int:
        row = self._first(_SEQUENCE, name="directory")
        return int(row[0]) if row else 0

    def encryption_keys(self, owner: str | None = None) -> tuple[EncryptionKey, ...]:
        query = select(t.directory).where(t.directory.c.kind == "key")
        if owner is not None:
            query = query.where(t.directory.c.owner == owner)
        found = (entry.what for entry in settle(entry_of(row) for row in self._all(query)))
        return tuple(one for one in found if isinstance(one, EncryptionKey))

    def _number(self, organisation: str, rows: Rows | None = None) -> int | None:
        """Return the number that list entries have for an organisation, None where there is none.

        A number is never given up, so it can be kept for good.
        """
        if organisation not in self._numbers:
            found = (rows or self._asked)(entries.NUMBER, {"uuid": organisation})
            if not found:
                return None
            self._numbers[organisation] = found[0][0]
        return self._numbers[organisation]

    def _first(self, statement: Statement, **values: Any) -> tuple[Any, ...] | None:
        found = self._rows(statement, **values)
        return found[0] if found else None

    def _rows(self, statement: Statement, **values: Any) -> list[tuple[Any, ...]]:
        return self._asked(statement, values)

    def _asked(self, statement: Statement, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        try:
            return self._spare.rows(statement, values)
        except (SQLAlchemyError, self._spare.error) as exc:
            raise StoreUnavailable("the database cannot be read") from exc

    @contextmanager
    def _together(self) -> Iterator[Rows]:
        try:
            with self._spare.together() as rows:
                yield rows
        except (SQLAlchemyError, self._spare.error) as exc:
            raise StoreUnavailable("the database cannot be read") from exc

    def _one(self, query: Executable) -> Any:
        found = self._all(query)
        return found[0] if found else None

    def _all(self, query: Executable) -> Sequence[Any]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).fetchall()
        except SQLAlchemyError as exc:
            raise StoreUnavailable("the database cannot be read") from exc


def _among(seq: ColumnElement[int], threat_ids: Collection[str]) -> ColumnElement[bool]:
    """Return whether *seq* is the number of one of these threats."""
    return seq.in_(select(t.threat.c.seq).where(t.threat.c.id.in_(sorted(threat_ids))))


def _named(table: Table, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(table.columns.keys(), row, strict=True))
