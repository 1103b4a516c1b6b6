"""The directory inside a transaction: what each source tells of organisations, groups, keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, bindparam, delete, select

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Connection, Statement, put_into
from eme_connector.domain.directory import (
    EncryptionKey,
    Entry,
    RemoteGroup,
    RemoteOrganisation,
    Snapshot,
    Told,
    settle,
)
from eme_connector.formats.directory_json import dump, load

_KINDS: dict[str, type[Told]] = {
    "organisation": RemoteOrganisation,
    "group": RemoteGroup,
    "key": EncryptionKey,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_P = bindparam
_C = t.directory.c
_IS = and_(_C.source == _P("source"), _C.kind == _P("kind"), _C.uuid == _P("uuid"))
_ONE = Statement(select(_C.body, _C.since).where(_IS))
_ALL_OF = Statement(select(_C.kind, _C.uuid, _C.body, _C.since).where(_C.source == _P("source")))
_TOLD = Statement(select(t.directory).where(and_(_C.kind == _P("kind"), _C.uuid == _P("uuid"))))
_REMOVE = Statement(delete(t.directory).where(_IS))
_NEXT_VERSION = Statement(
    lambda m: (
        m.insert(t.sequence)
        .values(name="directory", value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": t.sequence.c.value + 1})
    )
)


class DirectoryRows:
    """`ports.DirectoryWrites`."""

    _db: Connection
    _touched: set[str]

    def find_entry(self, kind: type[Told], uuid: str) -> Entry | None:
        rows = self._db.all(_TOLD, {"kind": _NAMES[kind], "uuid": uuid})
        names = [column.name for column in t.directory.columns]
        entries = settle(_entry(dict(zip(names, row, strict=True))) for row in rows)
        return entries[0] if entries else None

    def save_entry(self, source: str, what: Told, at: int) -> bool:
        known = self._db.one(
            _ONE, {"source": source, "kind": _NAMES[type(what)], "uuid": what.uuid}
        )
        body = dump(what)
        if known and known[0] == body:
            return False
        self._put(source, what, body, since=known[1] if known else at, at=at)
        self._changed()
        return True

    def remove_entry(self, source: str, kind: type[Told], uuid: str) -> bool:
        row = {"source": source, "kind": _NAMES[kind], "uuid": uuid}
        if not self._db.run(_REMOVE, row):
            return False
        self._changed()
        return True

    def replace_entries(
        self, source: str, snapshot: Snapshot, keys: Iterable[EncryptionKey], at: int
    ) -> bool:
        rows = self._db.all(_ALL_OF, {"source": source})
        known = {(kind, uuid): (body, since) for kind, uuid, body, since in rows}
        things: list[Told] = [*snapshot.organisations.values(), *snapshot.groups.values(), *keys]
        changed = False
        for what in things:
            body, since = known.pop((_NAMES[type(what)], what.uuid), ("", at))
            fresh = dump(what)
            if body != fresh:
                self._put(source, what, fresh, since=since, at=at)
                changed = True
        for kind, uuid in known:
            self._db.run(_REMOVE, {"source": source, "kind": kind, "uuid": uuid})
        if changed or known:
            self._changed()
        return changed or bool(known)

    def _put(self, source: str, what: Told, body: str, *, since: int, at: int) -> None:
        row = {
            "source": source,
            "kind": _NAMES[type(what)],
            "uuid": what.uuid,
            "owner": what.uuid if isinstance(what, RemoteOrganisation) else what.owner,
            "body": body,
            "since": since,
            "at": at,
        }
        self._db.run(put_into(t.directory), row)

    def _changed(self) -> None:
        self._db.run(_NEXT_VERSION, {})
        self._touched.add("directory")


def entry_of(row: Any) -> Entry:
    """Return the entry in *row* of a query."""
    return _entry(row._asdict())


def _entry(row: dict[str, Any]) -> Entry:
    what = load(_KINDS[row["kind"]], row["body"])
    return Entry(row["source"], what, row["since"], row["at"])
