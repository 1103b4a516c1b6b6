"""Read our Cerebrate, and take over from those upstream: the turns of the jobs that repeat (C7).

Our own is read into this sidecar's directory. An upstream's records go into our Cerebrate, or
into the directory only, by one of two strategies: *new-records* adds what is not there yet and
never touches it again, *trusted-upstream* follows its changes and removals too. Nothing is ever
deleted, and a list that shrank suspiciously waits (sync.safety).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import structlog

from eme_connector.config import Cerebrate as Section
from eme_connector.config import Upstream
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.rights import Caller
from eme_connector.domain.schedule import Turn
from eme_connector.errors import DeliveryError, NotFound
from eme_connector.ports import Cerebrate
from eme_connector.sync.steps import Plan
from eme_connector.usecases import cerebrate_directory, cerebrate_upstream
from eme_connector.usecases.cerebrate_keys import publish, revoke_peers
from eme_connector.usecases.cerebrate_links import job_name, need_keeper
from eme_connector.usecases.schedule import Job, run_now
from eme_connector.usecases.system import System, micros

log = structlog.get_logger("eme.cerebrate")
MOST_SHOWN = 20


def jobs(system: System) -> tuple[Job, ...]:
    """Return a job for our Cerebrate and one for each upstream."""
    return tuple(_job(one, (), system) for one in _sections(system))


def run(name: str, confirmed: Collection[str], *, caller: Caller, system: System) -> Turn:
    """Do the job of the Cerebrate called *name* now; *confirmed* are groups whose loss is true.

    Raises:
        NotAllowed, NotFound, StoreUnavailable
        Conflict: somebody is at it.
    """
    need_keeper(caller, system)
    job = _job(_section(name, system), confirmed, system)
    if confirmed:
        detail: dict[str, object] = {"source": name, "groups": sorted(confirmed)}
        at, own = micros(system.clock()), system.organisation.uuid
        record = AuditRecord("loss-confirmed", at, caller.name, own, detail=detail)
        system.store.transact(lambda tx: tx.record(record))
    return run_now(job, system.store, system.clock)


def preview(name: str, confirmed: Collection[str], *, caller: Caller, system: System) -> Plan:
    """Return what the next turn would do; nothing is written.

    Raises:
        NotAllowed, NotFound, DeliveryError, RemoteEmptied, StoreUnavailable
    """
    need_keeper(caller, system)
    section = _section(name, system)
    if isinstance(section, Upstream) and section.into == "cerebrate":
        return cerebrate_upstream.preview(section, confirmed, system)
    there = system.cerebrates()[name].fetch()
    return cerebrate_directory.weigh(section, there, confirmed, system).plan


def _job(section: Section | Upstream, confirmed: Collection[str], system: System) -> Job:
    if isinstance(section, Section):
        work = partial(_read_own, section, confirmed, system)
    else:
        work = partial(_take_over, section, confirmed, system)
    return Job(job_name(section.name), section.every_s, work)


def _read_own(section: Section, confirmed: Collection[str], system: System) -> Mapping[str, Any]:
    """Take over what our Cerebrate says now.

    Keys come first: one that is revoked counts from here on, whatever becomes of the groups.
    """
    there = system.cerebrates()[section.name]
    about = _about(there)
    keys = there.fetch_keys()
    own = publish(there, keys, system)
    keys = keys if own.key is None else (*keys, own.key)
    changed = cerebrate_directory.keep_keys(section.name, keys, system)
    revoked = revoke_peers(system)
    weighed = cerebrate_directory.weigh(section, there.fetch(), confirmed, system)
    changed |= cerebrate_directory.keep(section, weighed, keys, system)
    return {
        **about,
        "organisations": len(weighed.accepted.organisations),
        "groups": len(weighed.accepted.groups),
        "keys": len(keys),
        "changed": changed,
        "own_key": own.state,
        "own_key_refused": own.why,
        "revoked_peers": [one.organisation for one in revoked],
        **_around(there, section),
        **cerebrate_directory.report(weighed.plan),
    }


def _take_over(section: Upstream, confirmed: Collection[str], system: System) -> Mapping[str, Any]:
    """Take over what an upstream says now."""
    there = system.cerebrates()[section.name]
    about = _about(there)
    if section.into == "cerebrate":
        return {**about, **cerebrate_upstream.take_over(section, confirmed, system)}
    weighed = cerebrate_directory.weigh(section, there.fetch(), confirmed, system)
    changed = cerebrate_directory.keep(section, weighed, None, system)
    return {
        **about,
        "organisations": len(weighed.accepted.organisations),
        "groups": len(weighed.accepted.groups),
        "changed": changed,
        **cerebrate_directory.report(weighed.plan),
    }


def _about(there: Cerebrate) -> dict[str, Any]:
    """Say what the key may see: to people, and to the log."""
    found = there.access()
    log.info("cerebrate_seen", name=there.name, reach=found.reach, version=found.version)
    return {
        "version": found.version,
        "user": found.user,
        "organisation": found.organisation_name,
        "reach": found.reach,
    }


def _around(there: Cerebrate, section: Section) -> dict[str, Any]:
    """Say which Cerebrates ours knows, and what waits for a person in it: where we may see that."""
    upstreams = {one.url: one.name for one in section.upstreams}
    try:
        broods, inbox = there.broods(), there.inbox()
        outbox = there.outbox()
    except DeliveryError:
        return {}
    return {
        "broods": [
            {"name": one.name, "url": one.url, "upstream": upstreams.get(one.url, "")}
            for one in broods
        ],
        "waiting": [one.title for one in inbox[:MOST_SHOWN]],
        "unsent": [one.title for one in outbox[:MOST_SHOWN]],
    }


def _sections(system: System) -> tuple[Section | Upstream, ...]:
    own = system.config.cerebrate
    return () if own is None else (own, *own.upstreams)


def _section(name: str, system: System) -> Section | Upstream:
    for one in _sections(system):
        if one.name == name:
            return one
    raise NotFound(f"no Cerebrate in the configuration is called {name}")
