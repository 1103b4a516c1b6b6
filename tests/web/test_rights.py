"""Every operation against every wrong caller, from the table of operations itself."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from uuid import uuid4

import pytest

from eme_connector.adapters.keys import load_signer
from eme_connector.domain.accounts import Peer
from eme_connector.domain.delivery import State
from eme_connector.domain.directory import RemoteGroup
from eme_connector.domain.rights import PEOPLE_ONLY, Right
from eme_connector.domain.sharing import SharingGroup
from eme_connector.formats import eme_message, standard_webhooks
from eme_connector.ports import Owed
from eme_connector.usecases import enrol
from eme_connector.usecases.policies import default_id
from eme_connector.web.routes import OPERATIONS
from tests.build import CERT, CI, GROUP, OTHER_CI, threat
from tests.bundles import bundle, carrier
from tests.web.conftest import SECRET
from tests.web.other import Other, cerebrate

EVENT = {"id": "e-1", "name": "SSH brute force"}
PUBLIC_PAGES = {
    "public.alive", "public.ready", "public.show_metrics", "public.schema",
    "public.extension_definition", "openapi", "static",
}  # fmt: skip
JSON = {"Content-Type": "application/json"}


def _decision(site, at):
    digest = site.eme.store.find_visible_threat(at["threat_id"], CI).digest
    return {"json": {"status": "approved"}, "headers": {"If-Match": f'"{digest}"'}}


def _setting(site, at):
    tag = f"{default_id(CI)}@0"
    return {
        "json": {"automatic": {"contain": {"isolate": True}}},
        "headers": {"If-Match": f'"{tag}"'},
    }


def _result(site, at):
    """An orchestrator's signed word about a dispatch that has left."""
    delivery = site.dispatched(at["threat_id"])
    body = json.dumps(
        {"delivery": delivery.key, "digest": delivery.digest, "status": "ongoing", "steps": []}
    ).encode()
    keys = standard_webhooks.secrets(SECRET)
    return {"data": body, "headers": JSON | standard_webhooks.headers(keys, "m", time.time(), body)}


def _told_group(site, at):
    """A group that the token of the test (the source `test`) has told of."""
    group = RemoteGroup(at["uuid"], "G", CI)
    site.eme.store.transact(lambda tx: tx.save_entry("test", group, 1))
    return {}


def _open_handshake(site, at):
    at["code"] = enrol.offer(CERT, caller=cerebrate(CI), system=site.eme).code
    return {}


BODIES = {
    "ci_threats_create": lambda site, at: {"json": bundle(carrier(iris_id=str(uuid4())))},
    "ci_threats_event_create": lambda site, at: {"json": EVENT},
    "ci_threats_playbook_update": _decision,
    "ci_threats_playbook_partial_update": _decision,
    "ci_threats_playbook_results": _result,
    "ci_threats_sharing_update": lambda site, at: {"json": {"group": None}},
    "ci_threats_resolve": lambda site, at: {"json": {"reason": "done"}},
    "ci_policy_settings_update": _setting,
    "ci_policy_settings_partial_update": _setting,
    "lookup_list": lambda site, at: {"query_string": {"value": "10.1.2.9"}},
    "organisations_update": lambda site, at: {"json": {"name": "CI-1"}},
    "organisations_partial_update": lambda site, at: {
        "json": {"organisations": [{"uuid": CI, "name": "CI-1"}]}
    },
    "sharing_groups_update": lambda site, at: {"json": {"name": "G", "owner": CI, "members": []}},
    "sharing_groups_withdraw": _told_group,
    "peers_handshakes_create": lambda site, at: {"json": {"organisation": CERT}},
    "peers_handshakes_accept": lambda site, at: {
        "json": {"organisation": CERT, "offer": Other(site).offer()}
    },
    "peers_handshakes_finalise": lambda site, at: {
        "json": {"organisation": CERT, "answer": Other(site).answer()}
    },
    "peers_handshakes_cancel": _open_handshake,
    "ci_stop_update": lambda site, at: {"json": {"stopped": True, "reason": "test"}},
    "cert_threats_feedback": lambda site, at: {"json": {"word": "handled"}},
    "vulnerability-scanning_create": lambda site, at: {"json": {"ip": "10.0.0.7"}},
}  # fmt: skip
OFF = {"vulnerability-scanning_create", "cert_threats_feedback", "misp_hint"}
"""What needs a section of the configuration that the site does not have."""
SIGNED = {one for one in OPERATIONS if OPERATIONS[one].right == "signed"}
OPEN = {one for one in OPERATIONS if OPERATIONS[one].right == "public"}
GUARDED = sorted(set(OPERATIONS) - SIGNED - OPEN)
OWN_THREAT = [one for one in GUARDED if "<uuid:threat_id>" in OPERATIONS[one].path]


