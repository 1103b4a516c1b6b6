"""Who will see a threat: the preview tells the truth, whatever MISP's rules make of a group."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from eme_connector.domain import audience as domain
from eme_connector.domain.audience import NAMED_ONLY, audience, by_sidecar, strangers, viewers
from eme_connector.domain.directory import GroupServer
from eme_connector.domain.sharing import MispInstance
from eme_connector.domain.threat import Tlp
from tests.build import CERT, CI, GROUP, OTHER_CI, threat, topology
from tests.sharing import worlds

SHORT, LONG = 20_000, 200_000
MISP_A, MISP_B = "https://a.example", "https://b.example"


def connected(*members, **group):
    """Return a world where we and a CERT have a MISP each, and ours pushes to the CERT's."""
    where = topology(*members)
    changed = replace(where.groups[GROUP], **group)
    return replace(
        where,
        groups={GROUP: changed},
        misp=MispInstance(MISP_A, CI, CI, frozenset({CI, OTHER_CI})),
        behind=(MispInstance(MISP_B, CERT, CI, frozenset({CERT})),),
    )


def shown(found):
    return {one.organisation: (one.rules, one.ways) for one in found}


def publish(world):
    """Do what the sender does: store the event, and publish it where it may leave."""
    found, topology = world.threat, world.topology
    us = topology.misp.carrier
    group = topology.groups.get(found.group or "")
    over = group and group.cap and list(Tlp).index(found.tlp) > list(Tlp).index(group.cap)
    if group is None or found.tlp in NAMED_ONLY or over or not group.active:
        world.ours.add("event", us, None)
    elif us in group.members:
        world.ours.add("event", us, group.uuid)
        world.ours.publish("event")


def check(world):
    publish(world)
    read = {one for misp in [world.ours, *world.instances] for one in misp.readers("event")}
    told = viewers(world.threat, world.topology)

    assert {one.organisation for one in told if "misp" in one.ways} == read - {
        world.topology.misp.carrier
    }
    group = world.topology.groups.get(world.threat.group or "")
    members = (group.members if group else frozenset()) - {world.threat.organisation}
    assert set(by_sidecar(world.threat, world.topology)) <= members


def test_the_preview_names_exactly_those_who_can_read_it_afterwards():
    chance = random.Random(20_000)
    for _ in range(SHORT):
        check(worlds.make(chance))


@pytest.mark.long
def test_the_preview_names_exactly_those_who_can_read_it_in_many_more_worlds():
    chance = random.Random()
    for _ in range(LONG):
        check(worlds.make(chance))


def test_a_member_is_told_by_message_and_on_its_misp():
    where = connected(CI, CERT, servers=frozenset({GroupServer(MISP_B)}))

    assert shown(viewers(threat(), where)) == {CERT: (("member", "server"), ("sidecar", "misp"))}


def test_a_roaming_group_reaches_every_misp_of_a_member():
    where = connected(CI, CERT, roaming=True)

    assert shown(viewers(threat(), where))[CERT] == (("member", "roaming"), ("sidecar", "misp"))


def test_a_server_under_another_url_text_gets_nothing_by_misp():
    where = connected(CI, CERT, servers=frozenset({GroupServer(MISP_B + "/")}))

    assert shown(viewers(threat(), where))[CERT] == (("member",), ("sidecar",))


def test_a_group_open_to_all_of_a_misp_is_said_to_be():
    where = connected(CI, CERT, servers=frozenset({GroupServer(MISP_A, all_orgs=True)}))

    found = audience(threat(), where)

    assert shown(found.viewers)[OTHER_CI] == (("all-orgs",), ("misp",))
    assert ("beyond-members", (OTHER_CI,)) in {(o.code, o.organisations) for o in found.odd}
    assert OTHER_CI not in by_sidecar(threat(), where)


def test_without_us_in_the_group_nothing_is_published():
    where = connected(CERT, roaming=True)

    assert "misp" not in shown(viewers(threat(), where))[CERT][1]


def test_nothing_stricter_than_its_cap_is_put_into_a_group():
    where = connected(CI, CERT, roaming=True, cap=Tlp.GREEN)

    found = audience(threat(), where)

    assert found.viewers == ()
    assert [(one.organisation, one.why) for one in found.left_out] == [(CERT, "tlp-cap")]
    assert viewers(threat(tlp=Tlp.GREEN), where) != ()


def test_an_inactive_group_is_nobody():
    assert viewers(threat(), connected(CI, CERT, roaming=True, active=False)) == ()


def test_whom_nobody_named_is_left_out_by_name():
    found = audience(threat(tlp=Tlp.RED), connected(CI, CERT, roaming=True))

    assert [(one.organisation, one.why) for one in found.left_out] == [(CERT, "not-named")]


def test_a_member_that_only_the_misp_still_has_is_a_stranger():
    where = connected(CI, CERT, roaming=True)
    held = replace(where.groups[GROUP], members=frozenset({CI, CERT, OTHER_CI}))

    assert [one.organisation for one in strangers(threat(), where, held)] == [OTHER_CI]
    assert strangers(threat(), where, where.groups[GROUP]) == ()


def test_a_group_that_no_rule_of_the_organisation_names_is_unusual():
    where = connected(CI, CERT)
    other = replace(where.groups[GROUP], uuid=OTHER_CI)
    where = replace(where, groups={**where.groups, OTHER_CI: other})

    def codes(group):
        return [one.code for one in audience(threat(group=group), where).odd]

    assert "unusual-group" not in codes(GROUP)
    assert "unusual-group" in codes(OTHER_CI)


def test_every_word_is_explained_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "sharing.md").read_text()
    listed = set(re.findall(r"^\| `([a-z-]+)`", page, re.MULTILINE))

    assert listed == {*domain.RULES, *domain.WHYS, *domain.ODDITIES}
