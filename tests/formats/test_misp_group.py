"""What is wrong with a sharing group, as pure answers to questions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eme_connector.domain.directory import GroupServer
from eme_connector.domain.misp_reasons import REASONS
from eme_connector.domain.sharing import SharingGroup
from eme_connector.formats.misp_group import Receiver, lint, parse
from tests.build import CERT, CI, GROUP, OTHER_CI

URL, THERE = "https://misp.ci.example", "https://misp.cert.example"
RECEIVER = Receiver(CERT, THERE)
GOOD = SharingGroup(
    GROUP,
    "Transport",
    frozenset({CI, CERT}),
    servers=frozenset({GroupServer(URL), GroupServer(THERE)}),
)


def named(urls, *, all_orgs=False):
    return frozenset(GroupServer(one, all_orgs) for one in urls)


def found(held, wanted=GOOD, **how):
    return {
        (one.code, one.stops, one.who) for one in lint(held, wanted, CI, URL, [RECEIVER], **how)
    }


def test_a_good_group_is_good():
    assert found(GOOD) == set()
    assert found(replace(GOOD, servers=frozenset(), roaming=True)) == set()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"members": frozenset({CERT})}, "own-organisation-missing"),
        ({"active": False}, "group-inactive"),
        ({"servers": named([URL])}, "no-servers"),
        ({"members": frozenset({CI, CERT, OTHER_CI})}, "group-differs"),
        ({"servers": named([URL, THERE], all_orgs=True)}, "all-orgs"),
    ],
)
def test_what_is_wrong_with_the_group_stops_everything(change, code):
    assert (code, True, "") in found(replace(GOOD, **change))


def test_who_would_read_it_and_may_not_stops_everything():
    assert ("group-differs", True, "") in found(GOOD, strangers=[OTHER_CI])


def test_a_group_that_our_registers_open_to_all_may_be_open():
    open_to_all = replace(GOOD, servers=named([URL, THERE], all_orgs=True))

    assert found(open_to_all, wanted=open_to_all) == set()


@pytest.mark.parametrize(
    ("servers", "code"),
    [
        ([URL, THERE + ":443", "https://x.example"], "url-differs"),
        ([URL, THERE.upper().replace("HTTPS", "https")], "url-differs"),
        ([URL, THERE + "/"], "url-differs"),
        ([URL, "https://misp.other.example"], "server-not-in-group"),
    ],
)
def test_what_keeps_it_from_the_only_member_stops_it(servers, code):
    assert (code, True, CERT) in found(replace(GOOD, servers=named(servers)))


def test_what_keeps_it_from_one_member_does_not_keep_it_from_another():
    three = replace(GOOD, members=frozenset({CI, CERT, OTHER_CI}))
    held = replace(three, servers=named([URL, "https://misp.other.example"]))

    assert found(held, wanted=three) == {("server-not-in-group", False, CERT)}


def test_a_member_on_our_own_misp_is_enough_to_go_on():
    held = replace(GOOD, servers=named([URL]))

    assert not [stops for _, stops, _ in found(held, local=[CERT]) if stops]


def test_a_member_that_may_add_others_is_named_unless_that_is_meant():
    held = replace(GOOD, extending=frozenset({CERT, CI}))

    assert found(held) == {("may-extend", False, CERT)}
    assert found(held, wanted=held) == set()


def test_every_finding_has_a_remedy():
    bad = replace(
        GOOD, members=frozenset({OTHER_CI}), servers=named([URL], all_orgs=True), active=False,
        extending=frozenset({OTHER_CI}),
    )  # fmt: skip
    codes = {code for code, _, _ in found(bad)}

    assert len(codes) >= 5
    assert all(REASONS[code].remedy for code in codes)


@pytest.mark.parametrize("inside", [False, True])
def test_a_group_is_read_alone_or_from_an_event(inside):
    head = {"uuid": GROUP.upper(), "name": "Transport", "roaming": False, "active": True}
    rows = {
        "SharingGroupOrg": [
            {"extend": True, "Organisation": {"uuid": CI.upper()}},
            {"extend": False, "Organisation": {"uuid": CERT}},
            {"extend": False, "Organisation": None},
        ],
        "SharingGroupServer": [
            {"server_id": "0", "all_orgs": False, "Server": {"url": "http://inside"}},
            {"server_id": "1", "all_orgs": False, "Server": {"url": THERE}},
        ],
    }
    answer = head | rows if inside else {"SharingGroup": head} | rows

    assert parse(answer, URL) == replace(GOOD, extending=frozenset({CI}))
