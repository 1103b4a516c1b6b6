"""`GET /ci/threats/{id}/viewers`: who will see it, told to its owner only."""

from __future__ import annotations

import pytest

from eme_connector.domain.rights import Right
from tests.build import CERT, GROUP
from tests.bundles import bundle, carrier

OTHER = "99999999-9999-4999-8999-999999999999"


@pytest.fixture
def threat_id(site):
    return site.ingest(bundle(carrier())).json["threats"][0]["id"]


def ask(site, threat_id, query="", **whose):
    headers = site.token(Right.READ, **whose)
    return site.client().get(f"/api/v1/ci/threats/{threat_id}/viewers{query}", headers=headers)


def test_it_names_who_will_see_it_and_why(site, threat_id):
    found = ask(site, threat_id).json

    assert found["group"] == {"uuid": GROUP, "name": "Transport"}
    assert found["viewers"] == [
        {"organisation": CERT, "name": "CERT-1", "rules": ["member"], "ways": ["sidecar"]}
    ]


def test_another_choice_can_be_asked_about(site, threat_id):
    nobody = ask(site, threat_id, "?group=").json

    assert nobody["viewers"] == []
    assert [one["code"] for one in nobody["warnings"]] == ["no-group"]
    assert ask(site, threat_id).json["viewers"] != []


def test_a_group_that_nobody_knows_is_refused_with_its_place(site, threat_id):
    answer = ask(site, threat_id, f"?group={OTHER}")

    assert (answer.status_code, answer.json["pointer"]) == (422, "/group")


def test_who_only_receives_it_does_not_learn_who_else_does(site, threat_id):
    threat = site.eme.store.find_visible_threat(threat_id, site.eme.organisation.uuid)
    site.eme.store.transact(lambda tx: tx.add_viewer(threat, CERT))

    assert ask(site, threat_id, organisation=CERT).status_code == 403
