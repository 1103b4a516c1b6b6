"""The relay's memory and journal: what was agreed on with each target, and what was written."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, select

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Connection, Statement, insert_into, put_into
from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation
from eme_connector.domain.relay import Carried, Doubt, Memory, Run, Tombstone, Write
from eme_connector.formats.directory_json import dump, load

_P = bindparam
_A, _T, _D, _U = (x.c for x in (t.relay_agreed, t.relay_tombstone, t.relay_doubt,
                                t.relay_unannounced))  # fmt: skip
_LOCK = Statement(select(func.pg_advisory_xact_lock(func.hashtext(_P("target")))))
_OPEN = Statement(
    select(t.relay_run).where(
        and_(
            t.relay_run.c.target == _P("target"),
            t.relay_run.c.state == "running",
            t.relay_run.c.lease_until > _P("at"),
        )
    )
)
_BROKEN = Statement(
    select(t.relay_run).where(
        and_(
            t.relay_run.c.target == _P("target"),
            t.relay_run.c.state == "running",
            t.relay_run.c.lease_until <= _P("at"),
        )
    )
)
_DROP = Statement(delete(t.relay_run).where(t.relay_run.c.id == _P("id")))
_RUN = Statement(select(t.relay_run).where(t.relay_run.c.id == _P("id")))
_AGREED = Statement(select(_A.kind, _A.uuid, _A.body).where(_A.target == _P("target")))
_FORGET = Statement(
    delete(t.relay_agreed).where(
        and_(_A.target == _P("target"), _A.kind == _P("kind"), _A.uuid == _P("uuid"))
    )
)
_PAIR = and_(_T.group == _P("group"), _T.organisation == _P("organisation"))
_EXHUME = Statement(delete(t.relay_tombstone).where(and_(_T.target == _P("target"), _PAIR)))
_CLEAR_DOUBTS = Statement(delete(t.relay_doubt).where(_D.target == _P("target")))
_ANNOUNCED = Statement(
    delete(t.relay_unannounced).where(and_(_U.target == _P("target"), _U.group == _P("group")))
)
_ORGANISATION, _GROUP = "organisation", "group"


class RelayRows:
    """`ports.RelayWrites`."""

    _db: Connection

    def find_open_run(self, target: str, at: int) -> Run | None:
        if self._db.dialect.name == "postgresql":
            self._db.one(_LOCK, {"target": f"relay:{target}"})
        row = self._db.one(_OPEN, {"target": target, "at": at})
        return _run(_named(t.relay_run, row)) if row else None

    def find_run(self, run: str) -> Run | None:
        row = self._db.one(_RUN, {"id": run})
        return _run(_named(t.relay_run, row)) if row else None

    def save_run(self, run: Run) -> None:
        self._db.run(put_into(t.relay_run), _columns(run, t.relay_run))

    def drop_run(self, run: str) -> None:
        self._db.run(_DROP, {"id": run})

    def broken_runs(self, target: str, at: int) -> tuple[Run, ...]:
        rows = self._db.all(_BROKEN, {"target": target, "at": at})
        return tuple(_run(_named(t.relay_run, row)) for row in rows)

    def save_writes(self, run: str, writes: Iterable[Write]) -> None:
        for one in writes:
            row = {c.name: getattr(one, c.name) for c in t.relay_write.columns if c.name != "run"}
            told = {name: json.dumps(row[name], ensure_ascii=False) for name in ("before", "after")}
            self._db.run(put_into(t.relay_write), row | told | {"run": run})

    def remember(
        self,
        target: str,
        organisations: Mapping[str, RemoteOrganisation],
        groups: Mapping[str, RemoteGroup],
    ) -> None:
        rows = self._db.all(_AGREED, {"target": target})
        known = {(kind, uuid): body for kind, uuid, body in rows}
        fresh = {(_ORGANISATION, uuid): dump(one) for uuid, one in organisations.items()}
        fresh |= {(_GROUP, uuid): dump(one) for uuid, one in groups.items()}
        for (kind, uuid), body in fresh.items():
            if known.pop((kind, uuid), None) != body:
                row = {"target": target, "kind": kind, "uuid": uuid, "body": body}
                self._db.run(put_into(t.relay_agreed), row)
        for kind, uuid in known:
            self._db.run(_FORGET, {"target": target, "kind": kind, "uuid": uuid})

    def bury(self, target: str, tombstones: Iterable[Tombstone]) -> None:
        for one in tombstones:
            self._db.run(
                put_into(t.relay_tombstone), _columns(one, t.relay_tombstone, target=target)
            )

    def exhume(self, target: str, pairs: Iterable[tuple[str, str]]) -> None:
        for group, organisation in pairs:
            row = {"target": target, "group": group, "organisation": organisation}
            self._db.run(_EXHUME, row)

    def save_doubts(self, target: str, doubts: Collection[Doubt]) -> None:
        self._db.run(_CLEAR_DOUBTS, {"target": target})
        for one in doubts:
            self._db.run(put_into(t.relay_doubt), _columns(one, t.relay_doubt, target=target))

    def owe_announcements(self, target: str, groups: Iterable[str]) -> None:
        for group in set(groups):
            self.announced(target, group)
            row = {"target": target, "group": group}
            self._db.run(insert_into(t.relay_unannounced), row)

    def announced(self, target: str, group: str) -> None:
        self._db.run(_ANNOUNCED, {"target": target, "group": group})

    def save_carried(self, carried: Carried) -> None:
        row = _columns(carried, t.relay_carried) | {"body": json.dumps(carried.body)}
        self._db.run(put_into(t.relay_carried), row)


class RelayQueries:
    """`ports.RelayReads`; beside `DatabaseReads`, whose connections it uses."""

    def _all(self, query: Any) -> Sequence[Any]:
        raise NotImplementedError

    def memory(self, target: str) -> Memory:
        organisations: dict[str, RemoteOrganisation] = {}
        groups: dict[str, RemoteGroup] = {}
        for row in self._all(select(t.relay_agreed).where(_A.target == target)):
            if row.kind == _GROUP:
                groups[row.uuid] = load(RemoteGroup, row.body)  # type: ignore[assignment]
            else:
                organisations[row.uuid] = load(RemoteOrganisation, row.body)  # type: ignore[assignment]
        tombstones = self._all(select(t.relay_tombstone).where(_T.target == target))
        doubts = self._all(select(t.relay_doubt).where(_D.target == target))
        owed = self._all(select(t.relay_unannounced).where(_U.target == target))
        return Memory(
            organisations,
            groups,
            frozenset(Tombstone(r.group, r.organisation, r.at, r.came_back) for r in tombstones),
            {r.subject: Doubt(*tuple(r)[1:]) for r in doubts},
            frozenset(r.group for r in owed),
        )

    def runs(self, target: str | None = None, limit: int = 20) -> tuple[Run, ...]:
        run = t.relay_run.c
        query = select(t.relay_run).order_by(run.started_at.desc(), run.id).limit(limit)
        if target is not None:
            query = query.where(run.target == target)
        return tuple(_run(row._asdict()) for row in self._all(query))

    def writes(self, run: str) -> tuple[Write, ...]:
        where = t.relay_write.c.run == run
        query = select(t.relay_write).where(where).order_by(t.relay_write.c.number)
        return tuple(_write(row._asdict()) for row in self._all(query))

    def carried(self) -> tuple[Carried, ...]:
        query = select(t.relay_carried).order_by(t.relay_carried.c.at.desc())
        return tuple(
            Carried(**(row._asdict() | {"body": json.loads(row.body)})) for row in self._all(query)
        )


def _run(row: dict[str, Any]) -> Run:
    return Run(**row)


def _write(row: dict[str, Any]) -> Write:
    row.pop("run")
    return Write(**(row | {name: json.loads(row[name]) for name in ("before", "after")}))


def _columns(thing: object, table: Any, **more: Any) -> dict[str, Any]:
    return {c.name: getattr(thing, c.name, None) for c in table.columns} | more


def _named(table: Any, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip((c.name for c in table.columns), row, strict=True))
