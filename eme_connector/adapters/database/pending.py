"""What the works of one COMMIT add up and write once, just before it: counters and the audit log.

Nothing inside a transaction reads them, so they need not be there sooner. Many works of a batch
move the same few counters, and on PostgreSQL a counter's row is locked for the COMMIT alone.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Table, bindparam, func, literal_column, select

from eme_connector.adapters.database import changes
from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.seqs import Seqs
from eme_connector.adapters.database.statements import Connection, Statement, put_into

# all at once: each statement makes the one writer give up the interpreter
_NUMBERED = (changes.NAME, t.audit.name, t.delivery.name)
_LAST = Statement(
    select(
        select(t.sequence.c.value).where(t.sequence.c.name == changes.NAME).scalar_subquery(),
        *(select(func.max(table.c.id)).scalar_subquery() for table in (t.audit, t.delivery)),
    )
)
_NEW_IDS = Statement(
    select(func.nextval(func.pg_get_serial_sequence(bindparam("of_table"), "id"))).select_from(
        func.generate_series(literal_column("1"), bindparam("many"))
    )
)
_SALT = 32


class Pending:
    """Counters and records of one transaction, which may hold many works."""

    def __init__(self, connection: Connection, seqs: Seqs) -> None:
        self._db, self._seqs = connection, seqs
        self._counts: dict[tuple[str, tuple[Any, ...]], Counter[str]] = defaultdict(Counter)
        self._records: list[dict[str, Any]] = []
        self._last: dict[str, int] = {}
        self._given: set[str] = set()
        self._has_number = False

    def count(self, table: Table, key: tuple[Any, ...], counters: Iterable[str], n: int) -> None:
        """Add *n* to these *counters* of the row of *table* that has this primary key."""
        counts = self._counts[table.name, key]
        for name in counters:
            counts[name] += n

    def record(self, record: dict[str, Any]) -> None:
        """Append to the audit log: every column but `id`, `leaf_index` and `threat`."""
        self._records.append(record)

    def new_id(self, table: Table) -> int:
        """Return the id of a row of *table* to be inserted."""
        return self._new_ids(table, 1)[0]

    def next_change(self) -> int:
        """Return the number of the next change."""
        if self._db.dialect.name != "postgresql":
            return self._following(changes.NAME, 1)[0]
        found = self._db.one(changes.NEXT if self._has_number else changes.FIRST, {})
        assert found is not None
        self._has_number = True
        return int(found[0])

    def forget(self) -> None:
        """Forget all that is not written yet: its work has failed."""
        self._counts.clear()
        self._records.clear()
        self._seqs.forget()
        self._db.forget()

    def write(self) -> None:
        """Write it all, and what the connection holds back."""
        self._write_records()
        self._db.flush()
        if changes.NAME in self._given:
            number = self._last[changes.NAME]
            self._db.run(put_into(t.sequence), {"name": changes.NAME, "value": number})
        # in one order everywhere, so that no two transactions wait for each other
        for name, counted in groupby(sorted(self._counts), key=itemgetter(0)):
            table = t.metadata.tables[name]
            self._db.add_many(table, list(self._moved(table, counted)))
        self._counts.clear()

    def _moved(
        self, table: Table, counted: Iterable[tuple[str, tuple[Any, ...]]]
    ) -> Iterator[dict[str, Any]]:
        for name, key in counted:
            counts = self._counts[name, key]
            if any(counts.values()):
                row = dict.fromkeys(table.columns.keys(), 0) | counts
                row.update(zip(table.primary_key.columns.keys(), key, strict=True))
                yield row

    def _write_records(self) -> None:
        many = len(self._records)
        salts = os.urandom(_SALT * many)
        about = {one["threat_id"] for one in self._records} - {None}
        seqs = self._seqs.find(about)
        for place, number in enumerate(self._new_ids(t.audit, many)):
            salt = salts[_SALT * place : _SALT * (place + 1)]
            record = self._records[place]
            own = {"id": number, "leaf_index": None, "threat": seqs.get(record["threat_id"])}
            self._db.later(t.audit, record | own)
            self._db.later(t.audit_salt, {"audit_id": number, "salt": salt})
        self._records.clear()

    def _new_ids(self, table: Table, many: int) -> range | list[int]:
        if not many:
            return []
        if self._db.dialect.name == "postgresql":
            rows = self._db.all(_NEW_IDS, {"of_table": table.name, "many": many})
            return [number for (number,) in rows]
        return self._following(table.name, many)

    def _following(self, name: str, many: int) -> range:
        """Return the next numbers of *name*: nobody else gives any before our COMMIT."""
        if not self._last:
            found = self._db.one(_LAST, {})
            assert found is not None
            self._last = {one: last or 0 for one, last in zip(_NUMBERED, found, strict=True)}
        self._given.add(name)
        first = self._last[name] + 1
        self._last[name] += many
        return range(first, first + many)
