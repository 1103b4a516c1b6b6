"""The kill switch: a page that asks once more, and wants a reason."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from eme_connector.errors import InvalidInput, NotAllowed
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import Reader, reader

Answer = Response | str | tuple[str, int]


@blueprint.get("/stop")
def stop() -> Answer:
    """Ask whether it is really meant."""
    _allowed()
    return render_template("stop.html", problems=(), given_reason="")


def _allowed() -> Reader:
    who = reader()
    if not who.may_stop:
        raise NotAllowed(_("Only people who may decide can stop or start responses."))
    return who
