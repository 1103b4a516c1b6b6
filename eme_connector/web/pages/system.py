"""The system that this application serves."""

from __future__ import annotations

from flask import current_app

from eme_connector.bootstrap import Eme


def running() -> Eme:
    """Return the running system."""
    found: Eme = current_app.extensions["eme"]
    return found
