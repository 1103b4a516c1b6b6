"""Ask our MISP what it knows of a threat's values (C10): by the clock, beside the accept path.

Only threats that our own organisation may read are looked at, for the key is that of its user.
The stored cursor is the last change that was looked at: a MISP that is down stops a turn and loses
none.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import structlog

from eme_connector.domain.listing import Change
from eme_connector.domain.misp import Enrichment, Mark
from eme_connector.domain.rights import Caller
from eme_connector.domain.threat import Threat
from eme_connector.errors import DeliveryError
from eme_connector.ports import Store
from eme_connector.ports.misp import MispSharing
from eme_connector.usecases.schedule import Job
from eme_connector.usecases.system import System, micros

log = structlog.get_logger("eme.misp")

JOB = "misp-enrich"
BATCH = 100
"""Changes that one turn looks at; the next goes on."""
FIRST = 1_000
"""How many changes back the first turn begins."""


def jobs(system: System) -> tuple[Job, ...]:
    """Return the work that repeats: none where no MISP is configured, or it is not asked."""
    section, misp = system.config.misp, system.misp()
    if section is None or misp is None or section.enrich_s <= 0:
        return ()
    return (Job(JOB, section.enrich_s, lambda: enrich(misp, system)),)


def enrich(misp: MispSharing, system: System) -> dict[str, Any]:
    """Look at what has changed, and return how many threats that were.

    Raises:
        DeliveryError, StoreUnavailable: the next turn begins where this one stopped.
    """
    counts: Counter[str] = Counter()
    for change in _changed(system):
        counts[_look(change.threat_id, misp, system)] += 1
        _move(Mark("change", JOB, change.id), system.store)
    return dict(counts)


def known_of(threat: Threat, *, caller: Caller, system: System) -> Enrichment | None:
    """Return what our MISP knew of a threat that the caller has read before.

    What a MISP shows to a user of one organisation is not for the people of another.
    """
    if caller.organisation != system.config.instance.organisation:
        return None
    return system.store.enrichment(threat.id)


def _changed(system: System) -> tuple[Change, ...]:
    store, own = system.store, system.config.instance.organisation
    cursor = store.mark("change", JOB)
    after = cursor.value if cursor else max(0, store.last_change() - FIRST)
    return store.changes(own, after, BATCH)


def _move(cursor: Mark, store: Store) -> None:
    store.transact(lambda tx: tx.save_mark(cursor))


def _look(threat_id: str, misp: MispSharing, system: System) -> str:
    from eme_connector.formats.misp_event import observables  # with MISP only

    store = system.store
    threat = store.find_visible_threat(threat_id, system.config.instance.organisation)
    if threat is None:
        return "gone"
    before = store.enrichment(threat_id)
    if before is not None and before.sequence == threat.sequence:
        return "repeat"
    values, cut = observables.values_of(threat, store.raw(threat_id, threat.revision))
    at = micros(system.clock())
    found = Enrichment(threat_id, threat.sequence, at, len(values), (), cut)
    if values:
        try:
            known, more = misp.know(values, without=observables.event_of(threat))
        except DeliveryError as exc:
            if not exc.permanent:
                raise
            log.warning("misp_enrich_refused", threat=threat_id, reason=exc.reason)
            return "refused"
        found = Enrichment(threat_id, threat.sequence, at, len(values), known, cut or more)
    store.transact(lambda tx: tx.save_enrichment(found))
    return "known" if found.known else "nothing"
