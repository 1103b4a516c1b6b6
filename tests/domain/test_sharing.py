"""Who may see a threat."""

from __future__ import annotations

import pytest

from eme_connector.domain.audience import viewers
from eme_connector.domain.sharing import GroupRule, Topology, choose_group
from eme_connector.domain.threat import Kind, Tlp
from tests.build import CERT, CI, GROUP, OTHER_CI, organisation, threat, topology

ELSEWHERE = "99999999-9999-4999-8999-999999999999"


def seen_by(found, where):
    return [one.organisation for one in viewers(found, where)]


def test_a_threat_goes_to_the_members_of_its_group_and_not_back_to_its_owner():
    assert seen_by(threat(), topology(CI, CERT)) == [CERT]


def test_who_is_no_member_sees_nothing():
    assert OTHER_CI not in seen_by(threat(), topology(CI, CERT))


@pytest.mark.parametrize("group", [None, ELSEWHERE])
def test_no_group_or_an_unknown_one_is_nobody(group):
    assert seen_by(threat(group=group), topology()) == []


def test_without_any_register_nobody_sees_it():
    assert seen_by(threat(), Topology()) == []


@pytest.mark.parametrize("tlp", [Tlp.AMBER_STRICT, Tlp.RED])
def test_strict_and_red_go_only_to_members_a_person_named(tlp):
    where = topology(CI, CERT, OTHER_CI)

    assert seen_by(threat(tlp=tlp), where) == []
    assert seen_by(threat(tlp=tlp, recipients=(CERT,)), where) == [CERT]


def test_naming_an_organisation_outside_the_group_does_not_let_it_in():
    named = threat(tlp=Tlp.RED, recipients=(OTHER_CI,))

    assert seen_by(named, topology(CI, CERT)) == []


def test_the_first_rule_that_matches_chooses_the_group():
    owner = organisation(
        group_rules=(
            GroupRule(ELSEWHERE, tag="tram"),
            GroupRule("b", type=Kind.VULNERABILITY),
            GroupRule("c", tlp=Tlp.RED),
        )
    )

    def chosen(kind=Kind.ATTACK, tags=frozenset(), tlp=Tlp.AMBER):
        return choose_group(owner, kind, tags, tlp)

    assert chosen() == GROUP
    assert chosen(tags=frozenset({"tram"}), kind=Kind.VULNERABILITY) == ELSEWHERE
    assert chosen(kind=Kind.VULNERABILITY) == "b"
    assert chosen(tlp=Tlp.RED) == "c"


def test_an_organisation_is_known_by_uuid_exact_name_or_alias_only():
    where = Topology({CI: organisation(aliases=frozenset({"Metro"}))})

    assert where.find_organisation("CI-1") is where.find_organisation("Metro") is not None
    assert where.find_organisation(CI) is not None
    for look_alike in ("СI-1", "CI‑1", "ci-1", "CI-1 ", "metro"):
        assert where.find_organisation(look_alike) is None
