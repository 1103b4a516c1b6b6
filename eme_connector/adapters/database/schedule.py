"""Work that repeats, inside a transaction."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import bindparam, func, select, update

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Connection, Statement, put_into
from eme_connector.domain.schedule import Turn

_COLUMNS = tuple(column.name for column in t.turn.columns)
_FIND = Statement(select(t.turn).where(t.turn.c.job == bindparam("job")))
_LOCK = Statement(select(func.pg_advisory_xact_lock(func.hashtext(bindparam("job")))))
_VOID = Statement(update(t.turn).values(lease_until=0))


class ScheduleRows:
    """`ports.ScheduleWrites`."""

    _db: Connection

    def find_turn(self, job: str) -> Turn | None:
        if self._db.dialect.name == "postgresql":
            self._db.one(_LOCK, {"job": f"job:{job}"})
        row = self._db.one(_FIND, {"job": job})
        return turn_of(dict(zip(_COLUMNS, row, strict=True))) if row else None

    def save_turn(self, turn: Turn) -> None:
        row = {name: getattr(turn, name) for name in _COLUMNS}
        self._db.run(put_into(t.turn), row | {"detail": json.dumps(dict(turn.detail))})

    def void_turns(self) -> None:
        """Let every job be taken at once: who held them died with the process before."""
        self._db.run(_VOID, {})


def turn_of(row: dict[str, Any]) -> Turn:
    """Return the turn in *row*."""
    return Turn(**(row | {"detail": json.loads(row["detail"])}))
