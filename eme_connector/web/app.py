"""Make the Flask application: the API, the pages, and what stands around every request."""

from __future__ import annotations

import threading
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

from flask import Response, jsonify, request
from flask.json.provider import DefaultJSONProvider
from flask_babel import Babel
from flask_openapi3 import OpenAPI
from pydantic_core import to_json
from werkzeug.middleware.proxy_fix import ProxyFix

from eme_connector.bootstrap import Eme
from eme_connector.errors import Fault, InvalidInput, Malformed
from eme_connector.formats import strict_json
from eme_connector.web import (
    auth,
    bodies,
    cert,
    ci,
    directory,
    documentation,
    lookup,
    memory,
    misp,
    observe,
    operation,
    pages,
    peers,
    policies,
    problems,
    relay,
    routes,
    session,
    synchronization,
    vulnerability_scanning,
)

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; manifest-src 'self'"
)
_DESCRIBING = threading.Lock()
_APIS = (
    ci,
    cert,
    policies,
    lookup,
    synchronization,
    directory,
    peers,
    misp,
    vulnerability_scanning,
    session,
    operation,
    relay,
)


class _App(OpenAPI):
    """Flask without what it does at every request for the sake of others."""

    def ensure_sync(self, func: Any) -> Any:
        """Return *func*: none of ours is a coroutine, and each would be asked each time."""
        return func


class _Json(DefaultJSONProvider):
    """JSON in the order in which we wrote it."""

    def response(self, *args: Any, **members: Any) -> Response:
        """Return the one value, or these members, as a JSON document."""
        text = to_json(self._prepare_response_obj(args, members), fallback=self.default)
        return Response(text + b"\n", mimetype=self.mimetype)


def create_app(eme: Eme) -> OpenAPI:
    """Return the application that serves *eme*."""
    app = _App("eme_connector.web", validation_error_callback=problems.invalid_form, doc_ui=False)
    app.extensions["eme"] = eme
    app.json = _Json(app)
    app.config["MAX_CONTENT_LENGTH"] = None  # bodies.read bounds what it reads, per route
    if eme.config.serve.behind_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    observe.install(app, eme)
    problems.install(app)
    memory.install(app)
    _guard(app, eme)
    auth.install(app, eme)
    app.before_request(_before)
    app.after_request(_after(eme))
    Babel(app)
    for module in _APIS:
        app.register_api(module.blueprint)
    app.register_blueprint(operation.public)
    app.register_blueprint(pages.blueprint)
    app.add_url_rule(f"{routes.BASE}/openapi.json", "openapi", lambda: jsonify(document()))
    return app


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the API."""
    with _DESCRIBING:  # models that build themselves are not made for two threads
        return documentation.document(module.blueprint for module in _APIS)


def _guard(app: OpenAPI, eme: Eme) -> None:
    """Refuse requests for another host: a page elsewhere may point its name at us."""
    own = urlsplit(eme.config.public_url).hostname
    allowed = {own, "localhost", "127.0.0.1", "::1"}

    @app.before_request
    def _check_host() -> Response | None:
        if _hostname(request.host) in allowed:
            return None
        return problems.by_status(421, "This host is not served here", "")


@lru_cache(maxsize=256)
def _hostname(host: str) -> str | None:
    return urlsplit(f"//{host}").hostname


def _before() -> None:
    """Check right, query and form before the framework reads them."""
    endpoint = request.endpoint
    routes.check(endpoint)
    found = routes.OPERATIONS.get(endpoint or "")
    if found is None:
        return
    if request.query_string and (unknown := set(request.args) - found.query):
        detail = f"{len(unknown)} unknown query parameters"
        raise InvalidInput([Fault("", detail)])
    if found.has_form:
        _check_form()


def _check_form() -> None:
    data = bodies.read(strict_json.MAX_BYTES, bodies.JSON_TYPES[:1])
    if not isinstance(strict_json.loads(data), dict):
        raise Malformed("expected a JSON object")
    request._cached_data = data  # the framework reads it again


def _after(eme: Eme) -> Any:
    always = [
        ("Content-Security-Policy", CSP),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
    if eme.config.public_url.startswith("https://"):
        always.append(("Strict-Transport-Security", "max-age=31536000"))
    below_base = [*always, ("Cache-Control", "no-store")]

    def harden(response: Response) -> Response:
        there = {name.lower() for name, _ in response.headers}
        wanted = below_base if request.path.startswith(routes.BASE) else always
        for name, value in wanted:
            if name.lower() not in there:
                response.headers.add(name, value)
        return response

    return harden
