"""Sharing → Cerebrate: how each link stands, what is there, and what waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from eme_connector.domain.schedule import Turn
from eme_connector.errors import Conflict, DeliveryError, NotFound
from eme_connector.sync.steps import HOLDS, WORDS
from eme_connector.usecases import cerebrate, cerebrate_browse, cerebrate_check
from eme_connector.usecases.cerebrate_browse import Wanted
from eme_connector.usecases.cerebrate_check import FIXES, SAID
from eme_connector.usecases.cerebrate_keys import Certificate, list_certificates
from eme_connector.usecases.cerebrate_links import Link, find_link, links
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import Reader, reader

Answer = Response | str | tuple[str, int]
_TONES = {
    "fresh": ("approved", "good"),
    "running": ("running", "soft"),
    "never": ("wait", "wait"),
    "late": ("wait", "wait"),
    "failing": ("warning", "bad"),
}


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link as the page shows it."""

    link: Link
    icon: str
    tone: str
    word: str
    code: str
    fix: str
    holds: str
    about: str
    held: tuple[Mapping[str, Any], ...]
    failed: tuple[Mapping[str, Any], ...]

    @property
    def turn(self) -> Turn:
        """How its last turn went."""
        return self.link.turn

    @property
    def detail(self) -> Mapping[str, Any]:
        """What its last turn says."""
        return self.link.turn.detail


@blueprint.get("/sharing/cerebrate")
def cerebrate_status() -> Answer:
    """Show every link and the keys."""
    who = _keeper()
    found = links(caller=who.caller, system=who.eme)
    certificates = list_certificates(caller=who.caller, system=who.eme)
    return render_template(
        "cerebrate/status.html",
        links=[_view(one) for one in found],
        own_key=_own_key(found),
        certificates=[(one, _key_word(one)) for one in certificates],
        fingerprint=who.eme.signer.fingerprint,
        trust_keys=bool(who.eme.config.cerebrate and who.eme.config.cerebrate.trust_keys),
    )


@blueprint.post("/sharing/cerebrate/<name>/check")
def cerebrate_check_now(name: str) -> Answer:
    """Look at everything between us and one Cerebrate, now."""
    who = _keeper()
    link = find_link(name, caller=who.caller, system=who.eme)
    steps = cerebrate_check.diagnose(name, caller=who.caller, system=who.eme)
    return render_template("cerebrate/check.html", link=link, steps=steps)


@blueprint.get("/sharing/cerebrate/<name>/browse")
def cerebrate_browse_there(name: str) -> Answer:
    """Show what a Cerebrate has, beside what is here, before anything is fetched."""
    who = _keeper()
    link = find_link(name, caller=who.caller, system=who.eme)
    wanted = Wanted(*(request.args.get(key, "") for key in ("state", "kind", "text")))
    view, status = None, 200
    problems: tuple[str, ...] = ()
    try:
        view = cerebrate_browse.browse(name, wanted, caller=who.caller, system=who.eme)
    except DeliveryError as exc:
        problems, status = (_failure(exc.reason),), exc.status
    page = render_template(
        "cerebrate/browse.html",
        link=link,
        view=view,
        wanted=wanted,
        problems=problems,
        states=_states(),
    )
    return page, status


@blueprint.post("/sharing/cerebrate/<name>/run")
def cerebrate_run(name: str) -> Answer:
    """Read it, or take over from it, now."""
    who = _keeper()
    confirmed = tuple(one for one in request.form.getlist("confirm") if one)
    try:
        turn = cerebrate.run(name, confirmed=confirmed, caller=who.caller, system=who.eme)
    except Conflict:
        flash(_("It is running already; look again in a moment."), "wait")
        return redirect(url_for("pages.cerebrate_status"), 303)
    meant = {one.partition("@")[0] for one in confirmed}
    stale = [one["name"] for one in turn.detail.get("held", ()) if one["uuid"] in meant]
    if turn.state == "done" and stale:
        names = ", ".join(sorted(stale))
        flash(_("What would go from %(names)s is not what you read. It was kept; read it again.",
                names=names), "wait")  # fmt: skip
    elif turn.state == "done":
        flash(_("%(name)s was read.", name=name), "good")
    else:
        flash(_failure(turn.reason), "bad")
    return redirect(url_for("pages.cerebrate_status"), 303)


