"""Look-ups by value: whole values only, and only what the caller may see."""

from __future__ import annotations

import time

import pytest

from eme_connector.domain.rights import Right
from tests.build import CERT, CI, OTHER_CI
from tests.bundles import bundle, carrier


@pytest.fixture
def known(site):
    """A site with a threat of CI-1 on 10.1.2.9 that the index knows."""
    answer = site.ingest(bundle(carrier(playbook_actions=None)))
    threat_id = answer.json["threats"][0]["id"]
    until = time.monotonic() + 10
    while not find(site, "PLC-9").json["threats"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    site.threat_id = threat_id
    return site


def find(site, *values, organisation=CI):
    headers = site.token(Right.READ, organisation=organisation)
    return site.client().get("/api/v1/lookup", query_string=[("value", v) for v in values],
                             headers=headers)  # fmt: skip


def matched(site, *values, **who):
    return [one["matched"] for one in find(site, *values, **who).json["threats"]]


def test_a_value_is_found_where_it_stands(known):
    assert matched(known, "10.1.2.9") == [["address"]]
    assert matched(known, "plc-9") == [["device"]]
    assert matched(known, known.threat_id) == [["id"]]
    assert matched(known, "T0855") == [["threat"]]
    assert matched(known, "sensor-4") == [["source"]]
    assert matched(known, "no-such-thing", "Modbus") == [["name"]]


def test_a_part_of_a_value_is_no_match(known):
    for value in ("10.1.2", "0.1.2.9", "10.1.2.90", "PLC", "T08", "2.9", "9.2.1.10"):
        assert matched(known, value) == [], value


def test_the_answer_holds_what_a_reader_of_misp_wants(known):
    found = find(known, "10.1.2.9").json

    assert (found["organisation"]["uuid"], found["complete"]) == (CI, True)
    one = found["threats"][0]
    assert (one["id"], one["status"]) == (known.threat_id, "pending")
    assert one["url"].endswith(f"/threats/{known.threat_id}")
    assert one["playbooks"] == []


@pytest.mark.parametrize("organisation", [OTHER_CI, CERT])
def test_another_organisation_finds_nothing(known, organisation):
    for value in ("10.1.2.9", "PLC-9", known.threat_id, "Modbus"):
        assert find(known, value, organisation=organisation).json["threats"] == []


def test_each_threat_comes_once_and_the_newest_first(known):
    known.ingest(bundle(carrier(number=2, iris_id=8)))
    second = known.ingest(bundle(carrier(number=2, iris_id=8))).json["threats"][0]["id"]
    until = time.monotonic() + 10
    while len(found := find(known, "PLC-9", "10.1.2.9").json["threats"]) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)

    assert [one["id"] for one in found] == [second, known.threat_id]


@pytest.mark.parametrize("values", [[], ["ab"], ["x" * 301], ["abc"] * 11])
def test_too_little_and_too_much_is_refused(known, values):
    assert find(known, *values).status_code == 422


@pytest.mark.parametrize(
    "value", ["   ", '"', "10.1.2.9 OR 1", "NEAR(", "*", "a" * 300, "%_%", "…", "a\0b"]
)
def test_odd_values_find_nothing_and_break_nothing(known, value):
    answer = find(known, value.ljust(3))

    assert (answer.status_code, answer.json["threats"]) == (200, [])
