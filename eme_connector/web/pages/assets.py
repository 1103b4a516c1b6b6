"""Addresses of style sheets, scripts and icons: the built ones where they exist."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from flask import Response, request, url_for

STATIC = Path(__file__).resolve().parents[1] / "static"
_SHEETS = ("tokens", "base", "frame", "buttons", "parts", "threats", "threat")


def stylesheets() -> list[str]:
    """Return the style sheets of every page: one when built, else as they are written."""
    if built := manifest().get("app.css"):
        return [_static(built)]
    return [asset(f"css/{name}.css") for name in _SHEETS]


def scripts() -> list[str]:
    """Return the scripts of every page; built ones bring htmx, plain ones do without."""
    return [_static(manifest().get("app.js", "js/app.js"))]


def asset(name: str) -> str:
    """Return the address of a file under static/, which changes with its content."""
    return f"{_static(name)}?v={_mark(name)}"


@cache
def manifest() -> dict[str, str]:
    """Return what the build has left, by source name; empty in a bare checkout."""
    try:
        found = json.loads((STATIC / "dist" / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): f"dist/{value}" for key, value in found.items()}


def cache_for_ever(response: Response) -> Response:
    """Let browsers keep files whose address changes with their content."""
    if request.endpoint == "static" and ("/dist/" in request.path or "v" in request.args):
        response.cache_control.no_cache = None
        response.cache_control.public = True
        response.cache_control.max_age = 31_536_000
        response.cache_control.immutable = True
    return response


def _static(name: str) -> str:
    return url_for("static", filename=name)


@cache
def _mark(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