@pytest.fixture
def stage(site):
    """A site with one threat of CI-1 that waits, and a delivery that was given up."""
    answer = site.ingest(bundle())
    threat_id = answer.json["threats"][0]["id"]
    at = {"threat_id": threat_id, "id": default_id(CI), "delivery_id": "0", "uuid": CI}

    def dispatched(_):
        found = site.eme.store.find_visible_threat(threat_id, CI)
        if found.status == "pending":
            person = site.person()
            tag = {"If-Match": f'"{found.digest}"'}
            path = f"/api/v1/ci/threats/{threat_id}/playbook"
            assert (
                person.call("PUT", path, json={"status": "approved"}, headers=tag).status_code
                == 200
            )
        return site.send_by_hand(threat_id)

    site.dispatched = dispatched
    site.send_by_hand = lambda one: _mark_sent(site.eme.store, one)
    site.at = at
    return site


def _mark_sent(store, threat_id):
    found = next(d for d in store.deliveries_of(threat_id) if d.kind == "dispatch")
    sent = replace(found, state=State.DELIVERED, sent_at=time.time())
    store.transact(lambda tx: tx.save_delivery(sent, fence=found.fence))
    return sent


def call(site, endpoint, client=None, extra=None, **body):
    found = OPERATIONS[endpoint]
    path = found.path
    for name, value in site.at.items():
        path = re.sub(f"<(uuid|int|string):{name}>", value, path)
    headers = body.pop("headers", {}) | (extra or {})
    return (client or site.client()).open(path, method=found.method, headers=headers, **body)


def body_of(site, endpoint):
    make = BODIES.get(OPERATIONS[endpoint].id)
    return make(site, site.at) if make else {}


def as_right_caller(site, endpoint):
    """Call as whoever should be able to."""
    right, body = OPERATIONS[endpoint].right, body_of(site, endpoint)
    if right in PEOPLE_ONLY or endpoint == "operation.retry_delivery":
        person = site.person()
        return call(site, endpoint, person.client, {"X-CSRFToken": person.csrf}, **body)
    orchestrator = "demo" if right is Right.RESULT else ""
    return call(site, endpoint, extra=site.token(right, orchestrator=orchestrator), **body)


def test_every_route_is_an_operation_or_known_to_be_a_page(site):
    endpoints = {rule.endpoint for rule in site.app.url_map.iter_rules()}
    others = {one for one in endpoints - set(OPERATIONS) if not one.startswith("pages.")}

    assert others <= PUBLIC_PAGES


@pytest.mark.parametrize("endpoint", GUARDED)
def test_the_right_caller_gets_through(stage, endpoint):
    if endpoint == "operation.retry_delivery":
        owed = Owed("orchestrator:demo", "share", stage.at["threat_id"], CI, 1)
        made = stage.eme.store.transact(lambda tx: tx.owe(owed))
        dead = replace(made, state=State.DEAD)
        stage.eme.store.transact(lambda tx: tx.save_delivery(dead, fence=0))
        stage.at["delivery_id"] = str(made.id)

    answer = as_right_caller(stage, endpoint)

    expected = 404 if OPERATIONS[endpoint].id in OFF else 200
    assert answer.status_code in ((200, 201, 204) if expected == 200 else (404,)), answer.data


