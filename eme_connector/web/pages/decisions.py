"""Decide, close, choose who sees: plain forms, so that they work without scripts."""

from __future__ import annotations

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from eme_connector.domain.decision import Wish
from eme_connector.domain.feedback import Word
from eme_connector.domain.threat import Status, Threat
from eme_connector.errors import Conflict, InvalidInput, InvalidPlaybook, StaleDigest
from eme_connector.usecases import decide as usecase
from eme_connector.usecases import deliver
from eme_connector.web.pages import stale, words
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import Reader, reader
from eme_connector.web.pages.rows import row_of
from eme_connector.web.pages.threat import Given, card, find

Answer = Response | str | tuple[str, int]
MAX_REASON = 2_000


@blueprint.post("/threats/<uuid:threat_id>/decision")
def decide(threat_id: UUID) -> Answer:
    """Record the reader's decision about what they have read."""
    who = reader()
    seen = find(threat_id, who)
    if problems := _problems():
        return _again(seen, who, problems)
    try:
        decided = usecase.decide(
            seen.id,
            _wish(),
            caller=who.caller,
            lanes=who.eme.orchestrator_lane,
            store=who.eme.store,
            now=who.eme.clock(),
        )
    except StaleDigest:
        return _stale(find(threat_id, who), who)
    except Conflict:
        row = row_of(find(threat_id, who), who)
        return render_template("decided.html", row=row), Conflict.status
    except InvalidPlaybook as exc:
        return _again(find(threat_id, who), who, tuple(one.detail for one in exc.faults))
    flash(_said(decided), "good")
    if _kind() == "approve-all":
        return redirect(url_for("pages.threats"), 303)
    return _back(decided)


@blueprint.post("/threats/<uuid:threat_id>/feedback")
def answer(threat_id: UUID) -> Answer:
    """Say something back about a threat of another organisation."""
    who = reader()
    seen = find(threat_id, who)
    given = request.form.get("word", "")
    text = request.form.get("text", "").strip()
    known = {str(one): one for one in Word}
    if given not in known:
        return _again(seen, who, (_("Choose what you want to say."),))
    from eme_connector.usecases import feedback  # all that reads events stays out without MISP

    try:
        feedback.give(seen.id, known[given], text, caller=who.caller, system=who.eme)
    except InvalidInput:
        said = _("Write a comment of at most %(n)s characters.", n=MAX_REASON)
        return _again(seen, who, (said,))
    flash(_("Your answer is on its way, by MISP."), "good")
    return _back(seen)


@blueprint.post("/threats/<uuid:threat_id>/close")
def close(threat_id: UUID) -> Answer:
    """Close a threat by hand."""
    who = reader()
    seen = find(threat_id, who)
    try:
        closed = usecase.close(
            seen.id, _reason(), caller=who.caller, store=who.eme.store, now=who.eme.clock()
        )
    except InvalidInput:
        return _again(seen, who, (_("Say why you close it."),))
    flash(_("You closed this threat."), "good")
    return _back(closed)


@blueprint.post("/threats/<uuid:threat_id>/sharing")
def share(threat_id: UUID) -> Answer:
    """Choose the sharing group and, for the strictest markings, the recipients."""
    who = reader()
    seen = find(threat_id, who)
    try:
        chosen = usecase.set_sharing(
            seen.id,
            request.form.get("group") or None,
            tuple(request.form.getlist("recipient")),
            caller=who.caller,
            topology=who.eme.topology,
            store=who.eme.store,
            now=who.eme.clock(),
        )
    except (InvalidInput, Conflict) as exc:
        return _again(find(threat_id, who), who, (str(exc),))
    flash(_("Saved who sees this threat."), "good")
    return _back(chosen)


def _kind() -> str:
    return request.form.get("decision", "")


def _reason() -> str:
    return request.form.get("reason", "").strip()[:MAX_REASON]


def _problems() -> tuple[str, ...]:
    if _kind() == "decline" and not _reason():
        return (_("Say why you decline: whoever sees this threat will read it."),)
    if _kind() == "approve" and not request.form.getlist("step"):
        return (_("Tick at least one step to approve, or decline all."),)
    if _kind() not in ("approve", "approve-all", "decline"):
        return (_("Choose to approve or to decline."),)
    return ()


def _wish() -> Wish:
    approve = _kind() != "decline"
    steps = tuple(request.form.getlist("step")) if _kind() == "approve" else None
    return Wish(
        status=Status.APPROVED if approve else Status.DECLINED,
        digest=request.form.get("digest", ""),
        reason=_reason(),
        steps=steps,
        valid_until=(request.form.get("valid_until") or None) if approve else None,
    )


def _again(found: Threat, who: Reader, problems: tuple[str, ...]) -> Answer:
    ticked = frozenset(request.form.getlist("step")) if _kind() == "approve" else None
    given = Given(_reason(), request.form.get("valid_until", ""), ticked)
    return card(found, who, problems=problems, given=given), InvalidInput.status


def _stale(found: Threat, who: Reader) -> Answer:
    digest = request.form.get("digest", "")
    changes = stale.changes(request.form.get("seen", ""), digest, found.proposal)
    page = render_template("stale.html", row=row_of(found, who), changes=changes)
    return page, StaleDigest.status


def _back(found: Threat) -> Response:
    return redirect(url_for("pages.threat", threat_id=found.id), 303)


def _said(decided: Threat) -> str:
    name = row_name(decided)
    if decided.decision.status is Status.DECLINED:
        return _("You declined the response to “%(name)s”. Nothing is sent.", name=name)
    count = len(decided.decision.steps)
    return ngettext(
        "You approved %(num)s step of the response to “%(name)s”.",
        "You approved %(num)s steps of the response to “%(name)s”.",
        count,
        name=name,
    )


def row_name(threat: Threat) -> str:
    """Return what a threat is called."""
    return threat.detection.name or words.kind(threat.detection.kind)


@blueprint.post("/threats/<uuid:threat_id>/deliveries/<int:delivery_id>/retry")
def retry(threat_id: UUID, delivery_id: int) -> Answer:
    """Send something again that was refused, given up or left uncertain."""
    who = reader()
    seen = find(threat_id, who)
    try:
        deliver.retry(delivery_id, caller=who.caller, system=who.eme)
    except Conflict as exc:
        return _again(find(threat_id, who), who, (str(exc),))
    flash(_("It is sent again."), "good")
    return _back(seen)
