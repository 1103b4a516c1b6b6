"""Which actions may run without asking (E2): eight of them, each explained."""

from __future__ import annotations

from flask import render_template
from flask_babel import gettext as _

from eme_connector.domain.playbook import ACTIONS
from eme_connector.domain.rights import Right
from eme_connector.web.pages.frame import blueprint
from eme_connector.web.pages.reader import reader


@blueprint.get("/policy")
def policy() -> str:
    who = reader()
    setting = who.eme.store.policy_settings_of(who.caller.organisation)[0]
    return render_template("ci/policy.html", setting=setting, groups=_groups(setting.automatic), may_change=True, problems=())


def _groups(automatic):
    words = {
        "contain": (_("Contain"), _("keep it from spreading")),
        "harden": (_("Harden"), _("close the way in")),
        "recover": (_("Recover"), _("bring it back")),
    }
    return [
        {"name": name, "words": said, "actions": [
            {"key": one.key, "label": _(one.label), "explanation": _(one.explanation), "undo": _(one.undo), "impact": one.impact, "automatic": one.key in automatic}
            for one in ACTIONS.values() if one.group == key]}
        for key, (name, said) in words.items()
    ]
