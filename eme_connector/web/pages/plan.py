"""The proposed response as it is drawn: step by step, what is automatic, what needs a person."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from eme_connector.domain.playbook import ACTIONS, Playbook, Step
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Status, Threat
from eme_connector.web.pages import moments, words
from eme_connector.web.pages.moments import moment
from eme_connector.web.pages.reader import Reader

MAX_SEEN = 65_536
ENDS = (1, 4, 24, 168)


@dataclass(frozen=True, slots=True)
class StepView:
    """One step: what it does, to what, how it is undone, and who answers for it."""

    id: str
    number: int
    label: str
    group: str
    description: str
    explanation: str
    undo: str
    actor: str
    address: str
    impact: int
    execution_api: str
    look: str
    icon: str
    coverage: str
    why: str
    evidence: str
    ticked: bool = True


@dataclass(frozen=True, slots=True)
class BookView:
    """One playbook of a threat."""

    name: str
    facts: str
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is drawn in the middle of the card."""

    books: tuple[BookView, ...]
    warnings: tuple[str, ...]
    covered_words: str
    asks: bool
    may_close: bool
    seen: str
    ends: tuple[tuple[str, str], ...]
    goes_to: str
    close_words: str

    @property
    def steps(self) -> tuple[StepView, ...]:
        """Every step of every playbook."""
        return tuple(step for book in self.books for step in book.steps)

    @property
    def approve_words(self) -> str:
        """What the button says where no script can count the ticks."""
        if len(self.steps) == 1:
            return _("Approve 1 step")
        return _("Approve the ticked steps")


def plan_of(
    threat: Threat, reader: Reader, evidence: dict[str, str], ticked: frozenset[str] | None = None
) -> Plan:
    """Return the plan of *threat*; *ticked* are the steps of a form that came back."""
    waits = threat.status is Status.PENDING
    own = reader.owns(threat) and reader.may(Right.DECIDE)
    return Plan(
        books=_books(threat, evidence, ticked),
        warnings=tuple(_warnings(threat)) if waits else (),
        covered_words=_covered(threat),
        asks=own and waits and bool(threat.detection.steps),
        may_close=own and threat.resolution is None,
        seen=seen(threat),
        ends=_ends(threat),
        goes_to=_goes_to(threat, reader),
        close_words=_close_words(threat),
    )


def seen(threat: Threat) -> str:
    """Return what the reader decides on, so that a stale form can show what changed."""
    text = json.dumps(threat.proposal, sort_keys=True, separators=(",", ":"))
    return text if len(text) <= MAX_SEEN else ""


def _books(
    threat: Threat, evidence: dict[str, str], ticked: frozenset[str] | None
) -> tuple[BookView, ...]:
    leaving = threat.proposal["playbooks"]
    views, number = [], 1
    for book, sent in zip(threat.detection.playbooks, leaving, strict=True):
        steps = [
            _step(threat, step, number + index, sent["steps"][index], evidence, ticked)
            for index, step in enumerate(book.steps)
        ]
        number += len(steps)
        views.append(BookView(book.name, _facts(book, threat), tuple(steps)))
    return tuple(views)


def _step(
    threat: Threat,
    step: Step,
    number: int,
    sent: dict[str, Any],
    evidence: dict[str, str],
    ticked: frozenset[str] | None,
) -> StepView:
    known = ACTIONS.get(step.action or "")
    look, icon, coverage, why = _coverage(threat, step)
    return StepView(
        id=step.id,
        number=number,
        label=words.label(step),
        group=words.group(step),
        description=step.description,
        explanation=_(known.explanation) if known else "",
        undo=_(known.undo) if known else "",
        actor=step.actor,
        address=sent["address"],
        impact=step.impact,
        execution_api=step.execution_api,
        look=look,
        icon=icon,
        coverage=coverage,
        why=why,
        evidence=evidence.get(step.id, ""),
        ticked=ticked is None or step.id in ticked,
    )


