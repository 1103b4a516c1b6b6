"""Read what the caller may see, and nothing else (C9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eme_connector.domain import arrival
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import MISP_LANE, Delivery
from eme_connector.domain.listing import Aggregate, ListQuery, Page
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.sharing import Organisation, Topology
from eme_connector.domain.threat import Threat
from eme_connector.errors import NotFound
from eme_connector.ports import Store


@dataclass(frozen=True, slots=True)
class Origin:
    """An organisation whose threats the caller sees, and how many stand in each status."""

    organisation: Organisation
    statuses: dict[str, int]

    @property
    def total(self) -> int:
        """How many threats there are."""
        return sum(self.statuses.values())


def list_threats(query: ListQuery, *, caller: Caller, store: Store) -> Page:
    """Return a page for the caller's organisation, whatever viewer *query* names."""
    caller.need(Right.READ)
    return store.list_threats(replace(query, viewer=caller.organisation))


def get_threat(threat_id: str, *, caller: Caller, store: Store) -> Threat:
    """Return one threat that the caller may read.

    Raises:
        NotAllowed, NotFound
    """
    caller.need(Right.READ)
    found = store.find_visible_threat(threat_id, caller.organisation)
    if found is None:
        raise NotFound("there is no such threat")
    return found


def get_raw(threat_id: str, *, caller: Caller, store: Store) -> bytes:
    """Return the bytes of the newest revision as they came.

    Raises:
        NotAllowed, NotFound
    """
    threat = get_threat(threat_id, caller=caller, store=store)
    raw = store.raw(threat.id, threat.revision)
    if not raw:
        raise NotFound("the original was not shared with you")
    return raw


def trail(
    threat: Threat, *, caller: Caller, store: Store
) -> tuple[tuple[AuditRecord, ...], tuple[Delivery, ...]]:
    """Return the timeline of a threat that was read before, and its deliveries.

    Only whose threat it is sees to whom it went.
    """
    caller.need(Right.READ)
    deliveries = store.deliveries_of(threat.id) if _is_own(threat, caller) else ()
    return store.timeline(threat.id), deliveries


def event_urls(threats: Sequence[Threat], *, caller: Caller, store: Store) -> dict[str, str]:
    """Return where the events of the caller's own *threats* are in our MISP, by threat id."""
    caller.need(Right.READ)
    own = [one.id for one in threats if _is_own(one, caller)]
    found: dict[str, list[Delivery]] = {}
    for one in store.deliveries_in(MISP_LANE, own) if own else ():
        found.setdefault(one.threat_id, []).append(one)
    urls = ((threat, arrival.event_url(several)) for threat, several in found.items())
    return {threat: url for threat, url in urls if url}


def _is_own(threat: Threat, caller: Caller) -> bool:
    return threat.organisation == caller.organisation and threat.origin is None


def aggregate(*, caller: Caller, store: Store, now: float) -> Aggregate:
    """Return the counts behind the charts."""
    caller.need(Right.READ)
    return store.aggregate(caller.organisation, round(now * 1_000_000))


def list_origins(*, caller: Caller, store: Store, topology: Topology, now: float) -> list[Origin]:
    """Return the operators whose threats the caller sees, by name."""
    counts = aggregate(caller=caller, store=store, now=now).origins
    found = [Origin(organisation_of(uuid, topology), n) for uuid, n in counts.items()]
    return sorted(found, key=lambda one: (one.organisation.name, one.organisation.uuid))


def organisation_of(uuid: str, topology: Topology) -> Organisation:
    """Return the organisation, or one named by its uuid where we do not know it."""
    return topology.organisations.get(uuid) or Organisation(uuid, uuid)
