"""The small numbers by which tables name threats inside one transaction: `threat.seq`.

The public id is random, so that an index of it has a page to write for nearly every row; one of
numbers grows at its end.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from eme_connector.adapters.database.statements import Connection, Statement

_SEQS = Statement(
    lambda m: text(
        "SELECT id, seq FROM threat WHERE id IN (SELECT value FROM json_each(:ids))"
        if m is sqlite
        else "SELECT id, seq FROM threat WHERE id = ANY(:ids)"
    )
)


class Seqs:
    """What a transaction knows of them: threats that it has added or read are not asked for."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self._known: dict[str, int] = {}

    def keep(self, threat_id: str, seq: int) -> None:
        """Remember what a row of ours has told."""
        self._known[threat_id] = seq

    def forget(self) -> None:
        """Forget all: what was added is taken back."""
        self._known.clear()

    def get(self, threat_id: str) -> int | None:
        """Return the number of a threat, None where there is no such threat."""
        known = self._known.get(threat_id)
        return self.find((threat_id,)).get(threat_id) if known is None else known

    def find(self, threat_ids: Collection[str]) -> dict[str, int]:
        """Return the numbers of all threats known, of these as many as there are."""
        unknown = [one for one in threat_ids if one not in self._known]
        self._known.update(rows_of(self._db, _SEQS, unknown))
        return self._known


def rows_of(
    db: Connection, statement: Statement, threat_ids: Collection[str]
) -> list[tuple[Any, ...]]:
    """Return the rows of a *statement* about these threats."""
    if not threat_ids:
        return []
    ids = sorted(threat_ids)
    return db.all(statement, {"ids": json.dumps(ids) if db.dialect.name == "sqlite" else ids})
