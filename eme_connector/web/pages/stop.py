"""The kill switch: a page that asks once more, and wants a reason."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from eme_connector.errors import InvalidInput, NotAllowed
from eme_connector.usecases.stop import set_stop
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import Reader, reader

Answer = Response | str | tuple[str, int]
MAX_REASON = 2_000


@blueprint.get("/stop")
def stop() -> Answer:
    """Ask whether it is really meant."""
    _operator()
    return render_template("stop.html", problems=())


@blueprint.post("/stop")
def turn_stop() -> Answer:
    """Stop, or start again."""
    who = _operator()
    stopped = request.form.get("stopped") != "no"
    try:
        set_stop(
            stopped=stopped,
            reason=request.form.get("reason", "").strip()[:MAX_REASON],
            caller=who.caller,
            store=who.eme.store,
            now=who.eme.clock(),
        )
    except InvalidInput:
        problems = (_("Say why: it is written to the audit log."),)
        return render_template("stop.html", problems=problems), InvalidInput.status
    said = (
        _("Stopped: no playbook is sent any more.") if stopped else _("Playbooks are sent again.")
    )
    flash(said, "wait" if stopped else "good")
    return redirect(url_for("pages.threats"), 303)


def _operator() -> Reader:
    who = reader()
    if not who.may_stop:
        raise NotAllowed(_("Only people who may decide can stop or start responses."))
    return who
