"""The frame around every page: who reads, for whom, where to go; and the blueprint itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, request, url_for
from flask.blueprints import BlueprintSetupState
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from eme_connector.domain.rights import Right
from eme_connector.domain.sharing import Organisation
from eme_connector.errors import StoreUnavailable
from eme_connector.web import bodies
from eme_connector.web.app_state import eme as running
from eme_connector.web.pages import assets, moments, text, words
from eme_connector.web.pages.reader import Reader, find_reader

MAX_FORM = 400_000
blueprint = Blueprint("pages", __name__, template_folder="../../templates")
blueprint.after_app_request(assets.cache_for_ever)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the side menu."""

    name: str
    icon: str
    address: str
    here: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What is always visible; `name` is empty while nobody is logged in."""

    instance: str
    organisation: Organisation
    kind: str
    is_cert: bool
    name: str = ""
    role: str = ""
    menu: tuple[Entry, ...] = ()
    sharing: tuple[Entry, ...] = ()
    may_decide: bool = False
    may_stop: bool = False
    stopped: bool = False


@blueprint.record_once
def _furnish(state: BlueprintSetupState) -> None:
    environment = state.app.jinja_env
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters.update(foreign=text.foreign, inert=text.inert, short_id=text.short_id)
    environment.globals.update(_globals())
    # before anything else of a form is read: its CSRF token is in the body
    state.app.before_request_funcs.setdefault(None, []).insert(0, _bound_form)


def _bound_form() -> None:
    # the API takes no form, but the token is looked for in one wherever it is sent
    if request.blueprint == "pages" or request.mimetype not in bodies.TYPES:
        request.max_content_length = MAX_FORM


@blueprint.app_context_processor
def _frame() -> dict[str, Any]:
    try:
        reader = find_reader()
        return {"frame": _frame_of(reader) if reader else _empty_frame()}
    except StoreUnavailable:
        return {"frame": _empty_frame()}  # so that the page can say so


def _globals() -> dict[str, Any]:
    return {
        "asset": assets.asset,
        "stylesheets": assets.stylesheets,
        "scripts": assets.scripts,
        "band": words.band,
        "kind_word": words.kind,
        "when": moments.when,
        "ago": moments.ago,
        "clock": moments.clock,
        "absolute": moments.absolute,
        "time_left": moments.left,
        "zone_name": moments.zone_name,
        "csrf_field": csrf_field,
        "page_language": lambda: str(get_locale() or "en"),
    }


def csrf_field() -> Markup:
    """Return the hidden field without which no form of ours is taken."""
    token = generate_csrf()
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(token)


def _empty_frame() -> Frame:
    eme = running()
    organisation = eme.organisation
    is_cert = organisation.role == "cert"
    return Frame(eme.config.instance.name, organisation, _kind(is_cert), is_cert)


def _frame_of(reader: Reader) -> Frame:
    return Frame(
        instance=reader.eme.config.instance.name,
        organisation=reader.organisation,
        kind=_kind(reader.is_cert),
        is_cert=reader.is_cert,
        name=reader.caller.name,
        role=_role(reader.account_role),
        menu=_menu(reader),
        sharing=_sharing(reader),
        may_decide=reader.may(Right.DECIDE),
        may_stop=reader.may_stop,
        stopped=not reader.is_cert and reader.eme.store.stopped(reader.organisation.uuid),
    )


def _menu(reader: Reader) -> tuple[Entry, ...]:
    entries = [("threats", _("Threats"), "threats")]
    if not reader.is_cert:
        entries.append(("policy", _("Policy"), "policy"))
    sharing = [view for view, *_more in _sharing_pages(reader)]
    if sharing:
        entries.append((sharing[0], _("Sharing"), "shared"))
    first = request.path.split("/")[1]
    here = sharing[0] if first == "sharing" and sharing else first
    return tuple(
        Entry(name, icon, url_for(f"pages.{view}"), here == view) for view, name, icon in entries
    )


def _sharing(reader: Reader) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            name, icon, url_for(f"pages.{view}"), request.path.startswith(url_for(f"pages.{view}"))
        )
        for view, name, icon in _sharing_pages(reader)
    )


def _sharing_pages(reader: Reader) -> tuple[tuple[str, str, str], ...]:
    config, found = reader.eme.config, []
    if reader.keeps_directory and config.cerebrate is not None:
        found.append(("cerebrate_status", _("Cerebrate"), "received"))
    if reader.keeps_directory and config.sync is not None:
        found.append(("relay_status_page", _("Sharing groups"), "shared"))
    return tuple(found)


def _kind(is_cert: bool) -> str:
    return _("CERT/CSIRT") if is_cert else _("CI operator")


def _role(role: str) -> str:
    return {
        "viewer": _("Viewer"),
        "operator": _("Operator"),
        "admin": _("Administrator"),
        "auditor": _("Auditor"),
    }.get(role, role)
