"""Sharing → Groups: how each MISP and Cerebrate stands that the relay keeps true."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from eme_connector.domain.relay import Run
from eme_connector.errors import Conflict, DeliveryError, NotFound
from eme_connector.sync.reasons import explain
from eme_connector.sync.steps import HOLDS, WORDS
from eme_connector.sync.undo import LEFT
from eme_connector.usecases import relay_status
from eme_connector.usecases.relay_cycle import Report
from eme_connector.usecases.relay_status import Standing
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import Reader, reader

Answer = Response | str | tuple[str, int]
_TONES = {
    "converged": ("approved", "good"),
    "differs": ("changed", "wait"),
    "waits": ("wait", "wait"),
    "writing": ("running", "soft"),
    "never": ("wait", "wait"),
    "late": ("wait", "wait"),
    "failed": ("warning", "bad"),
}


@dataclass(frozen=True, slots=True)
class StandingView:
    """A target as the page shows it."""

    target: Standing
    icon: str
    tone: str
    word: str
    said: str
    fix: str

    @property
    def detail(self) -> Mapping[str, Any]:
        """What its last cycle found."""
        return self.target.turn.detail


@blueprint.get("/sharing/groups")
def relay_status_page() -> Answer:
    """Show every target: what waits, what conflicts, what is stuck, who wrote last."""
    who = _keeper()
    found = relay_status.standings(caller=who.caller, system=who.eme)
    sync = who.eme.config.sync
    return render_template(
        "relay/status.html",
        targets=[_view(one) for one in found],
        every_s=sync.every_s if sync else None,
        source=sync.source if sync else "",
        **_words(),
    )


@blueprint.post("/sharing/groups/<target>/compare")
def relay_compare(target: str) -> Answer:
    """Ask the source and one target what differs now; nothing is written there."""
    who = _keeper()

    def look() -> Report:
        return relay_status.compare(target, caller=who.caller, system=who.eme)

    return _done(target, look, has_written=False)


@blueprint.post("/sharing/groups/<target>/apply")
def relay_apply(target: str) -> Answer:
    """Apply at one target now, with exactly the removals that were ticked."""
    who = _keeper()
    ticked = tuple(one for one in request.form.getlist("confirm") if one)
    return _done(
        target,
        lambda: relay_status.apply(target, ticked, caller=who.caller, system=who.eme),
        ticked,
    )


@blueprint.get("/sharing/groups/<target>/undo")
def relay_undo_preview(target: str) -> Answer:
    """Show what would be taken back of the last apply at one target."""
    who = _keeper()
    standing = relay_status.find_standing(target, caller=who.caller, system=who.eme)
    undone, status = None, 200
    problems: tuple[str, ...] = ()
    try:
        undone = relay_status.preview(target, caller=who.caller, system=who.eme)
    except NotFound:
        problems = (_("Nothing was applied there that could be taken back."),)
    except DeliveryError as exc:
        problems, status = (_failure(exc.reason),), exc.status
    page = render_template(
        "relay/undo.html", target=standing, undone=undone, problems=problems, **_words()
    )
    return page, status


@blueprint.post("/sharing/groups/<target>/undo")
def relay_undo(target: str) -> Answer:
    """Take back the run that was looked at."""
    who = _keeper()
    run = request.form.get("run", "")
    try:
        undone = relay_status.undo(target, run, caller=who.caller, system=who.eme)
    except (Conflict, NotFound):
        flash(_("Something else has happened there since you looked. Look again."), "wait")
        return redirect(url_for("pages.relay_undo_preview", target=target), 303)
    except DeliveryError as exc:
        flash(_failure(exc.reason), "bad")
        return redirect(url_for("pages.relay_status_page"), 303)
    count = len(undone.outcome.done)
    told = ngettext("%(num)s change was taken back", "%(num)s changes were taken back", count)
    flash(_("%(what)s at %(name)s.", what=told, name=target), "good")
    return redirect(url_for("pages.relay_status_page"), 303)


@blueprint.get("/sharing/groups/runs/<run>")
def relay_run(run: str) -> Answer:
    """Show what one run wrote, call by call."""
    who = _keeper()
    found, writes = relay_status.read_run(run, caller=who.caller, system=who.eme)
    standing = relay_status.find_standing(found.target, caller=who.caller, system=who.eme)
    rows = [
        {
            "word": one.word,
            "name": standing.names.get(one.subject.partition("/")[2], one.subject),
            "member_name": standing.names.get(one.member, one.member),
            "before": one.before,
            "after": one.after,
            "state": one.state,
            "reason": one.reason,
        }
        for one in writes
    ]
    return render_template("relay/run.html", run=found, kind=_kind(found), rows=rows, **_words())


def _keeper() -> Reader:
    who = reader()
    if who.eme.config.sync is None:
        raise NotFound(_("No relay of sharing groups is configured here."))
    return who


def _done(
    target: str,
    work: Callable[[], Report],
    ticked: tuple[str, ...] = (),
    *,
    has_written: bool = True,
) -> Response:
    try:
        report = work()
    except DeliveryError as exc:
        flash(_("The source: %(why)s", why=_failure(exc.reason)), "bad")
    else:
        flash(*_told(report, ticked, has_written))
    return redirect(url_for("pages.relay_status_page", _anchor=f"target-{target}"), 303)


def _told(report: Report, ticked: tuple[str, ...], has_written: bool) -> tuple[str, str]:
    if report.state == "failed":
        return f"{report.target}: {_failure(report.reason)}", "bad"
    meant = {one.partition("@")[0] for one in ticked}
    stale = {one.name for one in report.plan.differences if one.confirm and one.uuid in meant}
    if stale:
        names = ", ".join(sorted(stale))
        said = _("What would be removed from %(names)s is not what you read. Nothing of it was"
                 " removed; read it again.", names=names)  # fmt: skip
        return said, "wait"
    done = len(report.outcome.done)
    wrote = ngettext("%(num)s change written, ", "%(num)s changes written, ", done)
    wrote = wrote if has_written else ""
    if report.state == "converged":
        return _("%(name)s: %(wrote)snothing differs.", name=report.target, wrote=wrote), "good"
    left = ngettext("%(num)s thing differs", "%(num)s things differ", len(report.plan.differences))
    return _("%(name)s: %(wrote)s%(left)s.", name=report.target, wrote=wrote, left=left), "wait"


def _view(one: Standing) -> StandingView:
    waits = one.state in ("differs", "converged") and bool(one.turn.detail.get("held"))
    icon, tone = _TONES["waits" if waits else one.state]
    said, fix = explain(one.turn.reason) if one.state == "failed" else ("", "")
    return StandingView(one, icon, tone, _word(one, waits), _(said), _(fix))


def _word(one: Standing, waits: bool) -> str:
    if waits:
        return _("Removals wait for you")
    return {
        "converged": _("Nothing differs"),
        "differs": _("Something differs"),
        "writing": _("Writing now"),
        "never": _("Not compared yet"),
        "late": _("Overdue: is the sidecar's worker running?"),
        "failed": _("The last cycle failed"),
    }[one.state]


def _failure(reason: str) -> str:
    said, fix = explain(reason)
    if not said:
        return reason
    return f"{_(said)} ({reason}). {_('Next: %(fix)s.', fix=_(fix))}"


def _words() -> dict[str, Any]:
    return {
        "meaning": lambda word: _(WORDS.get(word, "")),
        "hold": lambda reason: _(HOLDS.get(reason, "")),
        "left": lambda reason: _(LEFT.get(reason, "")),
        "why": lambda reason: _failure(reason),
        "kind_of": _kind,
        "value": _value,
    }


def _kind(run: Run) -> str:
    return _("Undo") if run.kind == "undo" else _("Apply")


def _value(what: Any) -> str:
    """Return what a target has, or gets, in words."""
    if what is None:
        return _("nothing")
    if isinstance(what, bool):
        return _("yes") if what else _("no")
    if isinstance(what, dict):
        if what.keys() == {"extend"}:
            return _("member, may add others") if what["extend"] else _("member")
        said = {key: one for key, one in what.items() if one not in ("", [])}
        return ", ".join(f"{key}: {_value(one)}" for key, one in said.items())
    if isinstance(what, list):
        return ", ".join(_server(one) for one in what) or _("nothing")
    return str(what)


def _server(one: Any) -> str:
    if isinstance(one, list) and len(one) == 2:
        url = str(one[0]) or _("itself")
        return _("%(url)s for all its organisations", url=url) if one[1] else url
    return str(one)
