"""A relay with a source that tests can change, and targets of any kind."""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import uuid4

from eme_connector.adapters.database import open_store
from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.sync.terms import Terms
from eme_connector.usecases import relay_fleet, relay_undo
from eme_connector.usecases.relay_cycle import Office, Target
from tests import ready

OWN = "0e0e0e0e-0000-4000-8000-000000000000"


class Source:
    """What the source says now."""

    def __init__(self, *organisations: RemoteOrganisation) -> None:
        self.organisations = {one.uuid: one for one in organisations}
        self.groups: dict[str, RemoteGroup] = {}

    def __call__(self) -> Snapshot:
        return Snapshot(dict(self.organisations), dict(self.groups))

    def organisation(self, **fields) -> RemoteOrganisation:
        uuid = str(uuid4())
        made = RemoteOrganisation(**{"uuid": uuid, "name": f"Source {uuid}"} | fields)
        self.organisations[made.uuid] = made
        return made

    def group(self, owner, *members, **fields) -> RemoteGroup:
        uuid = str(uuid4())
        made = {
            "uuid": uuid,
            "name": f"source {uuid}",
            "owner": owner.uuid,
            "members": {one.uuid: False for one in members},
            "releasability": "members",
            "description": "d",
        }
        return self.put(RemoteGroup(**made | fields))

    def put(self, group: RemoteGroup) -> RemoteGroup:
        self.groups[group.uuid] = group
        return group

    def add(self, group: str, *members: RemoteOrganisation, extend: bool = False) -> None:
        one = self.groups[group]
        self.put(replace(one, members={**one.members, **{m.uuid: extend for m in members}}))

    def remove(self, group: str, *members: RemoteOrganisation) -> None:
        one = self.groups[group]
        gone = {m.uuid for m in members}
        self.put(replace(one, members={u: e for u, e in one.members.items() if u not in gone}))


class Relay:
    """The use cases on a store in a temporary folder; `now` moves by hand."""

    def __init__(self, folder, source: Source, **directories) -> None:
        self.now = 1_800_000_000.0
        self.store = open_store(ready.sqlite(folder / "relay.db"), clock=lambda: self.now)
        self.source = source
        self.directories = directories
        self.terms: dict[str, Terms] = {}
        self.slept: list[float] = []
        self.sleep = self._note

    def target(self, name: str, **terms) -> None:
        directory = self.directories[name]
        self.terms[name] = Terms(name, directory.kind, **terms)

    @property
    def office(self) -> Office:
        return Office(self.store, lambda: self.now, OWN, "anna", self.sleep)

    @property
    def fleet(self) -> relay_fleet.Fleet:
        targets = (Target(self.directories[name], how) for name, how in self.terms.items())
        return relay_fleet.Fleet(self.source, tuple(targets))

    def apply(self, *names, **more):
        """Run a cycle; return the reports by target."""
        reports = relay_fleet.apply(self.fleet, self.office, names, **more)
        self.now += 60
        return {one.target: one for one in reports}

    def diff(self, *names, **more):
        return {o.target: o for o in relay_fleet.diff(self.fleet, self.office, names, **more)}

    def undo(self, name):
        found = relay_undo.undo_last(self.fleet.named([name])[0], self.source(), self.office)
        self.now += 60
        return found

    def audits(self):
        """Return every audit record of the relay, as (event, detail)."""
        import json

        from sqlalchemy import select

        from eme_connector.adapters.database import tables as t

        rows = self.store._all(select(t.audit).order_by(t.audit.c.id))
        return [(row.event, row.by, json.loads(row.detail)) for row in rows]

    def close(self) -> None:
        self.store.close()

    def _note(self, seconds: float) -> None:
        self.slept.append(seconds)


def words(report):
    """Return the words of what was done."""
    return [one.word for one in report.outcome.done]


def rest(report):
    """Return (word, verdict) of what still differs."""
    return [(one.word, one.verdict) for one in report.plan.differences]


def wait_a_second(clock):
    """Return a sleep that lets a held clock move, or a real one."""
    return time.sleep if clock is None else lambda seconds: clock.advance(2)
