"""Logging in and out by the API, and the kill switch: what people do besides deciding."""

from __future__ import annotations

from flask import Response, jsonify
from flask_wtf.csrf import generate_csrf

from eme_connector.domain.rights import Right
from eme_connector.errors import NotAuthenticated
from eme_connector.usecases import stop
from eme_connector.web import auth
from eme_connector.web.app_state import eme
from eme_connector.web.forms import LoginForm, StopForm
from eme_connector.web.routes import PUBLIC, Api, operation
from eme_connector.web.shapes import SessionShape, StopShape

blueprint = Api("session", "People: log in with a local account")


@operation(
    blueprint, "post", "/session", id="session_create", right=PUBLIC, answers={200: SessionShape}
)
def log_in(body: LoginForm) -> Response:
    """Log in; the cookie is the session, writes need its CSRF token in X-CSRFToken"""
    auth.log_in(body.name.strip(), body.password)
    return _shown()


@operation(
    blueprint, "get", "/session", id="session_read", right=PUBLIC, answers={200: SessionShape}
)
def who_am_i() -> Response:
    """Say who is logged in"""
    if auth.current_account() is None:
        raise NotAuthenticated("nobody is logged in")
    return _shown()


@operation(blueprint, "delete", "/session", id="session_delete", right=PUBLIC, answers={204: None})
def log_out() -> tuple[str, int]:
    """End the session"""
    auth.log_out()
    return "", 204


@operation(
    blueprint, "put", "/ci/stop", id="ci_stop_update", right=Right.DECIDE,
    answers={200: StopShape},
)  # fmt: skip
def set_stop(body: StopForm) -> Response:
    """Turn the kill switch on or off, as a person, with a reason (B8)"""
    running = eme()
    stopped = stop.set_stop(
        stopped=body.stopped,
        reason=body.reason,
        caller=auth.current_caller(),
        store=running.store,
        now=running.clock(),
    )
    return jsonify(stopped=stopped)


def _shown() -> Response:
    caller = auth.current_caller()
    return jsonify(
        name=caller.name,
        organisation=caller.organisation,
        rights=sorted(caller.rights),
        csrf_token=generate_csrf(),
    )
