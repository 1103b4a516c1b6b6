"""The list of threats: what waits for the reader first, then the last day, then everything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flask import jsonify, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from eme_connector.domain.listing import MAX_PAGE, Aggregate, ListQuery, Page
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Status
from eme_connector.errors import InvalidInput
from eme_connector.usecases import browse
from eme_connector.web.pages import filters, moments
from eme_connector.web.pages.filters import Wanted
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import Reader, reader
from eme_connector.web.pages.rows import Row, by_deadline, row_of

PAGE = 25
NEWS = 20
MARGIN = 2_000_000  # µs between the stamp of a threat and its commit
QUEUE_SHOWN = 5
QUEUE_PAGES = 5
BAR = 44


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list and where it goes on."""

    rows: tuple[Row, ...]
    first: str
    next: str
    further: bool
    filtered: bool
    complete: bool
    walked: int
    order_words: str


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for the reader: the first of `total`, the oldest deadline on top."""

    rows: tuple[Row, ...]
    total: int


@blueprint.get("/")
def home() -> Response:
    """Lead to the first page that exists."""
    return redirect(url_for("pages.threats"))


@blueprint.get("/threats")
def threats() -> Response | str:
    """Show the list; a part of the page is enough for a script."""
    who = reader()
    after = who.eme.store.last_change()
    wanted = filters.read(request.args)
    if "" in request.args.values() and not _is_part():
        return redirect(wanted.address())  # a plain form sends its empty fields too
    try:
        listing = _listing(wanted, request.args.get("cursor", ""), who)
    except InvalidInput:
        return redirect(wanted.address())  # a cursor of another time
    if _is_part():
        return _part(listing, wanted.address(request.args.get("cursor", "")))
    counts = browse.aggregate(caller=who.caller, store=who.eme.store, now=who.eme.clock())
    return render_template(
        "cert/threats.html" if who.is_cert else "ci/threats.html",
        listing=listing,
        queue=_queue(who, counts),
        day=_day(counts),
        wanted=wanted,
        choices=filters.choices(who, list(counts.origins)),
        last_change=after,
        since=moments.now_micros() - MARGIN,
    )


def _is_part() -> bool:
    return "HX-Request" in request.headers


def _part(listing: Listing, address: str) -> Response:
    response = make_response(render_template("parts/list.html", listing=listing))
    response.headers["HX-Push-Url"] = address
    return response


@blueprint.get("/threats/new")
def threats_new() -> Response:
    """Name what arrived since a page was made and passes its filters."""
    who = reader()
    asked = filters.query(filters.read(request.args), who, "", NEWS)
    since = request.args.get("since", type=int, default=moments.now_micros())
    page = _page(replace(asked, order="newest", since=max(since, asked.since or 0)), who)
    response = jsonify(ids=[one.id for one in page.threats], more=bool(page.cursor))
    response.cache_control.no_store = True
    return response


@blueprint.after_request
def _vary(response: Response) -> Response:
    response.vary.add("HX-Request")
    response.vary.add("Cookie")
    return response


def _page(query: ListQuery, who: Reader) -> Page:
    return browse.list_threats(query, caller=who.caller, store=who.eme.store)


def _listing(wanted: Wanted, cursor: str, who: Reader) -> Listing:
    page = _page(filters.query(wanted, who, cursor, PAGE), who)
    return Listing(
        rows=tuple(row_of(threat, who) for threat in page.threats),
        first=wanted.address(),
        next=wanted.address(page.cursor) if page.cursor else "",
        further=bool(cursor),
        filtered=wanted.filtered,
        complete=page.complete,
        walked=page.walked,
        order_words=filters.order_words(wanted.sort),
    )


def _queue(who: Reader, counts: Aggregate) -> Queue:
    if who.is_cert or not who.may(Right.DECIDE):
        return Queue((), 0)
    rows = sorted(_waiting(who), key=by_deadline)
    counted = counts.origins.get(who.caller.organisation, {}).get(Status.PENDING, 0)
    return Queue(tuple(rows[:QUEUE_SHOWN]), max(counted, len(rows)))


def _waiting(who: Reader) -> list[Row]:
    """Return what waits, at most some pages of it: those with the greatest risk."""
    rows: list[Row] = []
    cursor = ""
    for _turn in range(QUEUE_PAGES):
        page = _page(_pending(who, cursor), who)
        rows += [row_of(threat, who) for threat in page.threats if who.owns(threat)]
        cursor = page.cursor
        if not cursor:
            break
    return rows


def _pending(who: Reader, cursor: str) -> ListQuery:
    organisation = who.caller.organisation
    return ListQuery(
        viewer=organisation,
        order="rank",
        status=Status.PENDING,
        organisation=organisation,
        cursor=cursor,
        limit=MAX_PAGE,
    )


def _day(counts: Aggregate) -> dict[str, Any]:
    hours = counts.hours
    most = max((hour.total for hour in hours), default=0)
    total = sum(hour.total for hour in hours)
    peak = next((hour for hour in hours if hour.total == most), None)
    return {
        "total": total,
        "peak": most,
        "peak_hour": moments.hour(peak.start) if peak else "",
        "words": _("%(n)s threats in the last 24 hours, a bar an hour", n=total),
        "bars": [
            {
                "count": hour.total,
                "height": max(2, round(BAR * hour.total / most)) if most else 2,
                "words": f"{moments.hour(hour.start)}: {hour.total}",
            }
            for hour in hours
        ],
    }
