"""Reads on connections of their own; they never wait for the writer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, Executable, and_, func, select
from sqlalchemy.exc import SQLAlchemyError

from eme_connector.adapters.database import charts, keywords, lists
from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.accounts import token_of
from eme_connector.adapters.database.deliveries import COLUMNS, IS_OPEN, delivery_of
from eme_connector.adapters.database.directory import entry_of
from eme_connector.adapters.database.threats import setting_of
from eme_connector.domain.accounts import Account, Peer, Token
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import Delivery, State
from eme_connector.domain.directory import EncryptionKey, Entry, Snapshot, settle, snapshot
from eme_connector.domain.listing import Aggregate, Change, ListQuery, Page
from eme_connector.domain.policy import Setting
from eme_connector.domain.threat import Threat
from eme_connector.errors import StoreUnavailable
from eme_connector.formats.codec import load_threat

_D = t.delivery.c


class DatabaseReads:
    """`ports.Reads` on an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find_visible_threat(self, threat_id: str, viewer: str) -> Threat | None:
        joined = t.threat.join(t.listing, t.listing.c.threat_id == t.threat.c.id)
        where = and_(t.threat.c.id == threat_id, t.listing.c.viewer == viewer)
        row = self._one(select(t.threat.c.body).select_from(joined).where(where))
        return load_threat(row.body) if row else None

    def list_threats(self, query: ListQuery) -> Page:
        return lists.page(
            query,
            self._all,
            keywords.matching(query.keyword, self._engine.dialect.name, self._all),
        )

    def aggregate(self, viewer: str, at: int) -> Aggregate:
        return charts.aggregate(viewer, at, self._all, keywords.lag(self._all, at))

    def raw(self, threat_id: str, revision: int) -> bytes | None:
        where = and_(t.raw.c.threat_id == threat_id, t.raw.c.revision == revision)
        row = self._one(select(t.raw.c.bytes).where(where))
        return bytes(row.bytes) if row else None

    def timeline(self, threat_id: str) -> tuple[AuditRecord, ...]:
        query = select(t.audit).where(t.audit.c.threat_id == threat_id).order_by(t.audit.c.id)
        return tuple(
            AuditRecord(r.event, r.at, r.by, r.organisation, r.threat_id, r.revision,
                        json.loads(r.detail))
            for r in self._all(query)
        )  # fmt: skip

    def changes(self, viewer: str, after: int, limit: int) -> tuple[Change, ...]:
        entry = t.listing.c
        query = (
            select(t.listing)
            .where(and_(entry.viewer == viewer, entry.change > after))
            .order_by(entry.change)
            .limit(limit)
        )
        return tuple(
            Change(r.change, r.threat_id, r.event, r.status, r.execution, r.changed_at)
            for r in self._all(query)
        )

    def last_change(self) -> int:
        row = self._one(select(t.sequence.c.value).where(t.sequence.c.name == "change"))
        return row.value if row else 0

    def policy_settings_of(self, organisation: str) -> tuple[Setting, ...]:
        table = t.policy_setting
        query = select(table.c.body).where(table.c.organisation == organisation)
        return tuple(setting_of(r.body) for r in self._all(query.order_by(table.c.id)))

    def stopped(self, organisation: str) -> bool:
        query = select(t.stop.c.by).where(t.stop.c.organisation == organisation)
        return self._one(query) is not None

    def deliveries_of(self, threat_id: str) -> tuple[Delivery, ...]:
        query = select(*COLUMNS).where(_D.threat_id == threat_id).order_by(_D.id)
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
        due = select(_D.lane).where(and_(IS_OPEN, _D.next_at <= now, _D.lease_until <= now))
        lanes = tuple(r.lane for r in self._all(due.distinct()))
        later = select(func.min(_D.next_at).label("at")).where(and_(IS_OPEN, _D.next_at > now))
        row = self._one(later)
        return lanes, row.at if row else None

    def find_account(self, name: str) -> Account | None:
        return self._account(t.account.c.name == name)

    def find_account_by_id(self, account_id: str) -> Account | None:
        return self._account(t.account.c.id == account_id)

    def accounts(self) -> tuple[Account, ...]:
        rows = self._all(select(t.account).order_by(t.account.c.name))
        return tuple(Account(**row._asdict()) for row in rows)

    def find_token(self, prefix: str) -> Token | None:
        row = self._one(select(t.token).where(t.token.c.prefix == prefix))
        return token_of(row._asdict()) if row else None

    def tokens(self) -> tuple[Token, ...]:
        rows = self._all(select(t.token).order_by(t.token.c.created_at))
        return tuple(token_of(row._asdict()) for row in rows)

    def find_session(self, session_id: str, at: int) -> bytes | None:
        where = and_(t.session.c.id == session_id, t.session.c.expires_at > at)
        row = self._one(select(t.session.c.data).where(where))
        return bytes(row.data) if row else None

    def peers(self) -> tuple[Peer, ...]:
        rows = self._all(select(t.peer).order_by(t.peer.c.created_at))
        return tuple(Peer(**row._asdict()) for row in rows)

    def find_peer(self, fingerprint: str) -> Peer | None:
        row = self._one(select(t.peer).where(t.peer.c.fingerprint == fingerprint))
        return Peer(**row._asdict()) if row else None

    def directory(self) -> Snapshot:
        return snapshot(self.directory_entries())

    def directory_entries(self) -> tuple[Entry, ...]:
        query = select(t.directory).where(t.directory.c.kind != "key")
        return settle(entry_of(row) for row in self._all(query))

    def directory_version(self) -> int:
        row = self._one(select(t.sequence.c.value).where(t.sequence.c.name == "directory"))
        return row.value if row else 0

    def encryption_keys(self, owner: str | None = None) -> tuple[EncryptionKey, ...]:
        query = select(t.directory).where(t.directory.c.kind == "key")
        if owner is not None:
            query = query.where(t.directory.c.owner == owner)
        found = (entry.what for entry in settle(entry_of(row) for row in self._all(query)))
        return tuple(one for one in found if isinstance(one, EncryptionKey))

    def _account(self, where: ColumnElement[bool]) -> Account | None:
        row = self._one(select(t.account).where(where))
        return Account(**row._asdict()) if row else None

    def _one(self, query: Executable) -> Any:
        found = self._all(query)
        return found[0] if found else None

    def _all(self, query: Executable) -> Sequence[Any]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).fetchall()
        except SQLAlchemyError as exc:
            raise StoreUnavailable("the database cannot be read") from exc
