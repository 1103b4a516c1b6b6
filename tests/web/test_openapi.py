"""The OpenAPI document is true: schemathesis calls every operation by it."""

from __future__ import annotations

import itertools
import json
import time
from collections import defaultdict
from uuid import uuid4

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    missing_required_header,
    positive_data_acceptance,
    unsupported_method,
)

from eme_connector.adapters.keys import load_signer
from eme_connector.domain.accounts import Peer
from eme_connector.domain.rights import Right
from eme_connector.domain.sharing import SharingGroup
from eme_connector.formats import eme_message
from eme_connector.usecases.policies import default_id
from eme_connector.web.app import document
from eme_connector.web.routes import OPERATIONS
from tests.build import CI, GROUP, OTHER_CI, threat
from tests.bundles import bundle, carrier
from tests.web.other import Other
from tests.web.test_rights import _mark_sent, as_right_caller

FIGURE_14 = {
    "cert_cis_list", "cert_threats_list", "cert_threats_aggregate_list",
    "ci_policy_settings_list", "ci_policy_settings_update", "ci_policy_settings_partial_update",
    "ci_threats_list", "ci_threats_create", "ci_threats_aggregate_list",
    "ci_threats_event_create", "ci_threats_playbook_update",
    "ci_threats_playbook_partial_update", "synchronization_eme_threat_create",
    "synchronization_eme_threat_partial_update", "vulnerability-scanning_create",
}  # fmt: skip
# what a generator cannot know: rights by kind of caller, signatures, and our stricter readers
NOT_OURS = (ignored_auth, missing_required_header, positive_data_acceptance, unsupported_method)


def test_the_operations_of_figure_14_are_there_under_their_names():
    found = {
        operation["operationId"]
        for path in document()["paths"].values()
        for operation in path.values()
    }

    assert found >= FIGURE_14
    assert found == {one.id for one in OPERATIONS.values()}


def test_the_document_says_who_may_call_and_has_examples(site):
    found = document()

    assert found["openapi"].startswith("3.1")
    assert set(found["components"]["securitySchemes"]) == {"bearer", "session"}
    body = found["paths"]["/api/v1/ci/threats"]["post"]["requestBody"]
    example = body["content"]["application/json"]["example"]
    assert site.ingest(example).status_code == 201


@pytest.mark.filterwarnings("ignore")
def test_every_operation_answers_as_its_document_says(site):
    """Random requests by a token and by a person: no 500, no answer outside the schema."""
    site.ingest(bundle())
    everything = site.token(*(frozenset(Right) - {Right.DECIDE}))
    person = site.person()
    cookie = {"eme_session": person.client.get_cookie("eme_session").value}
    callers = [
        {"headers": everything},
        {"headers": {"X-CSRFToken": person.csrf}, "cookies": cookie},
    ]
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", site.app)
    seen = defaultdict(set)
    turn, until = itertools.count(), time.monotonic() + 60

    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == "/api/v1/session":
            continue  # it would end the very session that the others need

        def call(case, label=operation.label):
            if time.monotonic() > until and label in seen:
                return
            answer = case.call(**callers[next(turn) % 2])
            seen[label].add(answer.status_code)
            case.validate_response(answer, excluded_checks=list(NOT_OURS))

        _generate(operation, call)

    assert len(seen) == len(OPERATIONS) - 3
    assert not [label for label, codes in seen.items() if 500 in codes]


@schemathesis.serializer("application/jose")
def jose(_, value):
    """Send whatever was generated as the body."""
    return str(value).encode()


def _generate(operation, call):
    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy())
    def run(case):
        call(case)

    run()


@pytest.mark.parametrize("endpoint", sorted(OPERATIONS))
def test_every_2xx_fits_its_schema(site, tmp_path, endpoint):
    """The right caller's answer is valid by the operation's own schema."""
    found = OPERATIONS[endpoint]
    answer = _right_answer(site, tmp_path, endpoint)
    documented = document()
    operation = next(
        op
        for path in documented["paths"].values()
        for op in path.values()
        if op["operationId"] == found.id
    )

    assert str(answer.status_code) in operation["responses"]
    content = operation["responses"][str(answer.status_code)].get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema and answer.mimetype == "application/json":
        whole = schema | {"components": documented["components"]}
        jsonschema.validate(answer.json, whole)


def _right_answer(site, tmp_path, endpoint):
    found = OPERATIONS[endpoint]
    if endpoint == "peers.confirm":
        headers = {"Content-Type": "application/jose"}
        return site.client().post(found.path, data=Other(site).confirmation(), headers=headers)
    if found.right == "signed":
        return _message(site, tmp_path, found.method)
    if found.path.endswith("/session"):
        return _session(site, found.method)
    threat_id = site.ingest(bundle(carrier())).json["threats"][0]["id"]
    site.at = {"threat_id": threat_id, "id": default_id(CI), "delivery_id": "1", "uuid": CI}
    site.dispatched = lambda one: _dispatched(site, one)
    return as_right_caller(site, endpoint)


def _dispatched(site, threat_id):
    found = site.eme.store.find_visible_threat(threat_id, CI)
    person, tag = site.person(), {"If-Match": f'"{found.digest}"'}
    path = f"/api/v1/ci/threats/{threat_id}/playbook"
    assert person.call("PUT", path, json={"status": "approved"}, headers=tag).status_code == 200
    return _mark_sent(site.eme.store, threat_id)


def _session(site, method):
    person = site.person()
    form = {"name": f"admin-{CI[:4]}", "password": "a long password for the test"}
    how = {"json": form} if method == "POST" else {}
    return person.call(method, "/api/v1/session", **how)


def _message(site, tmp_path, method):
    peer = load_signer(tmp_path / "peer", OTHER_CI)
    known = Peer(OTHER_CI, "CI-2", "https://ci2.example", peer.certificate, peer.fingerprint, 1)
    site.eme.store.transact(lambda tx: tx.save_peer(known))
    site.eme.topology.groups[GROUP] = SharingGroup(GROUP, "G", frozenset({CI, OTHER_CI}))
    content = eme_message.render(threat(organisation=OTHER_CI), recipient=CI, full=True)
    jws = peer.sign(eme_message.with_id(content, str(uuid4())), issued_at=time.time())
    return site.client().open(
        "/api/v1/synchronization/eme/threat",
        method=method,
        data=jws,
        headers={"Content-Type": "application/jose"},
    )


def test_the_document_is_plain_json():
    assert json.loads(json.dumps(document()))["info"]["title"] == "EME connector"
