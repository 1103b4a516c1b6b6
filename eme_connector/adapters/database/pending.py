"""What the works of one COMMIT add up and write once, just before it: counters and the audit log.

Nothing inside a transaction reads them, so they need not be there sooner. Many works of a batch
move the same few counters, and on PostgreSQL a counter's row is locked for the COMMIT alone.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from sqlalchemy import Table, bindparam, func, literal_column, select

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import (
    Connection,
    Statement,
    add_to,
    insert_into,
    put_into,
)

Mark = tuple[int, int]
Record = tuple[Any, ...]
_RECORD = ("at", "event", "by", "organisation", "threat_id", "revision", "detail")
_AUDIT = Statement(t.audit.insert().values({name: bindparam(name) for name in ("id", *_RECORD)}))
_LAST_CHANGE = Statement(select(t.sequence.c.value).where(t.sequence.c.name == "change"))
_NEXT_CHANGE = Statement(
    lambda m: (
        m.insert(t.sequence)
        .values(name="change", value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": t.sequence.c.value + 1})
        .returning(t.sequence.c.value)
    )
)
_LAST_ID = Statement(select(func.coalesce(func.max(t.audit.c.id), 0)))
_NEW_IDS = Statement(
    select(func.nextval(func.pg_get_serial_sequence("audit", "id"))).select_from(
        func.generate_series(literal_column("1"), bindparam("many"))
    )
)


class Pending:
    """Counters and records of one transaction, which may hold many works."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self._counts: list[tuple[Table, tuple[Any, ...], int]] = []
        self._records: list[Record] = []
        self._change: int | None = None

    def count(self, table: Table, key: tuple[Any, ...], n: int) -> None:
        """Add *n* to the row of *table* that has this primary key."""
        self._counts.append((table, key, n))

    def next_change(self) -> int:
        """Return the number of the next change."""
        if self._db.dialect.name == "postgresql":
            found = self._db.one(_NEXT_CHANGE, {})
            return int(found[0]) if found else 0
        if self._change is None:  # nobody else writes before our COMMIT
            found = self._db.one(_LAST_CHANGE, {})
            self._change = int(found[0]) if found else 0
        self._change += 1
        return self._change

    def record(self, *record: Any) -> None:
        """Append to the audit log: the columns but for `id` and `leaf_index`, in their order."""
        self._records.append(record)

    def mark(self) -> Mark:
        """Return how far it is filled, for `forget`."""
        return len(self._counts), len(self._records)

    def forget(self, mark: Mark) -> None:
        """Forget what came after *mark*: its work has failed."""
        del self._counts[mark[0] :], self._records[mark[1] :]

    def write(self) -> None:
        """Write it all; the next thing must be COMMIT."""
        if self._records:
            self._write_records()
        if self._change is not None:
            self._db.run(put_into(t.sequence), {"name": "change", "value": self._change})
        sums: Counter[tuple[str, tuple[Any, ...]]] = Counter()
        for table, key, n in self._counts:
            sums[table.name, key] += n
        # in one order everywhere, so that no two transactions wait for each other
        for (name, key), n in sorted(sums.items()):
            if n:
                table = t.metadata.tables[name]
                self._db.run(add_to(table), dict(zip(_names(table), (*key, n), strict=True)))

    def _write_records(self) -> None:
        ids = self._new_ids(len(self._records))
        names = ("id", *_RECORD)
        rows = zip(ids, self._records, strict=True)
        self._db.run_many(_AUDIT, [dict(zip(names, (i, *row), strict=True)) for i, row in rows])
        salts = [{"audit_id": i, "salt": os.urandom(32)} for i in ids]
        self._db.run_many(insert_into(t.audit_salt), salts)

    def _new_ids(self, many: int) -> list[int]:
        if self._db.dialect.name == "postgresql":
            return [number for (number,) in self._db.all(_NEW_IDS, {"many": many})]
        last = self._db.one(_LAST_ID, {})
        first = (last[0] if last else 0) + 1
        return list(range(first, first + many))


def _names(table: Table) -> list[str]:
    return list(table.columns.keys())
