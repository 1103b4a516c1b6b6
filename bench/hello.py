"""The floor: Flask answering a POST with a constant, on the same server as the sidecar."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

app = Flask(__name__)


@app.post("/api/v1/ci/threats")
def hello() -> dict[str, Any]:
    """Read the body and say hello."""
    request.get_data()
    return {"hello": "world"}


@app.get("/readyz")
def ready() -> str:
    """Say that it answers."""
    return "ok"
