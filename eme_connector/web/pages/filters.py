"""The filters of the list: they live in the URL; what cannot be read is left out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar, get_args
from uuid import UUID

from flask import url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from eme_connector.domain.listing import ListQuery, Order
from eme_connector.domain.risk import MAX_CRITICALITY, Band
from eme_connector.domain.threat import Kind, Status
from eme_connector.web.pages import moments, words
from eme_connector.web.pages.reader import Reader, name_of

DAY = 86_400_000_000
MAX_KEYWORD = 200
E = TypeVar("E", bound=StrEnum)
Choices = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader asked for, as it stands in the URL."""

    keyword: str = ""
    status: str = ""
    type: str = ""
    risk: str = ""
    criticality: str = ""
    organisation: str = ""
    since: str = ""
    until: str = ""
    sort: str = "newest"

    @property
    def has_more(self) -> bool:
        """Say whether a filter is set that is folded away."""
        folded = (self.criticality, self.organisation, self.since, self.until)
        return any(folded) or self.sort != "newest"

    @property
    def filtered(self) -> bool:
        """Say whether any filter is set; the order is none."""
        return any(getattr(self, one.name) for one in fields(self) if one.name != "sort")

    @property
    def any(self) -> bool:
        """Say whether there is anything to clear."""
        return self.filtered or self.has_more

    def address(self, cursor: str = "") -> str:
        """Return the list's URL with these filters, from *cursor* on."""
        named = {_NAMES.get(one.name, one.name): getattr(self, one.name) for one in fields(self)}
        if named["sort"] == "newest":
            named["sort"] = ""
        said = {key: value for key, value in (named | {"cursor": cursor}).items() if value}
        return url_for("pages.threats", **said)


_NAMES = {"since": "from", "until": "to"}


def read(args: MultiDict[str, str]) -> Wanted:
    """Return what the URL's *args* ask for."""
    return Wanted(
        keyword=args.get("keyword", "").replace("\0", "").strip()[:MAX_KEYWORD],
        status=_one_of(args.get("status", ""), Status),
        type=_one_of(args.get("type", ""), Kind),
        risk=_one_of(args.get("risk", ""), Band),
        criticality=_among(args.get("criticality", ""), list("12345")),
        organisation=str(args.get("organisation", type=UUID) or ""),
        since=_day(args.get("from", "")),
        until=_day(args.get("to", "")),
        sort=_among(args.get("sort", ""), get_args(Order)) or "newest",
    )


def query(wanted: Wanted, reader: Reader, cursor: str, limit: int) -> ListQuery:
    """Return the store's question for *wanted*."""
    until = moments.day_start(wanted.until)
    return ListQuery(
        viewer=reader.caller.organisation,
        order="rank" if wanted.sort == "rank" else "newest",
        status=Status(wanted.status) if wanted.status else None,
        kind=Kind(wanted.type) if wanted.type else None,
        organisation=wanted.organisation or None,
        band=Band(wanted.risk) if wanted.risk else None,
        criticality=int(wanted.criticality) if wanted.criticality else None,
        since=moments.day_start(wanted.since),
        until=until + DAY if until is not None else None,
        keyword=wanted.keyword,
        cursor=cursor,
        limit=limit,
    )


def choices(reader: Reader, origins: list[str]) -> dict[str, Choices]:
    """Return the options of every select; *origins* are the organisations that are seen."""
    anything = [("", _("any"))]
    levels = [(str(n), f"{n}/{MAX_CRITICALITY}") for n in range(MAX_CRITICALITY, 0, -1)]
    return {
        "status": anything + [(str(one), words.status_name(one)) for one in Status],
        "type": anything + [(str(one), words.kind(one)) for one in Kind],
        "risk": anything + [(str(one), words.band(one)) for one in reversed(Band)],
        "criticality": anything + levels,
        "organisation": anything + _organisations(reader, origins) if reader.is_cert else [],
        "sort": [("newest", order_words("newest")), ("rank", order_words("rank"))],
    }


def order_words(sort: str) -> str:
    """Return how the list is ordered."""
    return _("greatest risk first") if sort == "rank" else _("newest first")


def _organisations(reader: Reader, origins: list[str]) -> Choices:
    named = ((one, name_of(one, reader)) for one in origins)
    return sorted(named, key=lambda pair: pair[1].lower())


def _one_of(text: str, kind: type[E]) -> str:
    return _among(text, [str(one) for one in kind])


def _among(text: str, known: Any) -> str:
    return text if text in known else ""


def _day(text: str) -> str:
    return text if moments.day_start(text) is not None else ""
