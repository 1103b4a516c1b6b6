"""Say something back about a threat of others, and hear what others say about ours (item C3).

What a person of a CERT says becomes a sighting or an extending event in our MISP, which travels
by MISP's own sync. The operator's sidecar reads both from its own MISP and writes them on the
timeline of the threat; they decide nothing.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import FEEDBACK_LANE
from eme_connector.domain.feedback import MAX_TEXT, Feedback, Word, word_of
from eme_connector.domain.misp import Mark
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.threat import Threat
from eme_connector.errors import Conflict, Fault, InvalidInput, NotFound
from eme_connector.formats.misp_event import feedback as wire
from eme_connector.formats.misp_event.observables import event_of
from eme_connector.ports import Owed, Transaction
from eme_connector.ports.misp import Headline, Json, MispSharing
from eme_connector.usecases.system import System, micros, served

OVERLAP_S = 300
KINDS = {"0": "seen", "1": "false-positive", "2": "expired"}


def give(threat_id: str, word: Word, text: str, *, caller: Caller, system: System) -> Threat:
    """Say *word* about a threat that another organisation shared with us.

    Raises:
        NotAllowed, NotFound, InvalidInput, StoreUnavailable
        Conflict: it is our own.
    """
    caller.need(Right.SHARE)
    if system.config.misp is None:
        raise NotFound("no MISP is configured, by which an answer would travel")
    said = text.strip()
    if word is Word.COMMENT and not said:
        raise InvalidInput([Fault("/text", "say something")])
    if len(said) > MAX_TEXT:
        raise InvalidInput([Fault("/text", f"at most {MAX_TEXT} characters")])
    threat = system.store.find_visible_threat(threat_id, caller.organisation)
    if threat is None:
        raise NotFound("there is no such threat")
    if threat.origin is None:
        raise Conflict("it is a threat of our own: nobody waits for our answer")
    feedback = Feedback(str(uuid4()), word, said, event_of(threat))
    detail: dict[str, object] = {"word": str(word), "text": said, "id": feedback.id}
    whose, revision = caller.organisation, threat.revision
    at = micros(system.clock())
    record = AuditRecord("feedback", at, caller.name, whose, threat_id, revision, detail)
    payload = wire.render(feedback)
    owed = Owed(FEEDBACK_LANE, "misp-feedback", threat_id, whose, threat.sequence, payload)

    def work(tx: Transaction) -> None:
        tx.record(record)
        tx.owe(owed)

    system.store.transact(work)
    return threat


def take_comment(
    headline: Headline, event: Json, mark: Mark, *, misp: MispSharing, system: System
) -> str:
    """Write what an extending event says on the timeline of the threat that it is about.

    Raises:
        DeliveryError, StoreUnavailable
    """
    base = misp.find_event(headline.extends)
    threat_id = wire.threat_id_of(base.event) if base else None
    text, name = wire.text_of(event), str((event.get("Orgc") or {}).get("name", ""))[:100]
    group = event.get("SharingGroup")
    group_uuid = group.get("uuid") if isinstance(group, dict) else None
    at = micros(system.clock())

    def work(tx: Transaction) -> str:
        tx.save_mark(replace(mark, threat_id=threat_id or ""))
        threat = tx.find_threat(threat_id) if threat_id else None
        # who reads the timeline of a foreign threat has to be one whom the comment is for
        if threat is None or not text or (threat.origin is not None and threat.group != group_uuid):
            return "other"
        detail: dict[str, object] = {"event": headline.uuid, "text": text, "name": name}
        by = f"misp:{headline.creator}"
        tx.record(AuditRecord("misp-comment", at, by, threat.organisation, threat.id, None, detail))
        return "comment"

    return system.store.transact(work)


def take_sightings(misp: MispSharing, system: System) -> int:
    """Write the sightings of our events that others sent on their timelines; return how many.

    Raises:
        DeliveryError, StoreUnavailable
    """
    cursor = system.store.mark("cursor", "sightings")
    since = cursor.value - OVERLAP_S if cursor else 0
    rows = misp.sighted(max(0, since))
    taken = sum(_take_sightings_of(uuid, misp, system) for uuid, _ in rows)
    newest = max((when for _, when in rows), default=0)
    if rows and (cursor is None or newest > cursor.value):
        moved = Mark("cursor", "sightings", newest)
        system.store.transact(lambda tx: tx.save_mark(moved))
    return taken


def _take_sightings_of(uuid: str, misp: MispSharing, system: System) -> int:
    found = misp.find_event(uuid)
    threat_id = wire.threat_id_of(found.event) if found else None
    if found is None or threat_id is None:
        return 0
    own, at = served(system), micros(system.clock())
    seen = [one for one in wire.sightings(found.event) if one.organisation not in own]

    def work(tx: Transaction) -> int:
        threat = tx.find_threat(threat_id)
        if threat is None or threat.origin is not None:
            return 0
        return sum(_write_down(one, uuid, threat, at, tx) for one in seen)

    return system.store.transact(work) if seen else 0


def _write_down(one: wire.Seen, event: str, threat: Threat, at: int, tx: Transaction) -> bool:
    if tx.find_mark("sighting", one.uuid) is not None:
        return False
    tx.save_mark(Mark("sighting", one.uuid, one.at, threat.id))
    word = word_of(one.source)
    detail: dict[str, object] = {
        "event": event,
        "word": word or KINDS.get(one.kind, one.kind),
        "source": "" if word else one.source,
        "name": one.name,
        "seen_at": one.at,
    }
    by = f"misp:{one.organisation}"
    tx.record(AuditRecord("misp-sighting", at, by, threat.organisation, threat.id, None, detail))
    return True
