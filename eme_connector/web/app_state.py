"""What the running application carries, typed."""

from __future__ import annotations

from typing import cast

from flask import current_app

from eme_connector.bootstrap import Eme
from eme_connector.web.observe import Metrics


def eme() -> Eme:
    """Return the system that this application serves."""
    return cast("Eme", current_app.extensions["eme"])


def metrics() -> Metrics:
    """Return the counters of this application."""
    return cast("Metrics", current_app.extensions["eme-metrics"])
