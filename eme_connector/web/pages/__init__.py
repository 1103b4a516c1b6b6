"""Pages for people: dashboards, decisions, policy; reads through use cases, forms by POST."""

from eme_connector.web.pages import (  # noqa: F401 - each adds its routes to the blueprint
    audience,
    cerebrate,
    decisions,
    errors,
    live,
    login,
    policy,
    relay,
    stop,
    threat,
    threats,
)
from eme_connector.web.pages.frame import blueprint

__all__ = ["blueprint"]
