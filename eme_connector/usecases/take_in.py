"""Take an event that came to our MISP from others in as a threat (C3, C10).

1. It is not an event of ours that came back: those are known by their organisation and uuid.
2. Where it is protected, its keys are those of its organisation (`protected`).
3. The threat in it belongs to the event's organisation, and the event is that threat's own.
4. A threat of ours, or one that a sidecar told us, is not changed by what a MISP says.
5. Order: a state that is not newer changes nothing.

What passes is shown to the organisations here that are members of its group, else to our own. It
carries the flag `via-misp`, is never passed on and never dispatched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.misp import VIA_MISP, Mark
from eme_connector.domain.threat import Threat, Tlp
from eme_connector.errors import InvalidInput, NotAllowed
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event import foreign_event
from eme_connector.ports import Transaction
from eme_connector.ports.misp import Headline, Json, MispSharing, Pgp
from eme_connector.usecases import feedback, protected
from eme_connector.usecases.system import System, micros, served

MOST_SEQUENCE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an event: `new`, `updated`, `repeat`, `own`, `comment`, `other`, `refused`."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A threat as it would be stored, and who may read it here."""

    threat: Threat
    viewers: tuple[str, ...]
    headline: Headline
    minted: bool = False


def take(
    headline: Headline, *, misp: MispSharing, pgp: Pgp, system: System, everything: bool = False
) -> Taken:
    """Take in one event; *everything*: also those that no sidecar made.

    A refusal is remembered, so that the event is not read again until it changes.

    Raises:
        DeliveryError, StoreUnavailable: it is tried again.
    """
    own = served(system)
    if headline.creator in own:
        return Taken("own")
    seen = system.store.mark("event", headline.uuid)
    if seen is not None and seen.value >= headline.timestamp:
        return Taken("repeat")
    signed = misp.find_event(headline.uuid)
    if signed is None:
        return Taken("other", "not-visible")
    mark = Mark("event", headline.uuid, headline.timestamp, seen.threat_id if seen else "")
    try:
        protected.check(signed, headline.creator, pgp, system)
        if headline.extends:
            said = feedback.take_comment(headline, signed.event, mark, misp=misp, system=system)
            return Taken(said)
        arrival = _read(headline, signed.event, own, everything, system)
        if arrival is None:
            taken = Taken("other")
        else:
            return _store(arrival, mark, system)
    except NotAllowed as exc:
        taken = Taken("refused", str(exc))
    except InvalidInput:
        taken = Taken("refused", "not-as-it-should-be")
    system.store.transact(lambda tx: tx.save_mark(mark))
    return taken


def _read(
    headline: Headline, event: Json, own: frozenset[str], everything: bool, system: System
) -> Arrival | None:
    """Return the threat in an event, None where it holds none that is taken in.

    Raises:
        NotAllowed, InvalidMessage, InvalidBundle
    """
    viewers = _viewers(event, own, system)
    if not viewers:
        raise NotAllowed("nobody-here-may-read-it")
    if not misp_event.sequence_of(event):
        if not everything:
            return None
        tlp = Tlp(system.config.sharing.default_tlp)
        threat = foreign_event.threat(event, tlp, at=micros(system.clock()))
        return Arrival(_as_ours(threat, event, headline), viewers, headline, minted=True)
    threat = misp_event.parse(event)
    if misp_event.event_uuid(threat.id) != headline.uuid:
        raise NotAllowed("not-the-event-of-its-threat")
    if threat.organisation != headline.creator:
        raise NotAllowed("not-the-threat-of-its-organisation")
    if not 0 < threat.sequence <= MOST_SEQUENCE:
        raise NotAllowed("no-such-sequence")
    return Arrival(_as_ours(threat, event, headline), viewers, headline)


def _as_ours(threat: Threat, event: Json, headline: Headline) -> Threat:
    """Return it as we keep it: from whom it came and for which group is the MISP's to say."""
    flags = [one for one in threat.flags if one != VIA_MISP]
    known = 1 <= threat.criticality <= 5
    return replace(
        threat,
        origin=headline.creator,
        group=_group(event).get("uuid"),
        group_sent=False,
        recipients=(),
        criticality=threat.criticality if known else threat.detection.criticality,
        flags=(*flags, VIA_MISP),
    )


def _viewers(event: Json, own: frozenset[str], system: System) -> tuple[str, ...]:
    if str(event.get("distribution")) != "4":
        return (system.config.instance.organisation,)
    rows = _group(event).get("SharingGroupOrg") or ()
    members = {str((one.get("Organisation") or {}).get("uuid", "")).lower() for one in rows}
    return tuple(sorted(members & own))


def _group(event: Json) -> dict[str, Any]:
    group = event.get("SharingGroup")
    return group if isinstance(group, dict) and str(event.get("distribution")) == "4" else {}


def _store(arrival: Arrival, mark: Mark, system: System) -> Taken:
    at, fresh = micros(system.clock()), str(uuid4())

    def work(tx: Transaction) -> Taken:
        seen = tx.find_mark("event", mark.id)
        if seen is not None and seen.value >= mark.value:
            return Taken("repeat")
        known_id = (seen.threat_id if seen else "") if arrival.minted else arrival.threat.id
        threat = replace(arrival.threat, id=known_id or fresh)
        tx.save_mark(replace(mark, threat_id=threat.id))
        return _apply(arrival, threat, at, tx)

    return system.store.transact(work)


def _apply(arrival: Arrival, threat: Threat, at: int, tx: Transaction) -> Taken:
    known = tx.find_threat(threat.id)
    if known is None:
        told = replace(threat, received_at=at, updated_at=at)
        tx.add_threat(told, b"", viewers=arrival.viewers)
        _record("received", told, arrival, at, tx)
        return Taken("new")
    if known.origin is None or known.organisation != threat.organisation:
        return Taken("refused", "not-theirs")
    if VIA_MISP not in known.flags:
        # a sidecar has told us, signed and in full
        return Taken("repeat", "known-by-sidecar")
    for viewer in arrival.viewers:
        tx.add_viewer(known, viewer)
    if arrival.minted:
        threat = replace(threat, sequence=known.sequence + 1, revision=known.revision + 1)
    if threat.sequence <= known.sequence:
        return Taken("repeat")
    told = replace(threat, received_at=known.received_at, updated_at=at)
    tx.save_threat(told, known, None)
    _record("updated", told, arrival, at, tx)
    return Taken("updated")


def _record(event: str, threat: Threat, arrival: Arrival, at: int, tx: Transaction) -> None:
    headline = arrival.headline
    detail: dict[str, object] = {"event": headline.uuid, "sequence": threat.sequence}
    by = f"misp:{headline.creator}"
    tx.record(AuditRecord(event, at, by, threat.organisation, threat.id, threat.revision, detail))
