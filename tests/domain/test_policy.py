"""Policy: what may run without asking a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eme_connector.domain.playbook import ACTIONS
from eme_connector.domain.policy import Context, Scope, Setting, judge
from tests.build import CI, detection, playbook, step

NOW = datetime(2026, 5, 1, tzinfo=UTC)
BOTH = Setting("s", CI, frozenset({"isolate", "block_service"}))


def ask(found, *settings, context=None, **more):
    return judge(found, settings, context or Context(), now=NOW, **more)


def codes(verdict):
    return [(one.step, one.code) for one in verdict.waiting]


def test_policy_that_covers_every_step_approves():
    verdict = ask(detection(), BOTH)

    assert verdict.approves
    assert verdict.policies == ("s@1",)


def test_a_partly_covered_playbook_waits_and_names_the_step():
    verdict = ask(detection(), replace(BOTH, automatic=frozenset({"isolate"})))

    assert codes(verdict) == [("2", "not-automatic")]


def test_without_any_setting_nothing_is_automatic():
    assert codes(ask(detection())) == [("1", "not-automatic"), ("2", "not-automatic")]


def test_an_unknown_action_is_never_covered():
    found = detection(playbooks=(playbook(step(1, "Reformat moon")),))
    everything = Setting("s", CI, frozenset(ACTIONS))

    assert codes(ask(found, everything)) == [("1", "unknown-action")]


def test_a_detection_without_a_step_waits():
    assert codes(ask(detection(playbooks=()), BOTH)) == [(None, "no-playbook")]


@pytest.mark.parametrize("restrictions", [{"isolate": True}, {"block_service": False}, {}])
def test_a_bundle_can_restrict(restrictions):
    assert not ask(detection(restrictions=restrictions), BOTH).approves


def test_a_bundle_cannot_grant():
    generous = detection(restrictions=dict.fromkeys(ACTIONS, True))

    assert not ask(generous, replace(BOTH, automatic=frozenset())).approves


def test_a_bundle_without_policies_restricts_nothing():
    assert ask(detection(restrictions=None), BOTH).approves


@pytest.mark.parametrize(
    "limits",
    [
        {"valid_until": "2026-04-30T23:59:59+00:00"},
        {"valid_from": "2026-05-01T00:00:01+00:00"},
    ],
)
def test_outside_its_validity_a_playbook_waits(limits):
    found = detection(playbooks=(playbook(**limits),))

    assert (None, "outside-validity") in codes(ask(found, BOTH))


def test_a_missing_or_dangling_start_waits():
    found = detection(playbooks=(playbook(start_found=False),))

    assert (None, "no-start") in codes(ask(found, BOTH))


@pytest.mark.parametrize(("order", "approves"), [("start-first", True), ("wait", False)])
def test_a_start_that_is_not_listed_first_waits_where_the_operator_says_so(order, approves):
    found = detection(playbooks=(playbook(reordered=True),))

    assert ask(found, BOTH, step_order=order).approves is approves


def test_a_setting_for_the_sector_takes_the_place_of_the_general_one():
    strict = Setting("t", CI, frozenset(), Scope(sector="transport"))

    assert ask(detection(), BOTH, strict, context=Context(sector="energy")).approves
    assert not ask(detection(), BOTH, strict, context=Context(sector="transport")).approves


def test_several_settings_that_match_must_all_consent():
    lax = Setting("a", CI, BOTH.automatic, Scope(tag="camera"))
    strict = Setting("b", CI, frozenset({"isolate"}), Scope(asset_type="iot"))
    context = Context(asset_types=frozenset({"iot"}), tags=frozenset({"camera"}))

    assert codes(ask(detection(), BOTH, lax, strict, context=context)) == [("2", "not-automatic")]
