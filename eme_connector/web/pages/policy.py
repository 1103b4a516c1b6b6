"""Which actions may run without asking (E2): eight of them, each explained."""

from __future__ import annotations

from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from eme_connector.domain.playbook import ACTIONS, Action
from eme_connector.domain.policy import Setting
from eme_connector.domain.rights import Right
from eme_connector.errors import NotFound, StaleDigest
from eme_connector.usecases import policies
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import Reader, reader

Answer = Response | str | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Choice:
    """One action as the form shows it."""

    action: Action
    label: str
    explanation: str
    undo: str
    automatic: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Contain, harden or recover, with its actions."""

    name: str
    words: str
    choices: tuple[Choice, ...]


@blueprint.get("/policy")
def policy() -> Answer:
    """Show the general policy, and the narrower ones that go before it."""
    return _page(_operator())


@blueprint.post("/policy")
def save_policy() -> Answer:
    """Save the general policy as the reader has ticked it."""
    who = _operator()
    ticked = request.form.getlist("automatic")
    try:
        policies.change_setting(
            policies.default_id(who.caller.organisation),
            {key: key in ticked for key in ACTIONS},
            merge=False,
            scope=None,
            etag=request.form.get("etag", ""),
            caller=who.caller,
            store=who.eme.store,
            now=who.eme.clock(),
        )
    except StaleDigest:
        problem = _("Somebody else has saved the policy since you read it. This is how it is now.")
        return _page(who, (problem,)), StaleDigest.status
    flash(_("The policy is saved."), "good")
    return redirect(url_for("pages.policy"), 303)


def _operator() -> Reader:
    who = reader()
    if who.is_cert:
        raise NotFound(_("A CERT has no response policy."))
    return who


def _page(who: Reader, problems: tuple[str, ...] = ()) -> str:
    general, *narrower = policies.list_settings(caller=who.caller, store=who.eme.store)
    return render_template(
        "ci/policy.html",
        setting=general,
        groups=_groups(general),
        narrower=[(_scope(one), _names(one), one) for one in narrower],
        may_change=who.may(Right.POLICY),
        problems=problems,
    )


def _groups(setting: Setting) -> list[Group]:
    said = {
        "contain": (_("Contain"), _("keep it from spreading")),
        "harden": (_("Harden"), _("close the way in")),
        "recover": (_("Recover"), _("bring it back")),
    }
    return [Group(name, words, _choices(key, setting)) for key, (name, words) in said.items()]


def _choices(group: str, setting: Setting) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            action=one,
            label=_(one.label),
            explanation=_(one.explanation),
            undo=_(one.undo),
            automatic=one.key in setting.automatic,
        )
        for one in ACTIONS.values()
        if one.group == group
    )


def _scope(setting: Setting) -> str:
    scope = setting.scope
    parts = [
        _("sector %(name)s", name=scope.sector) if scope.sector else "",
        _("assets of type %(name)s", name=scope.asset_type) if scope.asset_type else "",
        _("tag %(name)s", name=scope.tag) if scope.tag else "",
    ]
    return ", ".join(part for part in parts if part)


def _names(setting: Setting) -> str:
    names = [_(one.label).lower() for one in ACTIONS.values() if one.key in setting.automatic]
    return ", ".join(names) or _("nothing")
