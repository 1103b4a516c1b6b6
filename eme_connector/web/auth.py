"""Who is calling: a bearer token, or a person's session."""

from __future__ import annotations

from typing import cast

from flask import Flask, Response, current_app, g, request, session
from flask_session.base import ServerSideSession
from flask_wtf.csrf import CSRFProtect

from eme_connector.bootstrap import Eme
from eme_connector.domain.accounts import Account
from eme_connector.domain.rights import Caller, Right
from eme_connector.errors import NotAuthenticated, TooManyRequests
from eme_connector.precedence import READS, readers, writing
from eme_connector.usecases import accounts
from eme_connector.web.sessions import ACCOUNT, StoreSessions

COOKIE = "eme_session"
csrf = CSRFProtect()


def install(app: Flask, eme: Eme) -> None:
    """Give *app* sessions, CSRF protection and the limit on logins."""
    hours = eme.config.sessions.hours
    app.config.update(
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=eme.config.public_url.startswith("https://"),
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=hours * 3600,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
        SECRET_KEY=eme.signer.fingerprint + eme.cookie_secret,
    )
    app.session_interface = StoreSessions(app, eme.store, eme.clock)
    csrf.init_app(app)
    app.before_request(_check_csrf)
    app.after_request(_give_place_up)


def current_caller() -> Caller:
    """Return who calls this request.

    Raises:
        NotAuthenticated
    """
    found: Caller | None = g.get("caller")
    if found is None:
        found = g.caller = _find_caller()
        _take_place()
    return found


def current_account() -> Account | None:
    """Return the account behind the session, or None for a token or nobody."""
    if "account" not in g:
        g.account = _find_account()
    return cast("Account | None", g.account)


def need(right: Right) -> Caller:
    """Return the caller, who has *right*.

    Raises:
        NotAuthenticated, NotAllowed
    """
    caller = current_caller()
    caller.need(right)
    return caller


def log_in(name: str, password: str) -> Account:
    """Check name and password and begin a session with a fresh id.

    Raises:
        NotAuthenticated, TooManyRequests
    """
    eme = _eme()
    _count_try(eme, request.remote_addr or "", name.lower()[:64])
    account = accounts.prove_password(name, password, store=eme.store)
    session.clear()
    session[ACCOUNT] = account.id
    sessions = cast("StoreSessions", current_app.session_interface)
    sessions.regenerate(cast("ServerSideSession", session))
    g.account, g.caller = account, accounts.caller_of(account)
    return account


def log_out() -> None:
    """End the session; its cookie is of no more use."""
    session.clear()
    session.pop("_permanent", None)
    g.pop("account", None)
    g.pop("caller", None)


def _take_place() -> None:
    """Let whoever reads go before whoever writes, once it is known who it is."""
    if request.method in ("GET", "HEAD"):
        readers.begin()
        request.environ[READS] = True
    else:
        readers.give_way()
        writing.give_way()


def _give_place_up(response: Response) -> Response:
    """Let others go on once a reader has the whole answer."""
    if READS in request.environ:
        response.call_on_close(readers.end)
    return response


def _find_caller() -> Caller:
    eme = _eme()
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthenticated("send a bearer token")
        return accounts.prove_token(text.strip(), store=eme.store, now=eme.clock())
    account = current_account()
    if account is None:
        raise NotAuthenticated("send a bearer token, or log in")
    return accounts.caller_of(account)


def _find_account() -> Account | None:
    if COOKIE not in request.cookies or "Authorization" in request.headers:
        return None
    known = session.get(ACCOUNT)
    account = _eme().store.find_account_by_id(known) if known else None
    return None if account is None or account.disabled else account


def _count_try(eme: Eme, *keys: str) -> None:
    most = eme.config.limits.logins_per_minute
    if not all([eme.shared.hit("login", key, per_minute=most) for key in keys]):
        raise TooManyRequests("too many tries to log in; wait a minute")


def _check_csrf() -> None:
    # a bearer token is not sent by a browser on its own, a cookie is
    sent = request.headers
    by_cookie = "Authorization" not in sent and "Cookie" in sent and COOKIE in request.cookies
    if by_cookie or (request.method == "POST" and request.blueprint == "pages"):
        csrf.protect()


def _eme() -> Eme:
    return cast("Eme", current_app.extensions["eme"])
