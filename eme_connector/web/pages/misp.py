"""Where a threat's event is in MISP, and which members have it, as people read it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from eme_connector.domain.arrival import Arrival, Status, arrivals, event_url
from eme_connector.domain.delivery import MISP_LANE, OPEN, Delivery, State
from eme_connector.domain.misp import Enrichment
from eme_connector.domain.misp_reasons import REASONS
from eme_connector.domain.threat import Threat
from eme_connector.usecases import enrich
from eme_connector.web.pages.reader import Reader, name_of
from eme_connector.web.pages.words import Tone

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is known: *fix* is what to do where something is wrong."""

    icon: str
    tone: Tone
    what: str
    word: str
    why: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class MispView:
    """What the card of a threat says about MISP; *url* is where its event is."""

    word: str
    url: str | None = None
    members: tuple[Line, ...] = ()


def misp_view(threat: Threat, sent: Iterable[Delivery], who: Reader) -> MispView:
    """Return what to say about the event of *threat*."""
    section = who.eme.config.misp
    if section is None:
        return MispView(_("not connected"))
    if not who.owns(threat):
        from eme_connector.formats.misp_event.observables import event_of

        url = f"{section.url}/events/view/{event_of(threat)}"
        return MispView(_("its event, once it has come to our MISP"), url)
    found = list(sent)
    lines = tuple(_member(one, who) for one in arrivals(found))
    return MispView(_stands(found), event_url(found), lines)


def known_view(threat: Threat, who: Reader) -> Enrichment | None:
    """Return what our MISP knew of the threat's values, None where it was not asked."""
    if who.eme.config.misp is None:
        return None
    return enrich.known_of(threat, caller=who.caller, system=who.eme)


def warnings(one: Delivery, who: Reader) -> tuple[Line, ...]:
    """Return what our MISP did otherwise than asked although it took the event."""
    if one.kind == "misp-check":
        note = str(one.receipt.get("note") or "") if one.state is State.DELIVERED else ""
        return (_warning({"reason": note}, who),) if note else ()
    return tuple(_warning(told, who) for told in one.receipt.get("warnings", ()))


def says(code: str) -> str:
    """Return what a reason of MISP's means, an empty text where it is none."""
    return _(REASONS[code].says) if code in REASONS else ""


def fix(code: str) -> str:
    """Return what to do about it."""
    return _(REASONS[code].remedy) if code in REASONS else ""


def _stands(found: list[Delivery]) -> str:
    ours = [one for one in found if one.lane == MISP_LANE]
    if not ours:
        return _("no event: it has not been shared")
    newest = max(ours, key=lambda one: one.id)
    if newest.state in OPEN:
        return _("its newest state is on the way")
    if newest.state is State.DELIVERED:
        published = newest.receipt.get("published")
        return _("published") if published else _("not published: it stays with us")
    return _("its newest state is not there")


def _member(one: Arrival, who: Reader) -> Line:
    icon, tone, word = _statuses()[one.status]
    if one.status == "arrived" and one.remedy:
        icon, tone = "warning", "wait"
    if one.reason == "on-its-way":
        icon, tone, word = "sent", "soft", _("on its way")
    return Line(icon, tone, name_of(one.organisation, who), word, says(one.reason), fix(one.reason))


def _statuses() -> dict[Status, tuple[str, Tone, str]]:
    return {
        "arrived": ("approved", "good", _("arrived")),
        "not-pushed": ("declined", "bad", _("not there")),
        "hidden": ("declined", "bad", _("arrived, but hidden from its people")),
        "unknown": ("uncertain", "soft", _("unknown")),
    }


def _warning(told: dict[str, Any], who: Reader) -> Line:
    code, detail = str(told.get("reason", "")), str(told.get("detail", ""))
    about = str(told.get("organisation", ""))
    if about:
        return Line("warning", "wait", name_of(about, who), says(code), "", fix(code))
    return Line("warning", "wait", says(code), "", detail_words(detail, who), fix(code))


def detail_words(detail: str, who: Reader) -> str:
    """Return what a receipt says more, with organisations by their names."""
    return _UUID.sub(lambda found: name_of(found[0], who), detail)
