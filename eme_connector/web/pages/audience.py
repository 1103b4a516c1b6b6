"""Who sees a threat, as people read it: by which rule, who does not, and what is odd about it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import render_template, request
from flask_babel import gettext as _
from flask_babel import ngettext

from eme_connector.domain import audience as domain
from eme_connector.domain.audience import NAMED_ONLY, ODDITIES, RULES, WHYS, Audience
from eme_connector.domain.rights import Right
from eme_connector.domain.sharing import Organisation
from eme_connector.domain.threat import Threat
from eme_connector.usecases.browse import organisation_of
from eme_connector.usecases.preview import preview
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import Reader, name_of, reader
from eme_connector.web.pages.rows import row_of


@dataclass(frozen=True, slots=True)
class Seen:
    """One organisation: its name, why it sees the threat or does not, and by which ways."""

    name: str
    why: str
    ways: str = ""


@dataclass(frozen=True, slots=True)
class AudienceView:
    """Who sees a threat, and what the form to change it offers."""

    group: str
    seen: tuple[Seen, ...]
    left_out: tuple[Seen, ...]
    odd: tuple[str, ...]
    named_only: bool
    may_change: bool
    groups: tuple[tuple[str, str], ...]
    members: tuple[Organisation, ...]

    @property
    def share_words(self) -> str:
        """What the button says that shares it."""
        if not self.seen:
            return _("Save: nobody else sees it")
        n = len(self.seen)
        return ngettext("Share with %(num)s organisation", "Share with %(num)s organisations", n)


@blueprint.get("/threats/<uuid:threat_id>/sharing")
def preview_sharing(threat_id: UUID) -> str:
    """Show who would see a threat, before it is shared."""
    who = reader()
    who.caller.need(Right.SHARE)
    wished, found = preview(
        str(threat_id),
        request.args.get("group"),
        tuple(request.args.getlist("recipient")) if request.args else None,
        caller=who.caller,
        topology=who.eme.topology,
        store=who.eme.store,
    )
    view = audience_view(wished, who, found)
    return render_template("sharing.html", row=row_of(wished, who), audience=view)


def audience_view(threat: Threat, who: Reader, found: Audience | None = None) -> AudienceView:
    """Return who sees *threat* and who would not; *found* is given where it was asked before."""
    topology = who.eme.topology
    found = found or domain.audience(threat, topology)
    group = topology.groups.get(threat.group or "")
    members = sorted((group.members if group else frozenset()) - {threat.organisation})
    return AudienceView(
        group=group.name if group else "",
        seen=tuple(
            Seen(name_of(one.organisation, who), _rules(one.rules), _ways(one.ways))
            for one in found.viewers
        ),
        left_out=tuple(
            Seen(name_of(one.organisation, who), _(WHYS[one.why])) for one in found.left_out
        ),
        odd=tuple(_odd(one, who) for one in found.odd if one.code != "no-group"),
        named_only=threat.tlp in NAMED_ONLY,
        may_change=who.owns(threat) and who.may(Right.SHARE),
        groups=tuple(sorted(((u, g.name) for u, g in topology.groups.items()), key=lambda p: p[1])),
        members=tuple(organisation_of(uuid, topology) for uuid in members),
    )


def _rules(rules: tuple[domain.Rule, ...]) -> str:
    return ", ".join(_(RULES[rule]) for rule in rules)


def _ways(ways: tuple[domain.Way, ...]) -> str:
    words = {"sidecar": _("by message"), "misp": _("on its MISP")}
    return " + ".join(words[way] for way in ways)


def _odd(one: domain.Odd, who: Reader) -> str:
    names = ", ".join(name_of(uuid, who) for uuid in one.organisations)
    return f"{_(ODDITIES[one.code])} ({names})" if names else _(ODDITIES[one.code])