def _coverage(threat: Threat, step: Step) -> tuple[str, str, str, str]:
    """Return (look, icon, words, why) for a step: who answers for it, or who did."""
    decision = threat.decision
    if decision.status is Status.PENDING and threat.resolution:
        return "off", "note", _("Not decided"), ""
    if decision.status is Status.PENDING:
        reasons = [words.why_waiting(one) for one in decision.waiting if one.step == step.id]
        if reasons:
            return "wait", "person", _("Needs a person"), _("Because %(why)s.", why=reasons[0])
        return "good", "approved", _("Automatic"), _("The policy covers this step.")
    if step.id in decision.steps and decision.status is Status.APPROVED:
        return "good", "approved", _("Approved"), ""
    return "off", "declined", _("Declined"), ""


def _facts(book: Playbook, threat: Threat) -> str:
    end = threat.decision.valid_until or book.valid_until
    parts = [
        _("valid from %(at)s", at=moments.absolute(book.valid_from)) if book.valid_from else "",
        _("until %(at)s (%(left)s)", at=moments.absolute(end), left=moments.left(end))
        if end
        else _("no end given"),
        _("proposed by %(who)s", who=book.created_by) if book.created_by else "",
        _("type %(kind)s", kind=book.kind) if book.kind else "",
        _("impact %(n)s", n=book.impact) if book.impact is not None else "",
        _("severity %(n)s", n=book.severity) if book.severity is not None else "",
        _("priority %(n)s", n=book.priority) if book.priority is not None else "",
    ]
    return " · ".join(part for part in parts if part)


def _warnings(threat: Threat) -> list[str]:
    """Return why the whole playbook waits, each reason once."""
    whole = [one for one in threat.decision.waiting if one.step is None]
    found = dict.fromkeys(
        words.why_waiting(one) for one in whole if one.code not in ("no-playbook",)
    )
    ended = _ended(threat) and not any(one.code == "outside-validity" for one in whole)
    more = [_("the playbook is outside its validity and needs a new end")] if ended else []
    early = [_("the playbook is not valid yet; it can be approved once it is")]
    said = [*found, *more, *(early if _too_early(threat) else [])]
    return [f"{one[:1].upper()}{one[1:]}." for one in said]


def _ended(threat: Threat) -> bool:
    now = moments.now()
    ends = [book.valid_until for book in threat.detection.playbooks if book.valid_until]
    return any(moment(end) <= now for end in ends)


def _too_early(threat: Threat) -> bool:
    now = moments.now()
    starts = [book.valid_from for book in threat.detection.playbooks if book.valid_from]
    return any(moment(start) > now for start in starts)


def _ends(threat: Threat) -> tuple[tuple[str, str], ...]:
    """Return the new ends to choose from, as they leave and in words; none while it is valid."""
    if not _ended(threat):
        return ()
    start = moments.now().replace(second=0, microsecond=0)
    return tuple(_end(start + timedelta(hours=hours), hours) for hours in ENDS)


def _end(at: datetime, hours: int) -> tuple[str, str]:
    size = moments.span(timedelta(hours=hours))
    said = _("for %(span)s, until %(at)s", span=size, at=moments.clock(at))
    return at.strftime("%Y-%m-%dT%H:%M:%SZ"), said


def _covered(threat: Threat) -> str:
    total = len(threat.detection.steps)
    if threat.status is not Status.PENDING:
        return ngettext("%(num)s step", "%(num)s steps", total)
    asking = {one.step for one in threat.decision.waiting if one.step is not None}
    if not asking:
        return ngettext("%(num)s step, automatic", "%(num)s steps, all automatic", total)
    said = ngettext("%(num)s step needs a person", "%(num)s steps need a person", len(asking))
    return _("%(said)s, of %(total)s", said=said, total=total)


def _goes_to(threat: Threat, reader: Reader) -> str:
    lane = reader.eme.orchestrator_lane(threat.organisation)
    if lane is None:
        return _("No orchestrator is connected: your approval is recorded, nothing is sent.")
    if reader.eme.store.stopped(threat.organisation):
        return _("Responses are stopped: what you approve is withdrawn, not sent.")
    name = lane.partition(":")[2]
    return _("Approved steps are sent to the orchestrator %(name)s at once.", name=name)


def _close_words(threat: Threat) -> str:
    if threat.status is Status.APPROVED:
        return _("What has not been sent yet is withdrawn; what has left is not undone.")
    return _("It leaves your queue as resolved. No response is sent.")