@pytest.mark.parametrize("endpoint", GUARDED)
def test_nobody_gets_401(stage, endpoint):
    answer = call(stage, endpoint, **body_of(stage, endpoint))

    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert "Bearer" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("endpoint", GUARDED)
def test_a_made_up_token_gets_401(stage, endpoint):
    wrong = {"Authorization": "Bearer eme_abcdefghijkl_" + "A" * 43}

    assert call(stage, endpoint, extra=wrong, **body_of(stage, endpoint)).status_code == 401


@pytest.mark.parametrize("endpoint", GUARDED)
def test_every_other_right_together_gets_403(stage, endpoint):
    others = frozenset(Right) - {OPERATIONS[endpoint].right} - PEOPLE_ONLY
    headers = stage.token(*others)

    assert call(stage, endpoint, extra=headers, **body_of(stage, endpoint)).status_code == 403


@pytest.mark.parametrize(
    "endpoint", sorted(e for e in GUARDED if OPERATIONS[e].right in PEOPLE_ONLY)
)
def test_no_token_decides_whatever_it_carries(stage, endpoint):
    headers = stage.token(*(frozenset(Right) - PEOPLE_ONLY))

    assert call(stage, endpoint, extra=headers, **body_of(stage, endpoint)).status_code == 403


@pytest.mark.parametrize("endpoint", OWN_THREAT)
def test_another_organisation_learns_nothing(stage, endpoint):
    right, body = OPERATIONS[endpoint].right, body_of(stage, endpoint)
    if right in PEOPLE_ONLY:
        person = stage.person(OTHER_CI)
        answer = call(stage, endpoint, person.client, {"X-CSRFToken": person.csrf}, **body)
    else:
        headers = stage.token(right, organisation=OTHER_CI, orchestrator="demo")
        answer = call(stage, endpoint, extra=headers, **body)

    assert answer.status_code == 404
    assert stage.at["threat_id"] not in answer.text


@pytest.mark.parametrize("endpoint", sorted(e for e in GUARDED if OPERATIONS[e].method != "GET"))
def test_a_cookie_without_its_csrf_token_writes_nothing(stage, endpoint):
    person = stage.person()

    answer = call(stage, endpoint, person.client, **body_of(stage, endpoint))

    assert answer.status_code in (400, 403)
    assert stage.eme.store.find_visible_threat(stage.at["threat_id"], CI).revision == 1


@pytest.mark.parametrize("endpoint", sorted(SIGNED))
def test_a_message_needs_the_key_of_a_peer(stage, endpoint):
    jws = stage.eme.signer.sign(b"{}", issued_at=time.time())
    how = {"data": jws, "headers": {"Content-Type": "application/jose"}}

    assert call(stage, endpoint, **how).status_code == 401
    assert call(stage, endpoint, data="x", headers=how["headers"]).status_code == 401
    assert call(stage, endpoint, extra=stage.token(Right.SYNC), **how).status_code == 401


@pytest.mark.parametrize("endpoint", sorted(SIGNED - {"peers.confirm"}))
def test_a_peer_gets_through(make_site, tmp_path, endpoint):
    here = make_site()
    peer = load_signer(tmp_path / "peer", OTHER_CI)
    known = Peer(OTHER_CI, "CI-2", "https://ci2.example", peer.certificate, peer.fingerprint, 1)
    here.eme.store.transact(lambda tx: tx.save_peer(known))
    here.at = {}
    found = threat(organisation=OTHER_CI)
    members = frozenset({CI, OTHER_CI})
    here.eme.topology.groups[GROUP] = SharingGroup(GROUP, "Transport", members)
    content = eme_message.with_id(
        eme_message.render(found, recipient=CI, full=True, first=True), str(uuid4())
    )
    jws = peer.sign(content, issued_at=time.time())

    answer = call(here, endpoint, data=jws, headers={"Content-Type": "application/jose"})

    assert answer.status_code == 200, answer.data
    assert here.eme.store.find_visible_threat(found.id, CI).origin == OTHER_CI
