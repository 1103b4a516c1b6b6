"""Threats, list entries and counters inside a transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, bindparam, delete, select, text
from sqlalchemy.dialects import sqlite

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.entries import Numbers, entry
from eme_connector.adapters.database.pending import Pending
from eme_connector.adapters.database.seqs import Seqs, rows_of
from eme_connector.adapters.database.statements import (
    Connection,
    Statement,
    put_into,
)
from eme_connector.adapters.database.totals import DAY, HOUR
from eme_connector.domain.policy import Scope, Setting
from eme_connector.domain.threat import Threat
from eme_connector.formats.codec import dump_threat, load_threat

_P = bindparam

_ROW = (t.threat.c.seq, t.threat.c.body)
_BY_ID = Statement(select(*_ROW).where(t.threat.c.id == _P("id")).with_for_update())
_BY_IDS = Statement(
    lambda m: text(
        "SELECT seq, body FROM threat WHERE id IN (SELECT value FROM json_each(:ids))"
        if m is sqlite
        else "SELECT seq, body FROM threat WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"
    )
)
_BY_IDENTITY = Statement(
    select(*_ROW).where(t.threat.c.identity == _P("identity")).with_for_update()
)
_ADD = Statement(
    lambda m: (
        m.insert(t.threat)
        .values({c.name: _P(c.name) for c in t.threat.columns if c.name != "seq"})
        .on_conflict_do_nothing(index_elements=["identity"])
        .returning(t.threat.c.seq)
    )
)
_VIEWERS = Statement(
    lambda m: text(
        "SELECT threat.id, threat.seq, organisation.uuid FROM threat"  # noqa: S608 - our own words
        " JOIN listing ON listing.threat = threat.seq"
        " JOIN organisation ON organisation.number = listing.viewer WHERE threat.id "
        + ("IN (SELECT value FROM json_each(:ids))" if m is sqlite else "= ANY(:ids)")
    )
)
MAY_READ = and_(
    t.threat.c.id == _P("id"),
    t.listing.c.threat == t.threat.c.seq,
    t.listing.c.viewer == t.organisation.c.number,
    t.organisation.c.uuid == _P("viewer"),
)
_MAY_READ = Statement(select(t.listing.c.viewer).where(MAY_READ))
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_SETTINGS = Statement(
    select(t.policy_setting.c.body)
    .where(t.policy_setting.c.organisation == _P("organisation"))
    .order_by(t.policy_setting.c.id)
)
_SETTING = Statement(
    select(t.policy_setting.c.body).where(t.policy_setting.c.id == _P("id")).with_for_update()
)
_STOPPED = Statement(
    select(t.stop.c.organisation).where(t.stop.c.organisation == _P("organisation"))
)
_RESUME = Statement(delete(t.stop).where(t.stop.c.organisation == _P("organisation")))


class ThreatRows:
    """`ports.ThreatWrites` but for the audit log."""

    _db: Connection
    _touched: set[str]
    _pending: Pending
    _numbers: Numbers
    _seqs: Seqs
    _settings: dict[str, tuple[Setting, ...]]
    _shard: int

    def find_own_threat(self, organisation: str, carrier_id: str, iris_id: str) -> Threat | None:
        identity = identity_of(organisation, carrier_id, iris_id)
        row = self._db.one(_BY_IDENTITY, {"identity": identity})
        return self._read(row) if row else None

    def find_threat(self, threat_id: str) -> Threat | None:
        row = self._db.one(_BY_ID, {"id": threat_id})
        return self._read(row) if row else None

    def find_threats(self, threat_ids: Iterable[str]) -> dict[str, Threat]:
        found = [self._read(row) for row in rows_of(self._db, _BY_IDS, set(threat_ids))]
        return {one.id: one for one in found}

    def keep_threats(self, threats: Iterable[Threat]) -> None:
        rows = [(one.id, dump_threat(one).decode()) for one in threats]
        self._db.update_many(t.threat, ("id",), ("body",), rows)

    def may_read(self, threat_id: str, viewer: str) -> bool:
        return self._db.one(_MAY_READ, {"id": threat_id, "viewer": viewer}) is not None

    def add_threat(self, threat: Threat, raw: bytes, viewers: Collection[str]) -> bool:
        found = threat.detection
        own = threat.origin is None
        row = {
            "id": threat.id,
            "identity": identity_of(threat.organisation, found.carrier_id, found.iris_id)
            if own
            else None,
            "organisation": threat.organisation,
            "origin": threat.origin,
            "body": dump_threat(threat).decode(),
        }
        added = self._db.one(_ADD, row)
        if added is None:
            return False
        self._seqs.keep(threat.id, added[0])
        self._keep_raw(threat, raw)
        for viewer in viewers:
            self._db.later(t.listing, self._entered(threat, added[0], viewer))
        return True

    def add_viewer(self, threat: Threat, viewer: str) -> None:
        seq = self._seqs.get(threat.id)
        if seq is not None and not self.may_read(threat.id, viewer):
            self._db.later(t.listing, self._entered(threat, seq, viewer))

    def save_threat(self, threat: Threat, before: Threat, raw: bytes | None = None) -> None:
        if raw is not None:
            self._keep_raw(threat, raw)
        self.save_threats([(threat, before)])

    def save_threats(self, moved: Iterable[tuple[Threat, Threat]]) -> None:
        both = {threat.id: (threat, before) for threat, before in moved}
        self.keep_threats(threat for threat, _ in both.values())
        entries = []
        for threat_id, seq, viewer in rows_of(self._db, _VIEWERS, both):
            threat, before = both[threat_id]
            self._count(before, viewer, -1)
            entries.append(self._entered(threat, seq, viewer))
        self._db.run_many(put_into(t.listing), entries)

    def policy_settings(self, organisation: str) -> tuple[Setting, ...]:
        found = self._settings.get(organisation)
        if found is None:
            rows = self._db.all(_SETTINGS, {"organisation": organisation})
            found = self._settings[organisation] = tuple(setting_of(body) for (body,) in rows)
        return found

    def find_policy_setting(self, setting_id: str) -> Setting | None:
        row = self._db.one(_SETTING, {"id": setting_id})
        return setting_of(row[0]) if row else None

    def save_policy_setting(self, setting: Setting) -> None:
        row = {
            "id": setting.id,
            "organisation": setting.organisation,
            "body": _setting_body(setting),
        }
        self._db.run(put_into(t.policy_setting), row)
        self._settings.clear()

    def is_stopped(self, organisation: str) -> bool:
        return self._db.one(_STOPPED, {"organisation": organisation}) is not None

    def set_stop(self, organisation: str, *, stopped: bool, by: str, at: int) -> None:
        if stopped:
            self._db.run(put_into(t.stop), {"organisation": organisation, "by": by, "at": at})
        else:
            self._db.run(_RESUME, {"organisation": organisation})
        self._touched.update(("delivery", "change"))

    def _read(self, row: tuple[Any, ...]) -> Threat:
        seq, body = row
        threat = load_threat(body)
        self._seqs.keep(threat.id, seq)
        return threat

    def _keep_raw(self, threat: Threat, raw: bytes) -> None:
        row = {
            "threat": self._seqs.get(threat.id),
            "revision": threat.revision,
            "key_id": None,
            "bytes": raw,
        }
        self._db.later(t.raw, row)

    def _entered(self, threat: Threat, seq: int, viewer: str) -> dict[str, Any]:
        """Return the list entry of *threat* with a new change number, counted."""
        number = self._numbers.get
        row = entry(threat, seq, number(viewer), number(threat.organisation))
        self._count(threat, viewer, 1)
        self._touched.add("change")
        return row | {"change": self._pending.next_change()}

    def _count(self, threat: Threat, viewer: str, n: int) -> None:
        """Add *n* to every counter in which *viewer* sees *threat*: their keys are the tables'."""
        status, at, count = str(threat.status), threat.received_at, self._pending.count
        words = (str(threat.detection.kind), status, str(threat.rank.band))
        count(t.tally, (viewer, "hour", at // HOUR * HOUR, self._shard), words, n)
        count(t.tally, (viewer, "day", at // DAY * DAY, self._shard), words, n)
        count(t.origin_tally, (viewer, threat.organisation, self._shard), (status,), n)


def identity_of(organisation: str, carrier_id: str, iris_id: str) -> str:
    """Return the unique key that recognises a re-send (ARCHITECTURE section 3, identity)."""
    return _ENCODE([organisation, carrier_id, iris_id])


@lru_cache(maxsize=1024)
def setting_of(body: str) -> Setting:
    """Return the policy setting in *body*; the same text is the same setting, read once."""
    found = json.loads(body)
    return Setting(
        **{k: found[k] for k in ("id", "organisation", "version", "updated_by", "updated_at")},
        automatic=frozenset(found["automatic"]),
        scope=Scope(**found["scope"]),
    )


def _setting_body(setting: Setting) -> str:
    return json.dumps(
        {
            "id": setting.id,
            "organisation": setting.organisation,
            "version": setting.version,
            "updated_by": setting.updated_by,
            "updated_at": setting.updated_at,
            "automatic": sorted(setting.automatic),
            "scope": {
                "sector": setting.scope.sector,
                "asset_type": setting.scope.asset_type,
                "tag": setting.scope.tag,
            },
        }
    )
