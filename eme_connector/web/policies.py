"""Response policies of the caller's organisation (B1)."""

from __future__ import annotations

from flask import Response, jsonify

from eme_connector.domain.policy import Scope, Setting
from eme_connector.domain.rights import Right
from eme_connector.formats import threat_json
from eme_connector.usecases import policies
from eme_connector.web.app_state import eme
from eme_connector.web.auth import current_caller
from eme_connector.web.forms import SettingForm, SettingPath
from eme_connector.web.preconditions import if_match, is_creation, with_etag
from eme_connector.web.routes import Api, operation
from eme_connector.web.shapes import SettingList, SettingShape

blueprint = Api("policy", "What may run without asking a person")


@operation(
    blueprint, "get", "/ci/policy/settings", id="ci_policy_settings_list", right=Right.READ,
    answers={200: SettingList},
)  # fmt: skip
def list_settings() -> Response:
    """List the policies of the caller's organisation, the general one first"""
    found = policies.list_settings(caller=current_caller(), store=eme().store)
    return jsonify(settings=[threat_json.setting(one) for one in found])


@operation(
    blueprint, "get", "/ci/policy/settings/<uuid:id>", id="ci_policy_settings_read",
    right=Right.READ, answers={200: SettingShape},
)  # fmt: skip
def read_setting(path: SettingPath) -> Response:
    """Read one policy"""
    return _shown(policies.get_setting(str(path.id), caller=current_caller(), store=eme().store))


@operation(
    blueprint, "put", "/ci/policy/settings/<uuid:id>", id="ci_policy_settings_update",
    right=Right.POLICY, answers={200: SettingShape, 201: SettingShape}, conditional=True,
)  # fmt: skip
def update_setting(path: SettingPath, body: SettingForm) -> tuple[Response, int]:
    """Replace a policy; with If-None-Match: * and a new id, make one for a scope"""
    if is_creation():
        return _shown(_create(path, body)), 201
    return _shown(_change(path, body, merge=False)), 200


@operation(
    blueprint, "patch", "/ci/policy/settings/<uuid:id>", id="ci_policy_settings_partial_update",
    right=Right.POLICY, answers={200: SettingShape}, conditional=True,
)  # fmt: skip
def update_setting_partly(path: SettingPath, body: SettingForm) -> Response:
    """Change the named actions of a policy; the others stay"""
    return _shown(_change(path, body, merge=True))


def _create(path: SettingPath, body: SettingForm) -> Setting:
    running = eme()
    return policies.create_setting(
        str(path.id),
        body.flat,
        _scope(body) or Scope(),
        caller=current_caller(),
        store=running.store,
        now=running.clock(),
    )


def _change(path: SettingPath, body: SettingForm, *, merge: bool) -> Setting:
    running = eme()
    return policies.change_setting(
        str(path.id),
        body.flat,
        merge=merge,
        scope=_scope(body),
        etag=if_match(),
        caller=current_caller(),
        store=running.store,
        now=running.clock(),
    )


def _scope(body: SettingForm) -> Scope | None:
    scope = body.scope
    return None if scope is None else Scope(scope.sector, scope.asset_type, scope.tag)


def _shown(found: Setting) -> Response:
    return with_etag(jsonify(threat_json.setting(found)), found.etag)
