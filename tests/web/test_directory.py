"""What a Cerebrate's local tool reads and writes: organisations and groups (D6)."""

from __future__ import annotations

import pytest

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation
from eme_connector.domain.rights import Right
from tests.build import AT, CERT, CI, GROUP, OTHER_CI

SYNC = (Right.READ, Right.SYNC)
NEW = "66666666-6666-4666-8666-666666666666"
BODY = {"name": "Trams", "description": "", "releasability": "", "active": True, "owner": CERT,
        "members": [{"uuid": CI, "extend": True}, {"uuid": CERT, "extend": False}]}  # fmt: skip


@pytest.fixture
def call(site):
    """Call as the Cerebrate whose token is named `test`."""
    headers = site.token(*SYNC)

    def run(method, path, headers=headers, **how):
        return site.client().open(f"/api/v1{path}", method=method, headers=headers, **how)

    return run


def _tell(site, source, *things):
    site.eme.store.transact(lambda tx: [tx.save_entry(source, one, AT) for one in things])


def test_what_was_put_is_listed_as_it_was_put(call):
    organisation = {"name": "CI-1", "nationality": "GR", "sector": "rail", "type": "", "url": ""}

    assert call("PUT", f"/organisations/{CI}", json=organisation).json["outcome"] == "new"
    assert call("PUT", f"/sharing-groups/{GROUP}", json=BODY).json["outcome"] == "new"

    assert call("GET", "/organisations").json["organisations"] == [
        organisation | {"uuid": CI, "source": "test"}
    ]
    assert call("GET", "/sharing-groups").json["sharing_groups"] == [
        BODY | {"uuid": GROUP, "source": "test"}
    ]


def test_putting_again_says_what_changed(call):
    def put(**changes):
        return call("PUT", f"/sharing-groups/{GROUP}", json=BODY | changes).json["outcome"]

    assert [put(), put(), put(name="Rail"), put(members=[])] == [
        "new",
        "same",
        "changed",
        "changed",
    ]
    assert call("GET", "/sharing-groups").json["sharing_groups"][0]["members"] == []


def test_many_organisations_are_kept_in_one_call(call, site):
    many = [{"uuid": f"{n:08x}-0000-4000-8000-000000000000", "name": f"O{n}"} for n in range(300)]

    answer = call("PATCH", "/organisations", json={"organisations": many})
    again = call("PATCH", "/organisations", json={"organisations": many[:2]})

    assert {one["outcome"] for one in answer.json["organisations"]} == {"new"}
    assert {one["outcome"] for one in again.json["organisations"]} == {"same"}
    assert len(site.eme.store.directory().organisations) == 300


def test_a_group_of_somebody_unknown_is_refused_with_the_place(call):
    members = [{"uuid": CI, "extend": False}, {"uuid": NEW, "extend": False}]

    answer = call("PUT", f"/sharing-groups/{GROUP}", json=BODY | {"owner": NEW, "members": members})

    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json["errors"]] == ["/owner", "/members/1/uuid"]
    assert call("GET", "/sharing-groups").json["sharing_groups"] == []


@pytest.mark.parametrize(
    "change",
    [{"owner": "x"}, {"name": ""}, {"more": 1}, {"active": "yes"}, {"members": [{"uuid": CI}] * 2}],
)
def test_a_group_that_does_not_fit_is_refused(call, change):
    assert call("PUT", f"/sharing-groups/{GROUP}", json=BODY | change).status_code == 422


def test_nobody_changes_a_group_that_another_cerebrate_told_of(call, site):
    _tell(site, "other", RemoteGroup(GROUP, "Trams", CERT, {CERT: False}))

    assert call("PUT", f"/sharing-groups/{GROUP}", json=BODY).status_code == 409
    assert call("DELETE", f"/sharing-groups/{GROUP}").status_code == 409
    assert site.eme.store.directory().groups[GROUP].members == {CERT: False}


def test_a_withdrawn_group_is_gone(call, site):
    call("PUT", f"/sharing-groups/{GROUP}", json=BODY)

    assert call("DELETE", f"/sharing-groups/{GROUP}").status_code == 204
    assert call("DELETE", f"/sharing-groups/{GROUP}").status_code == 404
    assert site.eme.store.directory().groups == {}


def test_contacts_and_meta_fields_survive_a_put(call, site):
    known = RemoteOrganisation(CI, "CI-1", contacts="soc@ci", fields={"EME/eme_role": ("ci",)})
    _tell(site, "test", known)

    assert call("PUT", f"/organisations/{CI}", json={"name": "CI-one"}).json["outcome"] == "changed"
    kept = site.eme.store.directory().organisations[CI]
    assert (kept.name, kept.contacts, dict(kept.fields)) == (
        "CI-one", "soc@ci", {"EME/eme_role": ("ci",)})  # fmt: skip


# need to know


def test_who_is_in_no_group_sees_only_themselves(call, site):
    call("PATCH", "/organisations", json={"organisations": [
        {"uuid": CI, "name": "CI-1"}, {"uuid": OTHER_CI, "name": "CI-2"}]})  # fmt: skip
    call("PUT", f"/sharing-groups/{GROUP}", json=BODY)
    headers = site.token(Right.READ, organisation=OTHER_CI)

    assert call("GET", "/sharing-groups", headers=headers).json["sharing_groups"] == []
    seen = call("GET", "/organisations", headers=headers).json["organisations"]
    assert [one["uuid"] for one in seen] == [OTHER_CI]


def test_a_member_sees_its_group_and_who_is_in_it(call, site):
    call("PATCH", "/organisations", json={"organisations": [
        {"uuid": one, "name": one[:3]} for one in (CI, OTHER_CI, CERT)]})  # fmt: skip
    call("PUT", f"/sharing-groups/{GROUP}", json=BODY)
    headers = site.token(Right.READ, organisation=CERT)

    groups = call("GET", "/sharing-groups", headers=headers).json["sharing_groups"]
    seen = call("GET", "/organisations", headers=headers).json["organisations"]
    assert [one["uuid"] for one in groups] == [GROUP]
    assert {one["uuid"] for one in seen} == {CI, CERT}


def test_a_cerebrate_sees_what_it_told_of_and_not_what_another_one_did(call, site):
    foreign = RemoteGroup(NEW, "Elsewhere", OTHER_CI, {OTHER_CI: False})
    _tell(site, "other", foreign)
    own = RemoteGroup(GROUP, "Here", OTHER_CI, {OTHER_CI: False})
    _tell(site, "test", own)

    seen = call("GET", "/sharing-groups").json["sharing_groups"]
    assert [one["uuid"] for one in seen] == [GROUP]


def test_who_told_what_is_in_the_audit_log(call, site):
    call("PUT", f"/sharing-groups/{GROUP}", json=BODY)
    call("PUT", f"/sharing-groups/{GROUP}", json=BODY)
    call("DELETE", f"/sharing-groups/{GROUP}")

    with site.eme.store._engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT event FROM audit ORDER BY id").fetchall()
    assert [row[0] for row in rows if row[0].startswith("group")] == [
        "group-told",
        "group-withdrawn",
    ]
