"""Log in with a local account, and out again."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from eme_connector.errors import NotAuthenticated, TooManyRequests
from eme_connector.web import auth
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import find_reader

Answer = Response | str | tuple[str, int]


@blueprint.get("/login")
def login_form() -> Answer:
    """Ask who it is."""
    if find_reader():
        return redirect(local_path(request.args.get("next", "")))
    return _page("", None)


@blueprint.post("/login")
def login() -> Answer:
    """Check name and password."""
    name = request.form.get("name", "").replace("\0", "").strip()
    try:
        auth.log_in(name, request.form.get("password", ""))
    except TooManyRequests:
        words = _("Too many tries from your address. Wait a minute, then try again.")
        return _page(name, words), TooManyRequests.status
    except NotAuthenticated:
        words = _("Name and password do not match an account that is open.")
        return _page(name, words), NotAuthenticated.status
    return redirect(local_path(request.form.get("next", "")), 303)


@blueprint.post("/logout")
def logout() -> Response:
    """End the session."""
    auth.log_out()
    return redirect(url_for("pages.login_form", out="1"), 303)


def local_path(text: str) -> str:
    """Return *text* when it is a path of this site, else the home page."""
    plain = text.isprintable() and "\\" not in text
    if plain and text.startswith("/") and not text.startswith("//") and not urlsplit(text).netloc:
        return text
    return url_for("pages.home")


def _page(name: str, problem: str | None) -> str:
    said = {"tone": "bad", "words": problem} if problem else None
    if not said and request.args.get("out"):
        said = {"tone": "good", "words": _("You are logged out.")}
    wanted = request.form.get("next") or request.args.get("next", "")
    return render_template("login.html", name=name, said=said, next=wanted)
