"""One threat on a page: facts, the playbook as a workflow, the timeline, and the data itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Response, render_template, request, url_for
from flask_babel import gettext as _

from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Threat
from eme_connector.errors import NotFound
from eme_connector.usecases import browse
from eme_connector.web.pages import text, words
from eme_connector.web.pages.audience import audience_view
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.misp import known_view, misp_view
from eme_connector.web.pages.parcels import evidence, parcels
from eme_connector.web.pages.plan import plan_of
from eme_connector.web.pages.reader import Reader, reader
from eme_connector.web.pages.rows import row_of
from eme_connector.web.pages.trail import timeline

MAX_INLINE = 65_536
MAX_PARTS = 100


@dataclass(frozen=True, slots=True)
class Given:
    """What a form that came back had in it."""

    reason: str = ""
    valid_until: str = ""
    ticked: frozenset[str] | None = None


@blueprint.get("/threats/<uuid:threat_id>")
def threat(threat_id: UUID) -> str:
    """Show one threat."""
    return card(find(threat_id, reader()), reader())


@blueprint.get("/threats/<uuid:threat_id>/data")
def threat_data(threat_id: UUID) -> str:
    """Show the message as it was received, as text."""
    who = reader()
    found = find(threat_id, who)
    data = _data(found, who)
    if data["text"] is None:
        raise NotFound(_("The message itself was not shared with you."))
    return render_template("data.html", row=row_of(found, who), data=data)


@blueprint.get("/threats/parts")
def threat_parts() -> Response:
    """Return the parts of rows and cards that change while a page is open."""
    who = reader()
    wanted = request.args.getlist("id", type=UUID)[:MAX_PARTS]
    rows = [row_of(found, who) for one in wanted if (found := _find(one, who))]
    response = Response(render_template("parts/parts.html", rows=rows))
    response.cache_control.no_store = True
    return response


def find(threat_id: UUID, who: Reader) -> Threat:
    """Return a threat that the reader may see.

    Raises:
        NotAllowed, NotFound
    """
    return browse.get_threat(str(threat_id), caller=who.caller, store=who.eme.store)


def _find(threat_id: UUID, who: Reader) -> Threat | None:
    try:
        return find(threat_id, who)
    except NotFound:
        return None


def card(
    found: Threat, who: Reader, *, problems: tuple[str, ...] = (), given: Given | None = None
) -> str:
    """Return the page of *found*; *problems* and *given* bring a refused form back."""
    given = given or Given()
    after = who.eme.store.last_change()
    records, sent = browse.trail(found, caller=who.caller, store=who.eme.store)
    return render_template(
        "threat.html",
        row=row_of(found, who),
        flags=[words.flag(one) for one in dict.fromkeys(found.detection.flags + found.flags)],
        raised=_raised(found),
        audience=audience_view(found, who),
        plan=plan_of(found, who, evidence(found, sent), given.ticked),
        trail=timeline(found, records, who),
        may_answer=_may_answer(found, who),
        deliveries=parcels(sent, who),
        misp=misp_view(found, sent, who),
        known=known_view(found, who),
        data=_data(found, who),
        problems=problems,
        given=given,
        last_change=after,
    )


def _may_answer(found: Threat, who: Reader) -> bool:
    """Say whether the reader may say something back, and there is a way for it."""
    by_misp = who.eme.config.misp is not None
    return by_misp and found.origin is not None and who.may(Right.SHARE)


def _raised(found: Threat) -> bool:
    said = [one.criticality for one in found.detection.assets if one.criticality is not None]
    return bool(said) and found.criticality > max(said)


def _data(found: Threat, who: Reader) -> dict[str, Any]:
    raw = _raw(found, who)
    size = f"{len(raw) / 1000:.1f}" if raw else "0"
    alone = request.endpoint == "pages.threat_data"
    too_long = raw is not None and len(raw) > MAX_INLINE and not alone
    return {
        "text": None if raw is None else "" if too_long else text.pretty(raw),
        "too_long": too_long,
        "size": size,
        "stix": _stix(found),
    }


def _raw(found: Threat, who: Reader) -> bytes | None:
    try:
        return browse.get_raw(found.id, caller=who.caller, store=who.eme.store)
    except NotFound:
        return None


def _stix(found: Threat) -> str:
    return url_for("ci.read_stix", threat_id=found.id)
