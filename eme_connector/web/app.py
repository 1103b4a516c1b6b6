"""Make the Flask application: the API, the pages, and what stands around every request."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Response, jsonify, request
from flask_babel import Babel
from flask_openapi3 import Info, OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from eme_connector import __version__
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
    observe,
    operation,
    pages,
    peers,
    policies,
    problems,
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
_APIS = (
    ci,
    cert,
    policies,
    synchronization,
    directory,
    peers,
    vulnerability_scanning,
    session,
    operation,
)


def create_app(eme: Eme) -> OpenAPI:
    """Return the application that serves *eme*."""
    app = OpenAPI(
        "eme_connector.web",
        info=Info(title="EME connector", version=__version__),
        security_schemes=documentation.SECURITY_SCHEMES,
        validation_error_callback=problems.invalid_form,
        validation_error_model=routes.Problem,
        doc_ui=False,
    )
    app.extensions["eme"] = eme
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = None  # bodies.read bounds what it reads, per route
    if eme.config.serve.behind_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    observe.install(app, eme)
    problems.install(app)
    _guard(app, eme)
    auth.install(app, eme)
    app.before_request(_before)
    app.after_request(_after(eme))
    Babel(app)
    for module in _APIS:
        app.register_api(module.blueprint)
    app.register_blueprint(operation.public)
    app.register_blueprint(pages.blueprint)
    app.add_url_rule(f"{routes.BASE}/openapi.json", "openapi", lambda: _document(app))
    return app


def document(app: OpenAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of *app*."""
    known = app.extensions.get("eme-openapi")
    if known is None:
        known = app.extensions["eme-openapi"] = documentation.complete(app.api_doc)
    found: dict[str, Any] = known
    return found


def _document(app: OpenAPI) -> Response:
    return jsonify(document(app))


def _guard(app: OpenAPI, eme: Eme) -> None:
    """Refuse requests for another host: a page elsewhere may point its name at us."""
    own = urlsplit(eme.config.public_url).hostname
    allowed = {own, "localhost", "127.0.0.1", "::1"}

    @app.before_request
    def _check_host() -> Response | None:
        if urlsplit(f"//{request.host}").hostname in allowed:
            return None
        return problems.by_status(421, "This host is not served here", "")


def _before() -> None:
    """Check right, query and form before the framework reads them."""
    routes.check(request.endpoint)
    found = routes.OPERATIONS.get(request.endpoint or "")
    if found is None:
        return
    if unknown := set(request.args) - found.query:
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
    secure = eme.config.public_url.startswith("https://")

    def harden(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", CSP)
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        if secure:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if request.path.startswith(routes.BASE):
            headers.setdefault("Cache-Control", "no-store")
        return response

    return harden
