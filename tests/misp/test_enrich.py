"""What our MISP knows of a threat's values is attached to it, and never holds anything up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eme_connector.errors import DeliveryError
from eme_connector.formats.misp_event import observables
from eme_connector.usecases import enrich
from tests.build import CERT, CI, detection, person, threat
from tests.misp.community import Community, foreign

HASH = "44d88612fea8abbd0f2f1b6b5e7e2a2c44d88612fea8abbd0f2f1b6b5e7e2a2c"
TEXT = detection(
    name="Beacon of the tram controllers",
    summary=f"To 198.51.100.7 and 2001:db8::7, with cve-2026-1234 and {HASH.upper()}; v1.2.3.4.5",
)
INDICATOR = {
    "type": "indicator",
    "spec_version": "2.1",
    "id": "indicator--2a1c7a6e-1f39-4a52-9d8c-0f3b1c2d4e5f",
    "created": "2026-01-01T00:00:00.000Z",
    "modified": "2026-01-01T00:00:00.000Z",
    "pattern": "[domain-name:value = 'evil.example'] OR [url:value = 'http://evil.example/a%20b']",
    "pattern_type": "stix",
    "valid_from": "2026-01-01T00:00:00Z",
}
RAW = json.dumps({"type": "bundle", "id": "bundle--1", "objects": [INDICATOR]}).encode()


@pytest.fixture
def community(tmp_path):
    made = Community(tmp_path)
    yield made
    made.close()


def look(community):
    return enrich.enrich(community.ci.eme.misp(), community.ci.eme)


def known(community, found):
    return community.ci.store.enrichment(found.id)


def test_the_values_of_a_threat_are_those_it_names():
    values, cut = observables.values_of(threat(detection=TEXT), RAW)

    assert values == (
        "10.0.0.7", "CVE-2026-1234", HASH, "198.51.100.7", "2001:db8::7",
        "evil.example", "http://evil.example/a%20b",
    )  # fmt: skip
    assert not cut


def test_too_many_values_are_cut_and_that_is_said():
    many = replace(TEXT, summary=" ".join(f"198.51.{n}.7" for n in range(80)))

    values, cut = observables.values_of(threat(detection=many), None)

    assert (len(values), cut) == (observables.MOST, True)


def test_bytes_that_are_no_bundle_are_no_values():
    assert observables.values_of(threat(), b"\xff{")[0] == ("10.0.0.7",)


def test_events_with_the_same_value_are_attached_with_links_and_sightings(community):
    event = foreign()
    added = community.pair.a.post("/events/add", event).body["Event"]
    for kind in ("0", "0", "1"):
        body = {"uuid": added["Attribute"][0]["uuid"], "type": kind}
        community.pair.a.post("/sightings/add", body)
    found = community.ci.add(dispatch=None, detection=TEXT, raw=RAW)

    counts = look(community)

    assert counts == {"known": 1}
    (value,) = known(community, found).known
    (related,) = value.events
    assert (value.value, value.warnings) == ("198.51.100.7", ())
    assert (related.uuid, related.info, related.organisation) == (
        event["uuid"],
        event["info"],
        "CI-1",
    )
    assert related.url == f"{community.a.url}/events/view/{event['uuid']}"
    assert related.sightings == {"0": 2, "1": 1}


def test_the_title_of_an_event_of_ours_reads_as_it_was_before_misp(community):
    other = replace(TEXT, name="Tram \U0001f68b stopped", iris_id="other")
    community.share(detection=other, raw=RAW)
    found = community.ci.add(dispatch=None, detection=TEXT)

    look(community)

    titles = {one.info for value in known(community, found).known for one in value.events}
    assert titles == {"Tram \U0001f68b stopped"}


def test_warning_lists_are_named(community):
    made = {"name": "Our resolvers", "type": "cidr", "entries": ["198.51.100.0/24"]}
    row = community.pair.a.post("/warninglists/add", {"Warninglist": made}).body["Warninglist"]
    community.pair.a.post("/warninglists/toggleEnable", {"id": row["id"], "enabled": True})
    found = community.ci.add(dispatch=None, detection=TEXT)

    look(community)

    (value,) = known(community, found).known
    assert (value.value, value.warnings, value.events) == ("198.51.100.7", ("Our resolvers",), ())


def test_its_own_event_is_not_a_correlation(community):
    found = community.share(detection=TEXT)

    assert look(community) == {"nothing": 1}
    assert known(community, found).asked == 5


def test_it_is_asked_again_only_when_the_threat_changes(community):
    found = community.ci.add(dispatch=None, detection=TEXT)
    look(community)
    community.a.calls.clear()

    assert look(community) == {}
    community.ci.change(found.id, sequence=found.sequence)
    assert look(community) == {"repeat": 1}
    assert community.a.calls == []
    community.ci.change(found.id, sequence=found.sequence + 1)
    assert look(community) == {"nothing": 1}


def test_a_threat_without_values_asks_nothing(community):
    bare = replace(TEXT, summary="", assets=())
    found = community.ci.add(dispatch=None, detection=bare)
    community.a.calls.clear()

    assert look(community) == {"nothing": 1}
    assert community.a.calls == []
    assert known(community, found).asked == 0


def test_a_misp_that_is_down_delays_and_loses_nothing(community):
    threats = [
        community.ci.add(dispatch=None, detection=replace(TEXT, iris_id=f"{n}")) for n in range(3)
    ]
    community.a.down()
    with pytest.raises(DeliveryError):
        look(community)
    assert known(community, threats[0]) is None

    community.a.up()
    look(community)

    assert all(known(community, one) for one in threats)


def test_what_our_misp_shows_us_is_not_for_people_of_others(community):
    found = community.ci.add(dispatch=None, detection=TEXT)
    look(community)

    def asked(caller):
        return enrich.known_of(found, caller=caller, system=community.ci.eme)

    assert asked(person(CI)) == known(community, found)
    assert asked(person(CERT)) is None


def test_another_organisations_threats_are_not_looked_at(community):
    community.ci.add(dispatch=None, detection=TEXT, organisation=CERT)

    assert look(community) == {}


def test_none_of_it_where_it_is_switched_off(tmp_path):
    never = Community(tmp_path, enrich_s=0)

    assert enrich.jobs(never.ci.eme) == ()
    never.close()
