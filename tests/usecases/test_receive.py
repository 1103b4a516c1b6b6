"""Receiving: ARCHITECTURE section 3, a test per line."""

from __future__ import annotations

import json

import pytest

from eme_connector.domain.delivery import State
from eme_connector.domain.listing import ListQuery
from eme_connector.domain.rights import Right
from eme_connector.domain.sharing import GroupRule, RegisteredAsset
from eme_connector.domain.threat import Kind, Status, Tlp
from eme_connector.errors import InvalidBundle, NotAllowed
from eme_connector.usecases.decide import close
from eme_connector.usecases.receive import Rules, receive_bundle, receive_event
from tests.build import CI, GROUP, NOW, OTHER_CI, organisation, person, token
from tests.bundles import ENABLED, bundle, carrier, step

LANE = "orchestrator:demo"
ATIO = token(Right.INGEST, criticality_order="descending")


def rules(owner=None, **more):
    return Rules(owner or organisation(), lambda _: LANE, **more)


def send(store, document, *, caller=ATIO, of=None, now=NOW):
    raw = json.dumps(document).encode()
    return receive_bundle(document, raw, caller=caller, rules=of or rules(), store=store, now=now)


def one(store, document, **how):
    (received,) = send(store, document, **how)
    return received.threat


def listed(store, viewer=CI):
    return store.list_threats(ListQuery(viewer)).threats


def owed(store, threat, kind="dispatch"):
    return [(d.state, d.reason, d.digest) for d in store.deliveries_of(threat.id) if d.kind == kind]


# identity


def test_the_same_bundle_twice_is_one_threat(store):
    first = send(store, bundle())
    second = send(store, bundle())

    assert [r.threat for r in second] == [r.threat for r in first]
    assert (first[0].new, second[0].new) == (True, False)
    assert listed(store) == (first[0].threat,)


def test_the_same_detection_in_another_order_of_keys_and_form_of_numbers_is_the_same(store):
    other = carrier(iris_id="7")
    other["detection"] = dict(reversed(other["detection"].items())) | {"confidence": 80}

    assert one(store, bundle()) == one(store, bundle(other))


def test_our_id_is_minted_and_not_what_the_sender_chose(store):
    threat = one(store, bundle())

    assert threat.id not in json.dumps(bundle())


def test_two_organisations_with_the_same_ids_are_two_threats_that_do_not_meet(store):
    theirs = rules(organisation(OTHER_CI, "CI-2", default_group=None))
    other = token(Right.INGEST, organisation=OTHER_CI)

    ours = one(store, bundle())
    another = one(store, bundle(carrier("CI-2")), caller=other, of=theirs)

    assert ours.id != another.id
    assert listed(store, CI) == (ours,)
    assert listed(store, OTHER_CI) == (another,)
    assert store.find_visible_threat(ours.id, OTHER_CI) is None


@pytest.mark.parametrize("block", ["detection", "policies", "criticalities"])
def test_a_bundle_that_names_another_organisation_is_refused_as_a_whole(store, block):
    wrong = carrier(number=2, iris_id=8)
    wrong[block]["organisation"] = "CI-2"

    with pytest.raises(InvalidBundle) as caught:
        send(store, bundle(carrier(), wrong))

    assert caught.value.pointer == f"/objects/1/{block}/organisation"
    assert listed(store) == ()


def test_a_token_of_another_organisation_cannot_send_for_this_one(store):
    with pytest.raises(NotAllowed):
        send(store, bundle(), caller=token(Right.INGEST, organisation=OTHER_CI))


def test_a_token_without_the_right_cannot_send(store):
    with pytest.raises(NotAllowed):
        send(store, bundle(), caller=token(Right.READ))


def test_a_configured_alias_is_the_organisation_and_a_look_alike_is_not(store):
    owner = rules(organisation(aliases=frozenset({"Metro"})))

    assert one(store, bundle(carrier("Metro")), of=owner).organisation == CI
    with pytest.raises(InvalidBundle):
        send(store, bundle(carrier("CI‑1")), of=owner)


