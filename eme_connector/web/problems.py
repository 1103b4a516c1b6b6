"""Every refusal and failure as RFC 9457 problem details, from one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

import structlog
from flask import Flask, Response, request
from flask_wtf.csrf import CSRFError
from gunicorn.http.errors import ParseException
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from eme_connector.errors import EmeError, Fault, InvalidInput

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger("eme.web")
_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "60"},
    503: {"Retry-After": "2"},
}


def install(app: Flask) -> None:
    """Answer every error of *app* with a problem document."""
    app.register_error_handler(EmeError, refused)
    app.register_error_handler(CSRFError, forged)
    app.register_error_handler(HTTPException, by_framework)
    app.register_error_handler(ParseException, garbled)
    app.register_error_handler(Exception, failed)


def refused(error: EmeError) -> Response:
    """Answer what we refused on purpose."""
    if error.status >= 500:
        _log.warning("refused", error=type(error).__name__, endpoint=request.endpoint)
    return answer(error.status, error.problem())


def forged(_: CSRFError) -> Response:
    """Answer a write by cookie without its token."""
    return by_status(400, "The CSRF token is missing", "send X-CSRFToken with cookie requests")


def garbled(_: ParseException) -> Response:
    """Answer a body whose chunks cannot be told apart."""
    return by_status(400, "The body cannot be read", "its chunks are not as HTTP/1.1 has them")


def by_framework(error: HTTPException) -> Response:
    """Answer what the web framework refused."""
    if error.response is not None:
        return cast("Response", error.response)
    found = by_status(error.code or 500, error.name, "")
    if error.code == 405 and (methods := getattr(error, "valid_methods", None)):
        found.headers["Allow"] = ", ".join(sorted(methods))
    return found


def failed(error: Exception) -> Response:
    """Answer a fault of ours: the log has it under the number that is shown."""
    incident = str(uuid4())
    _log.error("failed", incident=incident, error=type(error).__name__, endpoint=request.endpoint,
               exc_info=error)  # fmt: skip
    return by_status(500, "Something went wrong here", f"incident {incident}")


def invalid_form(error: ValidationError) -> Response:
    """Answer a form that breaks its model; values are not echoed."""
    faults = [
        Fault("".join(f"/{part}" for part in one["loc"]), one["msg"])
        for one in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return refused(InvalidInput(faults))


def by_status(status: int, title: str, detail: str) -> Response:
    """Answer with a status, a title and a detail."""
    return answer(
        status, {"type": "about:blank", "title": title, "status": status, "detail": detail}
    )


def answer(status: int, problem: Mapping[str, Any]) -> Response:
    """Return *problem* as a response."""
    response = Response(json.dumps(problem), status, mimetype=MEDIA_TYPE)
    response.headers.update(_HEADERS.get(status, {}))
    return response
