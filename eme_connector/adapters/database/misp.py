"""What is kept of a MISP: marks, and what it knew of a threat's values."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import bindparam, func, select

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Connection, Statement, put_into
from eme_connector.domain.misp import Enrichment, Known, Mark, MarkKind, Related

MARK = Statement(
    select(t.misp_mark).where(
        t.misp_mark.c.kind == bindparam("kind"), t.misp_mark.c.id == bindparam("id")
    )
)
ENRICHMENT = Statement(
    select(t.enrichment.c.body).where(t.enrichment.c.threat_id == bindparam("id"))
)
_LOCK = Statement(select(func.pg_advisory_xact_lock(func.hashtext(bindparam("name")))))


class MispRows:
    """`ports.MispWrites`."""

    _db: Connection

    def find_mark(self, kind: MarkKind, mark_id: str) -> Mark | None:
        if self._db.dialect.name == "postgresql":
            self._db.one(_LOCK, {"name": f"misp:{kind}:{mark_id}"})
        row = self._db.one(MARK, {"kind": kind, "id": mark_id})
        return Mark(*row) if row else None

    def save_mark(self, mark: Mark) -> None:
        self._db.run(put_into(t.misp_mark), asdict(mark))

    def save_enrichment(self, enrichment: Enrichment) -> None:
        body = json.dumps(asdict(enrichment))
        self._db.run(put_into(t.enrichment), {"threat_id": enrichment.threat_id, "body": body})


def enrichment_of(body: str) -> Enrichment:
    """Return the enrichment in a row."""
    found: dict[str, Any] = json.loads(body)
    known = tuple(_known(one) for one in found.pop("known"))
    return Enrichment(**found, known=known)


def _known(one: dict[str, Any]) -> Known:
    events = tuple(Related(**event) for event in one["events"])
    return Known(one["value"], events, tuple(one["warnings"]))
