"""What the API says about a threat's event in MISP, and to whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eme_connector.domain.arrival import check_lane
from eme_connector.domain.delivery import State
from eme_connector.domain.misp_reasons import REASONS
from eme_connector.domain.rights import Right
from eme_connector.ports import Owed
from tests.build import CERT, CI
from tests.bundles import bundle, carrier

URL = "https://misp.example/events/view/1"


@pytest.fixture
def site(make_site):
    return make_site(misp={"url": "https://misp.example", "key": "k" * 40})


@pytest.fixture
def threat_id(site):
    found = site.ingest(bundle(carrier())).json["threats"][0]["id"]
    told = {"url": URL, "sequence": 1, "members": {CERT: {"check": True}}}
    owe(site, found, "misp", State.DELIVERED, "", told)
    owe(site, found, check_lane(CERT), State.REFUSED, "hidden-there", {"detail": "more"})
    return found


def owe(site, threat_id, lane, state, reason, receipt):
    def work(tx):
        one = tx.owe(Owed(lane, "misp", threat_id, CI, 1))
        moved = replace(one, state=state, reason=reason, receipt=receipt, fence=one.fence + 1)
        tx.save_delivery(moved, fence=one.fence)

    site.eme.store.transact(work)


def read(site, path, **whose):
    return site.client().get(f"/api/v1{path}", headers=site.token(Right.READ, **whose))


def test_a_threat_says_where_its_event_is_and_who_has_it(site, threat_id):
    found = read(site, f"/ci/threats/{threat_id}").json

    assert found["misp_url"] == URL
    reason = REASONS["hidden-there"]
    assert found["arrivals"] == [
        {"organisation": CERT, "status": "hidden", "reason": "hidden-there", "detail": "more",
         "says": reason.says, "remedy": reason.remedy}
    ]  # fmt: skip
    by_lane = {one["lane"]: one for one in found["deliveries"]}
    assert by_lane["misp"]["receipt"]["url"] == URL
    assert by_lane[check_lane(CERT)]["remedy"] == reason.remedy


def test_a_list_says_where_the_events_are(site, threat_id):
    site.ingest(bundle(carrier(number=2)))

    found = {one["id"]: one["misp_url"] for one in read(site, "/ci/threats").json["threats"]}

    assert found[threat_id] == URL
    assert sorted(map(str, found.values())) == ["None", URL]


def test_who_only_receives_it_is_not_told(site, threat_id):
    threat = site.eme.store.find_visible_threat(threat_id, CI)
    site.eme.store.transact(lambda tx: tx.add_viewer(threat, CERT))

    found = read(site, f"/cert/threats/{threat_id}", organisation=CERT).json

    assert (found["misp_url"], found["arrivals"], found["deliveries"]) == (None, [], [])
    assert found["known"] is None
    (listed,) = read(site, "/cert/threats", organisation=CERT).json["threats"]
    assert listed["misp_url"] is None