def test_several_detections_are_several_threats_of_one_bundle(store):
    received = send(store, bundle(carrier(), carrier(number=2)))

    assert len({r.threat.id for r in received}) == 2
    assert [r.pointer for r in received] == ["/objects/0/detection", "/objects/1/detection"]
    assert len({r.threat.bundle_id for r in received}) == 1


def test_all_or_none_are_stored(store):
    with pytest.raises(InvalidBundle):
        send(store, bundle(carrier(), carrier(number=2, detection={"organisation": "CI-1"})))

    assert listed(store) == ()


# revisions and the decision digest


def test_a_revision_that_would_send_the_same_keeps_the_decision(store, allow):
    allow("isolate", "block_service")
    first = one(store, bundle())
    changed = carrier()
    changed["detection"]["confidence"] = "95"

    second = one(store, bundle(changed))

    assert (second.id, second.revision, second.detection.confidence) == (first.id, 2, 95)
    assert second.decision == first.decision
    assert len(owed(store, second)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"criticalities": carrier()["criticalities"] | {"asset_ip": "10.1.2.10"}},
        {"steps": [step(1), step(2, "Block Host Service"), step(3, "Shutdown host")]},
    ],
)
def test_a_revision_that_would_send_something_else_is_pending_and_withdraws(store, allow, change):
    allow("isolate", "block_service")
    first = one(store, bundle())
    allow(version=2)

    second = one(store, bundle(carrier(**change)))

    assert (first.status, second.status) == (Status.APPROVED, Status.PENDING)
    assert owed(store, second) == [
        (State.WITHDRAWN, "digest-changed", first.decision.dispatch_digest)
    ]


def test_a_closed_threat_opens_again_when_something_else_would_be_sent(store):
    first = one(store, bundle())
    close(first.id, "done by hand", caller=person(), store=store, now=NOW)

    same = one(store, bundle(carrier(steps=[step(1), step(2, "Block Host Service")])))
    other = one(store, bundle(carrier(steps=[step(1)])))

    assert (same.status, other.status) == (Status.RESOLVED, Status.PENDING)


def test_policy_is_asked_anew_for_a_revision(store, allow):
    first = one(store, bundle())
    allow("isolate", "block_service", "restore")

    changed = carrier(steps=[step(1), step(2, "Restore")])
    second = one(store, bundle(changed))

    assert (first.status, second.status) == (Status.PENDING, Status.APPROVED)
    assert second.decision.by == "policy"


def test_raw_bytes_of_every_revision_are_kept(store):
    first, second = bundle(), bundle(carrier(steps=[step(1)]))
    threat = one(store, first)
    one(store, second)

    assert json.loads(store.raw(threat.id, 1)) == first
    assert json.loads(store.raw(threat.id, 2)) == second


# authority


def test_policy_that_covers_all_approves_and_owes_one_dispatch(store, allow):
    allow("isolate", "block_service")
    threat = one(store, bundle())

    assert threat.decision.policies == (f"{CI}@1",)
    assert owed(store, threat) == [(State.OWED, "", threat.decision.dispatch_digest)]


def test_partial_cover_waits_names_the_step_and_owes_nothing(store, allow):
    allow("isolate")
    threat = one(store, bundle())

    assert [(w.step, w.code) for w in threat.decision.waiting] == [("2", "not-automatic")]
    assert owed(store, threat) == []


def test_a_bundle_cannot_grant_itself_automation(store):
    assert one(store, bundle()).status is Status.PENDING


def test_a_bundle_can_restrict_what_policy_allows(store, allow):
    allow("isolate", "block_service", "shutdown")
    threat = one(store, bundle(carrier(steps=[step(1, "Shutdown host")])))

    assert [w.code for w in threat.decision.waiting] == ["restricted"]
    assert ENABLED["contain"]["shutdown"] == "disabled"


