"""IRIS playbooks as CACAO 2.0, held against the schemas of OASIS."""

from __future__ import annotations

import base64
import json
from uuid import UUID

import jsonschema
import pytest
import stix2
from hypothesis import given
from referencing import Registry, Resource

from eme_connector.domain.threat import Asset, Tlp
from eme_connector.formats import cacao, stix_playbook
from eme_connector.formats.cacao import Frame
from tests.build import AT, CI, playbook, step
from tests.formats.misp_event.arbitrary import threats

NAMESPACE = UUID("7d3f0c51-2a0d-4a87-9b2a-5b9e4f0f6c11")
STEP_TYPES = {"start": {"on_completion"}, "end": set(), "action": {"on_completion"}}


def frame(**fields):
    return Frame(
        **{
            "namespace": NAMESPACE,
            "identity": f"identity--{CI}",
            "organisation": "CI-1",
            "tlp": Tlp.AMBER,
            "assets": (Asset("10.0.0.7", "cam-1", 4),),
            "at": AT,
        }
        | fields
    )


def follow(found):
    """Return the actions on the way from start to end; raise where it leads nowhere."""
    names, at, seen = [], found["workflow_start"], set()
    while found["workflow"][at]["type"] != "end":
        assert at not in seen
        seen.add(at)
        one = found["workflow"][at]
        if one["type"] == "action":
            names.append(one["name"])
        at = one["on_completion"]
    assert len(seen) + 1 == len(found["workflow"])
    return names


def check(found):
    """Raise unless the playbook keeps the rules that no schema states."""
    follow(found)
    agents, targets = found["agent_definitions"], found.get("target_definitions", {})
    activities = []
    for key, one in found["workflow"].items():
        assert key.partition("--")[0] == one["type"]
        assert {name for name in one if name.startswith("on_")} == STEP_TYPES[one["type"]]
        if one["type"] == "action":
            assert one["agent"] in agents
            assert set(one.get("targets", ())) <= set(targets)
            assert [command["type"] for command in one["commands"]] == ["manual"]
            activities += [c["playbook_activity"] for c in one["commands"] if len(c) == 3]
    assert set(found.get("playbook_activities", ())) == set(activities)
    assert found["modified"] >= found["created"]
    assert set(found["markings"]) == set(found["data_marking_definitions"])
    if "valid_from" in found and "valid_until" in found:
        assert found["valid_until"] > found["valid_from"]


def test_steps_follow_each_other_from_start_to_end():
    found = cacao.render(playbook(step(1), step(2, "Shutdown host"), step(3, "Call anna")), frame())

    check(found)
    assert follow(found) == ["Isolate Host", "Shutdown host", "Call anna"]
    assert found["playbook_activities"] == ["disconnect-system"]
    assert found["playbook_types"] == ["mitigation"]


def test_ids_are_the_same_each_time_and_a_valid_one_of_the_sender_stays():
    one = playbook(source_id="playbook--A0777575-5C4C-4710-9F01-15776103837F")

    assert cacao.render(one, frame()) == cacao.render(one, frame())
    assert cacao.render(one, frame())["id"] == "playbook--a0777575-5c4c-4710-9f01-15776103837f"
    for told in ("", "12", "playbook--019b2f0e-0000-7000-8000-000000000000"):
        assert cacao.render(playbook(source_id=told), frame())["id"].startswith("playbook--")
        assert cacao.render(playbook(source_id=told), frame())["id"] != told


def test_times_have_three_digits_of_a_second():
    one = playbook(created="2026-02-03T04:05:06.78945+02:00", valid_until="2027-01-01T00:00:00Z")
    found = cacao.render(one, frame())

    assert (found["created"], found["modified"], found["valid_until"]) == (
        "2026-02-03T02:05:06.789Z",
        "2026-02-03T02:05:06.789Z",
        "2027-01-01T00:00:00.000Z",
    )


def test_targets_are_the_assets_that_a_step_acts_upon():
    two = (Asset("10.0.0.7", "cam-1"), Asset("2001:db8::7", "cam-2"), Asset("", "no name at all"))
    found = cacao.render(
        playbook(step(1, actor="cam-2"), step(2, actor="other")), frame(assets=two)
    )

    targets = found["target_definitions"]
    hit = [one.get("targets") for one in found["workflow"].values() if one["type"] == "action"]
    assert [one["address"] for one in targets.values()] == [
        {"ipv4": ["10.0.0.7"]},
        {"ipv6": ["2001:db8::7"]},
    ]
    assert [[targets[key]["name"] for key in one or ()] for one in hit] == [["cam-2"], []]


def test_sector_and_type_become_words_of_the_vocabulary():
    found = cacao.render(playbook(sector="Transport", kind="Prevention"), frame())

    assert found["industry_sectors"] == ["transportation"]
    assert found["playbook_types"] == ["prevention"]
    assert "industry_sectors" not in cacao.render(playbook(sector="Funfair"), frame())


def test_a_playbook_without_steps_is_none():
    one = playbook()
    assert cacao.render(type(one)(name="x", steps=()), frame()) is None
    assert stix_playbook.course_of_action(type(one)(name="x", steps=()), frame()) is None


def test_an_identity_that_cacao_would_refuse_is_derived():
    found = cacao.render(
        playbook(), frame(identity="identity--019b2f0e-0000-7000-8000-000000000000")
    )

    assert UUID(found["created_by"].partition("--")[2]).version == 5


def test_in_stix_it_is_a_course_of_action_with_the_playbook_inside():
    found = stix_playbook.course_of_action(playbook(impact=40), frame())

    stix2.parse(found, allow_custom=False)
    inner = found["extensions"][stix_playbook.EXTENSION]
    assert json.loads(base64.b64decode(inner["playbook_bin"])) == cacao.render(
        playbook(impact=40), frame()
    )
    assert (inner["playbook_standard"], inner["playbook_impact"]) == ("cacao", 40)
    assert inner["labels"] == ["contain/isolate", "contain/block_service"]


@pytest.fixture(scope="module")
def validator(corpora):
    folder = corpora / "reference" / "cacao-2.0-oasis"
    schemas = [json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))]
    registry = Registry().with_resources(
        (one["$id"], Resource.from_contents(one)) for one in schemas
    )
    main = next(one for one in schemas if one["$id"].endswith("/playbook.json"))
    return jsonschema.Draft7Validator(main, registry=registry)


@given(one=threats())
def test_every_playbook_keeps_the_schemas_of_oasis_and_our_rules(validator, one):
    about = frame(
        assets=one.detection.assets,
        tlp=one.tlp,
        at=one.received_at,
        identity=f"identity--{one.organisation}",
    )
    for each in one.detection.playbooks:
        found = cacao.render(each, about)
        if found is not None:
            check(found)
            assert [error.message for error in validator.iter_errors(found)] == []


def test_the_schemas_would_tell(validator):
    broken = dict(cacao.render(playbook(), frame())) | {"workflow_start": "1"}

    assert list(validator.iter_errors(broken)) != []


def test_the_extension_keeps_its_schema(corpora):
    path = corpora / "stix/coa-playbook-extension/schema__course-of-action_playbook.json"
    schema = json.loads(path.read_text())["$defs"]["playbook-extension"]
    inner = stix_playbook.course_of_action(playbook(), frame())["extensions"]

    assert set(inner[stix_playbook.EXTENSION]) <= set(schema["properties"])
    assert set(schema["required"]) <= set(inner[stix_playbook.EXTENSION])
