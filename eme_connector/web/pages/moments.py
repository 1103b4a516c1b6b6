"""Times as people read them: relative and absolute, in the reader's own zone, which is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from flask import g, has_request_context, request
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from eme_connector.web.app_state import eme as running

Moment = int | float | str | datetime
COOKIE = "zone"
_MICROS = 1_000_000


def moment(value: Moment) -> datetime:
    """Return the time that *value* names: µs (int) or s (float) since 1970, RFC 3339, datetime."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    seconds = value / _MICROS if isinstance(value, int) else value
    return datetime.fromtimestamp(seconds, UTC)


def now() -> datetime:
    """Return the time of this request, one for the whole page."""
    if not has_request_context():
        return datetime.now(UTC)
    if "moment" not in g:
        g.moment = datetime.fromtimestamp(running().clock(), UTC)
    found: datetime = g.moment
    return found


def now_micros() -> int:
    """Return the time of this request in µs since 1970."""
    return round(now().timestamp() * _MICROS)


def zone() -> tzinfo:
    """Return the reader's zone: a script has put its name into a cookie; UTC without one."""
    if "zone" not in g:
        g.zone = _zone(request.cookies.get(COOKIE, ""))
    found: tzinfo = g.zone
    return found


def zone_name() -> str:
    """Return the zone's name with its present offset, such as `Europe/Athens (UTC+02:00)`."""
    offset = now().astimezone(zone()).strftime("%z")
    name = str(zone())
    return name if name == "UTC" else f"{name} (UTC{offset[:3]}:{offset[3:]})"


def absolute(value: Moment) -> str:
    """Return `2026-11-24 12:04:31` in the reader's zone."""
    return moment(value).astimezone(zone()).strftime("%Y-%m-%d %H:%M:%S")


def clock(value: Moment) -> str:
    """Return `12:04:31` for today, with the date before it for any other day."""
    local = moment(value).astimezone(zone())
    today = local.date() == now().astimezone(zone()).date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def hour(value: Moment) -> str:
    """Return `12:00`, the hour that a bar stands for."""
    return moment(value).astimezone(zone()).strftime("%H:00")


def ago(value: Moment) -> str:
    """Return `3 min ago`, or `in 3 min` for what lies ahead."""
    gap = now() - moment(value)
    if abs(gap) < timedelta(seconds=5):
        return _("just now")
    if gap < timedelta():
        return _("in %(span)s", span=span(-gap))
    return _("%(span)s ago", span=span(gap))


def left(until: Moment) -> str:
    """Return `14 min left`, or `ended 2 h ago`."""
    gap = moment(until) - now()
    if gap <= timedelta():
        return _("ended %(span)s ago", span=span(-gap))
    return _("%(span)s left", span=span(gap))


def span(gap: timedelta) -> str:
    """Return the size of *gap* in its largest unit."""
    seconds = int(gap.total_seconds())
    if seconds < 60:
        return _("%(n)s s", n=seconds)
    if seconds < 3600:
        return _("%(n)s min", n=seconds // 60)
    if seconds < 48 * 3600:
        return _("%(n)s h", n=seconds // 3600)
    days = seconds // 86400
    if days < 730:
        return ngettext("%(num)s day", "%(num)s days", days)
    return ngettext("%(num)s year", "%(num)s years", days // 365)


def when(value: Moment, words: str) -> Markup:
    """Return a time element that says *words* and carries the exact time."""
    exact = moment(value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, absolute(value), words)


def day_start(text: str) -> int | None:
    """Return µs of the start of the day `2026-11-24` in the reader's zone; None if it is none."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone())
        return round(day.timestamp() * _MICROS)
    except (ValueError, OverflowError):
        return None


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
