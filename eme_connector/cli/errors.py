"""Word every error of ours once: what is wrong, where, and a stable exit code."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import click

from eme_connector.errors import ConfigError, DeliveryError, EmeError, InvalidInput

EXIT_CODES = {
    "ok": 0,
    "failed": 1,
    "usage": 2,
    "configuration": 3,
    "not allowed": 4,
    "not found": 5,
    "conflict": 6,
    "invalid": 7,
    "unavailable": 8,
}
_BY_STATUS = {
    400: 7, 401: 4, 403: 4, 404: 5, 409: 6, 412: 6, 413: 7, 415: 7, 422: 7, 428: 6,
    429: 8, 502: 8, 503: 8,
}  # fmt: skip


class Group(click.Group):
    """A group whose commands end with one word on every error of ours."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with the exit code of what went wrong."""
        try:
            return super().invoke(ctx)
        except EmeError as exc:
            if isinstance(ctx.parent, click.Context):
                raise
            fail(exc)


def exit_code(status: int) -> int:
    """Return the exit code for an HTTP status."""
    return _BY_STATUS.get(status, 1)


def fail(error: EmeError) -> NoReturn:
    """Print *error* for a person, or as JSON where --json was asked for, and end."""
    code = (
        EXIT_CODES["configuration"] if isinstance(error, ConfigError) else exit_code(error.status)
    )
    if "--json" in sys.argv:
        click.echo(json.dumps(error.problem()))
        sys.exit(code)
    click.echo(click.style(f"{error.title}.", bold=True), err=True)
    for line in _lines(error):
        click.echo(f"  {line}", err=True)
    sys.exit(code)


def _lines(error: EmeError) -> list[str]:
    if isinstance(error, ConfigError):
        return list(error.problems)
    if isinstance(error, InvalidInput):
        return [f"{fault.pointer or '/'}: {fault.detail}" for fault in error.faults]
    if isinstance(error, DeliveryError) and (fix := error.remedy or _fix(error.reason)):
        return [str(error), f"→ {fix}"]
    return [str(error)]


def _fix(reason: str) -> str:
    from eme_connector.domain import misp_reasons, reach

    return misp_reasons.remedy(reason) or reach.FIXES.get(reason, "")
