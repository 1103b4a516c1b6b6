"""Refusals and failures as pages: what happened, and the next step."""

from __future__ import annotations

from dataclasses import dataclass

from flask import redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Response

from eme_connector.errors import (
    EmeError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    StoreUnavailable,
    TooManyRequests,
)
from eme_connector.web import problems
from eme_connector.web.pages.frame import blueprint

Answer = Response | tuple[str, int]


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What a refusal says, and where to go from there."""

    status: int
    title: str
    detail: str
    next_address: str = ""
    next_words: str = ""


@blueprint.errorhandler(NotAuthenticated)
def ask_who(error: NotAuthenticated) -> Answer:
    """Send a reader to the login page and back; a script is told 401."""
    if request.method != "GET" or request.headers.get("Sec-Fetch-Dest") == "empty":
        return show(error)
    wanted = request.full_path.rstrip("?")
    return redirect(url_for("pages.login_form", next=None if wanted == "/" else wanted))


@blueprint.errorhandler(EmeError)
def show(error: EmeError) -> Answer:
    """Show what we refused on purpose."""
    return _page(page_of(error))


@blueprint.errorhandler(CSRFError)
def show_forgery(error: CSRFError) -> Answer:
    """Show that a form came without its token: it was open too long, or it is not ours."""
    title = _("This form cannot be taken")
    detail = _("It was open for too long, or it did not come from this site. Nothing was changed.")
    return _page(ErrorPage(400, title, detail, url_for("pages.home"), _("Start again")))


@blueprint.errorhandler(HTTPException)
def show_http(error: HTTPException) -> Answer:
    """Show what the web framework refused, or a fault of ours."""
    status = error.code or 500
    titles = {
        404: _("There is no such page"),
        405: _("This cannot be done here"),
        413: _("That is too much at once"),
        429: _("Too many requests"),
    }
    title = titles.get(status, _("Something went wrong here"))
    detail = _("Nothing was changed.") if status < 500 else _("It is written to the log.")
    return _page(ErrorPage(status, title, detail, url_for("pages.home"), _("Go home")))


@blueprint.errorhandler(ParseException)
def show_garbled(_: ParseException) -> Answer:
    """Show that a form came in chunks that cannot be told apart."""
    return show_http(BadRequest())


@blueprint.errorhandler(Exception)
def show_fault(error: Exception) -> Answer:
    """Show that we failed; the log has it under the number that is shown."""
    incident = str((problems.failed(error).get_json() or {}).get("detail", ""))
    title = _("Something went wrong here")
    detail = _("The log has it as %(incident)s.", incident=incident)
    return _page(ErrorPage(500, title, detail, url_for("pages.home"), _("Go home")))


@blueprint.app_errorhandler(404)
def show_nothing(error: HTTPException) -> Answer:
    """Show a page where a browser asked for one; anything else is told by a problem document."""
    wants_page = "text/html" in request.headers.get("Accept", "")
    if request.path.startswith("/api/") or not wants_page:
        return problems.by_framework(error)
    return show_http(error)


def page_of(error: EmeError) -> ErrorPage:
    """Return the page for an error that we raised on purpose."""
    home = url_for("pages.home")
    titles = {
        NotAuthenticated: _("You are not logged in"),
        NotAllowed: _("You may not do this"),
        NotFound: _("There is no such threat here"),
        StoreUnavailable: _("The database cannot be reached"),
        TooManyRequests: _("Too many requests"),
    }
    details = {
        NotAuthenticated: _("Log in, then try again. Nothing was changed."),
        NotFound: _("It does not exist, or it was not shared with your organisation."),
        StoreUnavailable: _("Nothing was changed. Try again in a moment."),
    }
    title = titles.get(type(error), _(error.title))
    detail = details.get(type(error), _sentence(str(error)))
    if isinstance(error, NotAuthenticated):
        return ErrorPage(error.status, title, detail, url_for("pages.login_form"), _("Log in"))
    if isinstance(error, StoreUnavailable):
        return ErrorPage(error.status, title, detail, request.path, _("Try again"))
    return ErrorPage(error.status, title, detail, home, _("Back to the threats"))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _page(page: ErrorPage) -> Answer:
    return render_template("error.html", page=page), page.status
