"""Risk: the rank, its factors and its word."""

from __future__ import annotations

import pytest

from eme_connector.domain.delivery import backoff
from eme_connector.domain.playbook import action_of
from eme_connector.domain.rights import PEOPLE_ONLY, ROLES, Right
from eme_connector.domain.risk import band_of, normalise_criticality, rank
from eme_connector.errors import NotAllowed
from tests.build import detection, person, token


def test_rank_is_risk_times_criticality_times_confidence():
    found = rank(8.1, 4, 87)

    assert found.value == 56.4
    assert (found.risk_score, found.criticality, found.confidence) == (8.1, 4, 87)
    assert (rank(10, 5, 100).value, rank(0, 5, 100).value) == (100, 0)


@pytest.mark.parametrize(
    ("value", "word"),
    [(0, "low"), (24.9, "low"), (25, "medium"), (49.9, "medium"), (50, "high"),
     (74.9, "high"), (75, "critical"), (100, "critical")],
)  # fmt: skip
def test_each_rank_has_a_word(value, word):
    assert band_of(value) == word


def test_a_descending_scale_is_turned_round():
    assert [normalise_criticality(n, "descending") for n in (1, 3, 5)] == [5, 3, 1]
    assert [normalise_criticality(n, "ascending") for n in (1, 3, 5)] == [1, 3, 5]


def test_the_most_critical_asset_counts_and_nobody_said_is_the_middle():
    assert detection().criticality == 4
    assert detection(assets=()).criticality == 3


@pytest.mark.parametrize("text", ["Isolate Host", " isolate  host ", "ISOLATE"])
def test_known_words_name_an_action(text):
    assert action_of(text) == "isolate"


@pytest.mark.parametrize("text", ["", "isolate host now", "restore; rm -rf"])
def test_other_words_name_none(text):
    assert action_of(text) is None


def test_no_service_decides_whatever_rights_it_carries():
    with pytest.raises(NotAllowed):
        token(*Right).need(Right.DECIDE)
    person().need(Right.DECIDE)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_what_it_names_and_nothing_else(role):
    caller = person(role=role)
    for right in Right:
        if right in ROLES[role]:
            caller.need(right)
        else:
            with pytest.raises(NotAllowed):
                caller.need(right)
    assert {Right.DECIDE} == PEOPLE_ONLY


def test_waits_double_up_to_a_limit_and_jitter_only_adds():
    assert [backoff(n, 0) for n in (1, 2, 3, 20)] == [1, 2, 4, 300]
    assert backoff(3, 1) == 6