def test_criticality_is_the_highest_of_register_and_bundle(store):
    owner = organisation(assets=(RegisteredAsset(5, device="PLC-9"),))

    assert one(store, bundle(), of=rules(owner)).criticality == 5


def test_the_register_cannot_be_lowered_and_does_not_lower(store):
    owner = organisation(assets=(RegisteredAsset(1, address="10.1.2.9"),))

    assert one(store, bundle(), of=rules(owner)).criticality == 4


def test_impact_is_never_below_our_table(store):
    threat = one(
        store, bundle(carrier(steps=[step(1, action_impact=0), step(2, action_impact=99)]))
    )

    assert [s.impact for s in threat.detection.steps] == [60, 99]


def test_the_scale_of_criticality_belongs_to_the_token(store):
    ascending = token(Right.INGEST, criticality_order="ascending")

    assert one(store, bundle(), caller=ascending).criticality == 2
    assert one(store, bundle(carrier(iris_id=8))).criticality == 4


def test_a_message_cannot_choose_a_policy_by_naming_a_tag(store, allow):
    loud = carrier()
    loud["detection"] |= {"tags": ["lax"], "asset_type": "lax", "sector": "lax"}

    assert one(store, bundle(loud)).status is Status.PENDING


# time


def test_a_date_ahead_of_us_is_flagged_and_order_is_by_our_clock(store):
    ahead = carrier(iris_id=8)
    ahead["detection"]["last_seen"] = "2999-12-31T23:59:59Z"
    first = one(store, bundle(), now=NOW)
    second = one(store, bundle(ahead), now=NOW + 1)

    assert "future-date" in second.detection.flags or "future-date" in second.flags
    assert [t.id for t in listed(store)] == [second.id, first.id]


def test_a_future_date_does_not_make_a_resend_another_revision(store):
    ahead = carrier()
    ahead["detection"]["last_seen"] = "2023-11-14T22:40:00Z"
    early = one(store, bundle(ahead), now=NOW)
    late = one(store, bundle(ahead), now=NOW + 86_400)

    assert early == late


def test_an_expired_playbook_is_never_covered_by_policy(store, allow):
    allow("isolate", "block_service")
    old = carrier()
    old["playbook_actions"]["playbook_valid_until"] = "2020-01-01T00:00:00Z"

    assert [w.code for w in one(store, bundle(old)).decision.waiting] == ["outside-validity"]


# groups and markings


def test_the_group_is_chosen_at_receipt_and_a_share_is_owed(store):
    threat = one(store, bundle())

    assert threat.group == GROUP
    assert len(owed(store, threat, "share")) == 1


def test_no_group_is_nobody(store):
    threat = one(store, bundle(), of=rules(organisation(default_group=None)))

    assert (threat.group, owed(store, threat, "share")) == (None, [])


def test_a_rule_chooses_the_group(store):
    owner = organisation(group_rules=(GroupRule("v", type=Kind.VULNERABILITY),))
    found = carrier()
    found["detection"]["classification"] = "vulnerability"

    assert one(store, bundle(found), of=rules(owner)).group == "v"


def test_an_unmarked_bundle_gets_the_configured_marking(store):
    assert one(store, bundle()).tlp is Tlp.AMBER
    strict = rules(default_tlp=Tlp.RED)
    assert one(store, bundle(carrier(iris_id=9)), of=strict).tlp is Tlp.RED


# what is written down


def test_everything_is_on_the_timeline_without_content(store, allow):
    allow("isolate", "block_service")
    threat = one(store, bundle())

    events = [record.event for record in store.timeline(threat.id)]
    assert events == ["received", "approved"]
    assert "Modbus" not in str(store.timeline(threat.id))


def test_a_single_event_is_a_threat_that_waits(store):
    document = {"id": "eve-1", "name": "SSH brute force", "risk_score": 4, "confidence": 60}
    (received,) = receive_event(document, b"{}", caller=ATIO, rules=rules(), store=store, now=NOW)

    assert [w.code for w in received.threat.decision.waiting] == ["no-playbook"]
    assert listed(store) == (received.threat,)