def _keeper() -> Reader:
    who = reader()
    if who.eme.config.cerebrate is None:
        raise NotFound(_("No Cerebrate is configured here."))
    return who


def _view(link: Link) -> LinkView:
    detail = link.turn.detail
    waits = link.state == "fresh" and bool(detail.get("held"))
    icon, tone = _TONES["late" if waits else link.state]
    return LinkView(
        link=link,
        icon=icon,
        tone=tone,
        word=_word(link),
        code=link.turn.reason if link.state == "failing" else "",
        fix=_(FIXES.get(link.turn.reason, "")) if link.state == "failing" else "",
        holds=_holds(detail),
        about=_about(link),
        held=tuple(_waiting(one) for one in detail.get("held", ())),
        failed=tuple(_waiting(one) for one in detail.get("failed", ())),
    )


def _word(link: Link) -> str:
    reason = link.turn.reason
    if link.state == "failing":
        return _(SAID.get(reason, reason))
    if link.turn.detail.get("held") and link.state == "fresh":
        return _("Read; a loss waits for you")
    return {
        "fresh": _("Up to date"),
        "running": _("Reading now"),
        "never": _("Not read yet"),
        "late": _("Overdue: is the sidecar's worker running?"),
    }[link.state]


def _about(link: Link) -> str:
    if link.role == "own":
        return _("Our own: what it says about groups and keys counts here.")
    if link.strategy == "trusted-upstream":
        said = _("Trusted upstream: its changes and removals are taken over")
    else:
        said = _("New records only: what is here already stays as it is")
    where = _("into our Cerebrate") if link.into == "cerebrate" else _("into this sidecar only")
    return f"{said}, {where}."


def _waiting(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**one, "why": _(HOLDS.get(one.get("hold", ""), "")),
            "what": _(WORDS.get(one.get("word", ""), ""))}  # fmt: skip


def _holds(detail: Mapping[str, Any]) -> str:
    if "organisations" not in detail:
        return ""
    counts = [
        ngettext("%(num)s organisation", "%(num)s organisations", detail["organisations"]),
        ngettext("%(num)s group", "%(num)s groups", detail["groups"]),
    ]
    if "keys" in detail:
        counts.append(ngettext("%(num)s key", "%(num)s keys", detail["keys"]))
    return ", ".join(counts)


def _failure(reason: str) -> str:
    said, fix = _(SAID.get(reason, reason)), FIXES.get(reason, "")
    return f"{said} ({reason}). {_('Next: %(fix)s.', fix=_(fix))}" if fix else f"{said} ({reason})."


def _own_key(found: tuple[Link, ...]) -> str:
    detail = found[0].turn.detail if found else {}
    refused = detail.get("own_key_refused", "")
    return {
        "published": _("It stands in Cerebrate as S/MIME key of our organisation."),
        "revoked": _("It is revoked in Cerebrate: others refuse what we send. Ask who revoked it."),
        "refused": _("Cerebrate refused to take it (%(why)s).", why=refused),
        "off": _("It is not in Cerebrate, and publish_key is off."),
    }.get(detail.get("own_key", ""), _("Not looked yet."))


def _key_word(one: Certificate) -> tuple[str, str, str]:
    return {
        "own": ("approved", "good", _("ours")),
        "peer": ("approved", "good", _("a peer")),
        "trusted": ("approved", "good", _("believed")),
        "known": ("note", "soft", _("not a peer: its fingerprint has not been typed here")),
        "expired": ("wait", "wait", _("expired")),
        "revoked": ("declined", "bad", _("revoked: refused here")),
    }[one.state]


def _states() -> dict[str, str]:
    return {
        "same": _("the same"),
        "differs": _("differs"),
        "only-there": _("only there"),
        "only-here": _("only here"),
    }
