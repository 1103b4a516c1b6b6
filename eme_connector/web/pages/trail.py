"""The timeline of a threat, worded for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.threat import Threat, Waiting
from eme_connector.web.pages import moments, words
from eme_connector.web.pages.parcels import reason_words, target_words
from eme_connector.web.pages.reader import Reader, name_of
from eme_connector.web.pages.words import Tone

Detail = dict[str, Any]
Said = tuple[str, Tone, str, str]
# what only the organisation whose threat it is needs to know
OWN = frozenset(
    {"sharing", "shared", "in-misp", "seen", "refused", "dead", "dropped", "retried", "withdrawn"}
)


# nothing that a person could do anything with
QUIET = frozenset({"repeated", "share-owed"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    icon: str
    tone: Tone
    word: str
    why: str
    at: moments.Moment


def timeline(threat: Threat, records: Iterable[AuditRecord], who: Reader) -> list[Entry]:
    """Return what happened, oldest first."""
    own = who.owns(threat)
    shown = [one for one in records if own or one.event not in OWN]
    told = shown if own else sorted([*shown, *_told(threat, shown)], key=lambda one: one.at)
    return [_entry(one, threat, who) for one in told if one.event not in QUIET]


def _told(threat: Threat, shown: list[AuditRecord]) -> list[AuditRecord]:
    """Return what the state that another sidecar told us says, as if it were written down here."""
    decision, resolution = threat.decision, threat.resolution
    known = {one.event for one in shown}
    found = []
    if decision.at is not None and str(decision.status) not in known:
        steps = {"steps": list(decision.steps), "reason": decision.reason}
        detail = steps | {"valid_until": decision.valid_until}
        found.append(_record(threat, str(decision.status), decision.at, decision.by, detail))
    if resolution and "resolved" not in known:
        detail = {"reason": resolution.reason}
        found.append(_record(threat, "resolved", resolution.at, resolution.by, detail))
    return found


def _record(threat: Threat, event: str, at: int, by: str, detail: Detail) -> AuditRecord:
    return AuditRecord(event, at, by, threat.organisation, threat.id, threat.revision, detail)


def _entry(record: AuditRecord, threat: Threat, who: Reader) -> Entry:
    say = _EVENTS.get(record.event, _plain)
    icon, tone, word, why = say(record, threat, who)
    return Entry(icon, tone, word, why, record.at)


def _received(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "received", "soft", _("Received from %(by)s", by=_by(record, who)), ""


def _revised(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    revision = _("revision %(n)s", n=record.revision or "?")
    return "changed", "wait", _("Changed by %(by)s", by=_by(record, who)), revision


def _waiting(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "wait", "wait", _("A person is needed"), _reasons(record.detail, threat)


def _approved(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    why = _steps(record.detail, threat)
    return "approved", "good", _("Approved by %(by)s", by=_by(record, who)), why


def _declined(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    word = _("Declined by %(by)s", by=_by(record, who))
    return "declined", "soft", word, _text(record.detail, "reason")


def _resolved(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    word = _("Resolved by %(by)s", by=_by(record, who))
    return "resolved", "good", word, _text(record.detail, "reason")


def _sharing(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    group = who.eme.topology.groups.get(_text(record.detail, "group"))
    named = [name_of(str(one), who) for one in record.detail.get("recipients", ())]
    parts = [group.name if group else _("no group"), ", ".join(named)]
    word = _("%(by)s chose who sees it", by=_by(record, who))
    return "shared", "soft", word, " · ".join(part for part in parts if part)


def _dispatched(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "sent", "soft", _("Playbook sent"), _target(record, who)


def _updated(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "received", "soft", _("News from %(by)s", by=_by(record, who)), ""


def _running(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "running", "soft", _("Running"), _target(record, who)


def _succeeded(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "approved", "good", _("Done, with evidence for each step"), _target(record, who)


def _failed(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "declined", "bad", _("Failed"), _target(record, who)


def _not_evidenced(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    word = _("Said to be done, without evidence for each step")
    return "uncertain", "bad", word, _target(record, who)


def _shared(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "shared", "soft", _("Shared"), _target(record, who)


def _in_misp(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "shared", "soft", _("Put into MISP"), _target(record, who)


def _seen(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "shared", "good", _("Arrived"), _target(record, who)


def _withdrawn(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "note", "wait", _("Withdrawn, not sent"), _reason_for(record, who)


def _uncertain(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "uncertain", "bad", _("Uncertain whether it arrived"), _reason_for(record, who)


def _refused(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "declined", "bad", _("Refused"), _reason_for(record, who)


def _dead(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "declined", "bad", _("Given up"), _reason_for(record, who)


def _retried(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "sent", "soft", _("Sent again by %(by)s", by=_by(record, who)), _target(record, who)


def _dropped(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    word = _("Dropped by %(by)s", by=_by(record, who))
    return "note", "wait", word, _text(record.detail, "reason")


def _said_by_us(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    word = _("%(by)s answered: %(what)s", by=_by(record, who), what=_word(record.detail))
    return "shared", "soft", word, _text(record.detail, "text")


def _sighting(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    word = _("%(by)s says: %(what)s", by=_by(record, who), what=_word(record.detail))
    return "received", "good", word, _text(record.detail, "source")


def _comment(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    word = _("%(by)s commented", by=_by(record, who))
    return "note", "soft", word, _text(record.detail, "text")


def _answered(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    return "sent", "soft", _("The answer is in our MISP"), ""


def _plain(record: AuditRecord, threat: Threat, who: Reader) -> Said:
    word = record.event.replace("-", " ").capitalize()
    return "note", "soft", f"{word} · {_by(record, who)}", _reason_for(record, who)


_EVENTS: dict[str, Callable[[AuditRecord, Threat, Reader], Said]] = {
    "received": _received,
    "revised": _revised,
    "waiting": _waiting,
    "approved": _approved,
    "declined": _declined,
    "resolved": _resolved,
    "sharing": _sharing,
    "dispatched": _dispatched,
    "updated": _updated,
    "running": _running,
    "succeeded": _succeeded,
    "failed": _failed,
    "not-evidenced": _not_evidenced,
    "shared": _shared,
    "in-misp": _in_misp,
    "seen": _seen,
    "withdrawn": _withdrawn,
    "uncertain": _uncertain,
    "refused": _refused,
    "dead": _dead,
    "retried": _retried,
    "dropped": _dropped,
    "feedback": _said_by_us,
    "misp-sighting": _sighting,
    "misp-comment": _comment,
    "answered": _answered,
}


def _by(record: AuditRecord, who: Reader) -> str:
    kind, found, name = record.by.partition(":")
    if found and kind == "misp":
        # a member of a MISP's group need not be one that we know
        known = name_of(name, who)
        return str(record.detail.get("name") or known) if known == name else known
    return name_of(name, who) if found and kind == "peer" else words.actor(record.by)


def _target(record: AuditRecord, who: Reader) -> str:
    return target_words(_text(record.detail, "lane") or record.by, who)


def _word(detail: Detail) -> str:
    word = _text(detail, "word")
    return {
        "handled": _("handled"),
        "false-positive": _("a false positive"),
        "comment": _("a comment"),
        "seen": _("seen"),
        "expired": _("no longer current"),
    }.get(word, word)


def _reason_for(record: AuditRecord, who: Reader) -> str:
    code = _text(record.detail, "reason")
    target = _target(record, who) if "lane" in record.detail else ""
    return ": ".join(part for part in (target, reason_words(code) if code else "") if part)


def _text(detail: Detail, key: str) -> str:
    return str(detail.get(key) or "")


def _reasons(detail: Detail, threat: Threat) -> str:
    steps = words.numbered(threat)
    said = []
    for one in detail.get("reasons", ()):
        why = words.why_waiting(Waiting(one.get("step"), one.get("code", ""), ""))
        if one.get("step") in steps:
            number, step = steps[one["step"]]
            label = words.label(step).lower()
            why = _("step %(n)s (%(action)s): %(why)s", n=number, action=label, why=why)
        said.append(why)
    return "; ".join(said)


def _steps(detail: Detail, threat: Threat) -> str:
    steps = words.numbered(threat)
    ids = [str(one) for one in detail.get("steps", ())]
    names = [words.label(steps[one][1]).lower() if one in steps else one for one in ids]
    until = _text(detail, "valid_until")
    parts = [
        ", ".join(names),
        _("with a new end, %(at)s", at=moments.absolute(until)) if until else "",
        _text(detail, "reason"),
    ]
    return "; ".join(part for part in parts if part)
