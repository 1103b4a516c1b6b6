"""Decisions: once, bound to what was seen, by somebody who may."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eme_connector.domain import decision as moves
from eme_connector.domain import playbook as response
from eme_connector.domain.decision import Wish
from eme_connector.domain.policy import Verdict
from eme_connector.domain.threat import Execution, Status, Waiting
from eme_connector.errors import Conflict, InvalidPlaybook, StaleDigest
from tests.build import AT, detection, playbook, step, threat

NOW = datetime.fromtimestamp(AT / 1_000_000, UTC)
YES = Verdict((), ("s@1",))


def decide(found, status=Status.APPROVED, by="anna", **wish):
    digest = wish.pop("digest", found.digest)
    return moves.decide(found, Wish(status, digest, **wish), by=by, at=AT, now=NOW)


def may_leave(found, *, digest=None, stopped=False, verdict=YES, now=NOW):
    digest = found.decision.dispatch_digest if digest is None else digest
    return moves.why_not_dispatch(found, digest, now=now, stopped=stopped, verdict=verdict)


def test_approving_the_whole_approves_every_step():
    decided = decide(threat())

    assert (decided.status, decided.decision.steps) == (Status.APPROVED, ("1", "2"))
    assert decided.decision.dispatch_digest == decided.digest


def test_approving_one_step_leaves_a_playbook_of_just_that_one():
    found = threat()
    decided = decide(found, steps=("2",))

    document = found.dispatch_document(("2",), None)
    assert [s["id"] for s in document["playbooks"][0]["steps"]] == ["2"]
    assert decided.decision.dispatch_digest == response.digest(document) != found.digest


def test_declining_one_step_approves_the_others():
    decided = decide(threat(), Status.DECLINED, steps=("1",))

    assert (decided.status, decided.decision.steps) == (Status.APPROVED, ("2",))


def test_declining_every_step_declines():
    decided = decide(threat(), Status.DECLINED, steps=("1", "2"))

    assert (decided.status, decided.decision.steps) == (Status.DECLINED, ())


def test_the_same_person_may_repeat_the_same_decision():
    once = decide(threat())

    assert decide(once) is once


@pytest.mark.parametrize(
    "second",
    [
        {"status": Status.DECLINED},
        {"by": "boris"},
        {"steps": ("1",)},
    ],
)
def test_any_other_second_decision_conflicts(second):
    with pytest.raises(Conflict):
        decide(decide(threat()), **second)


def test_a_decision_on_something_that_changed_is_stale():
    with pytest.raises(StaleDigest):
        decide(threat(), digest="0" * 64)


@pytest.mark.parametrize("steps", [(), ("9",), ("1", "9")])
def test_steps_must_exist_and_be_at_least_one(steps):
    with pytest.raises(InvalidPlaybook) as caught:
        decide(threat(), steps=steps)
    assert caught.value.pointer == "/steps"


def test_a_closed_threat_is_not_decided_any_more():
    closed = moves.resolve(threat(), by="anna", at=AT, reason="gone")

    with pytest.raises(Conflict):
        decide(closed)


EXPIRED = threat(
    detection=detection(playbooks=(playbook(valid_until="2020-01-01T00:00:00+00:00"),))
)


def test_an_expired_playbook_needs_a_new_end():
    with pytest.raises(InvalidPlaybook) as caught:
        decide(EXPIRED)
    assert caught.value.pointer == "/valid_until"


def test_the_new_end_is_part_of_what_leaves():
    decided = decide(EXPIRED, valid_until="2030-01-01T00:00:00+00:00")

    document = EXPIRED.dispatch_document(decided.decision.steps, decided.decision.valid_until)
    assert document["playbooks"][0]["valid_until"].startswith("2030")
    assert decided.decision.dispatch_digest == response.digest(document)


def test_a_new_end_in_the_past_is_refused():
    with pytest.raises(InvalidPlaybook):
        decide(EXPIRED, valid_until="2021-01-01T00:00:00+00:00")


def test_an_expired_playbook_can_be_declined():
    assert decide(EXPIRED, Status.DECLINED).status is Status.DECLINED


@pytest.mark.parametrize(
    "change",
    [
        {"assets": (replace(detection().assets[0], address="10.0.0.8"),)},
        {"assets": (replace(detection().assets[0], device="cam-2"),)},
        {"playbooks": (playbook(step(1), step(2, "Block Host Service"), step(3, "Restore")),)},
        {"playbooks": (playbook(step(2, "Block Host Service"), step(1)),)},
        {"playbooks": (playbook(step(1, actor="cam-2"), step(2, "Block Host Service")),)},
        {"playbooks": (playbook(step(1, impact=99), step(2, "Block Host Service")),)},
        {"playbooks": (playbook(step(1, description="x"), step(2, "Block Host Service")),)},
        {"playbooks": (playbook(valid_until="2030-01-01T00:00:00+00:00"),)},
    ],
)
def test_the_digest_covers_all_that_would_be_sent(change):
    assert threat(detection=detection(**change)).digest != threat().digest


@pytest.mark.parametrize("change", [{"summary": "other"}, {"confidence": 1}, {"name": "x"}])
def test_the_digest_does_not_cover_what_is_not_sent(change):
    assert threat(detection=detection(**change)).digest == threat().digest


def test_an_actor_that_is_no_asset_of_the_threat_gets_no_address():
    found = threat(detection=detection(playbooks=(playbook(step(1, actor="firewall-1")),)))

    assert found.proposal["playbooks"][0]["steps"][0]["address"] == ""


def test_what_is_approved_may_leave():
    assert may_leave(decide(threat())) is None


@pytest.mark.parametrize(
    ("found", "how", "why"),
    [
        (decide(threat()), {"stopped": True}, "stopped"),
        (decide(threat()), {"digest": "0" * 64}, "digest-changed"),
        (replace(decide(threat()), detection=detection(assets=())), {}, "digest-changed"),
        (decide(threat(), Status.DECLINED), {"digest": "0" * 64}, "not-approved"),
        (threat(), {}, "not-approved"),
        (moves.resolve(decide(threat()), by="a", at=AT, reason="r"), {}, "closed"),
        (
            decide(EXPIRED, valid_until="2030-01-01T00:00:00+00:00"),
            {"now": datetime(2031, 1, 1, tzinfo=UTC)},
            "expired",
        ),
        (
            moves.approve_by_policy(threat(), YES, at=AT),
            {"verdict": Verdict((Waiting("1", "not-automatic", ""),), ())},
            "policy-changed",
        ),
        (moves.approve_by_policy(threat(), YES, at=AT), {"verdict": None}, "policy-changed"),
    ],
)
def test_the_last_check_names_why_it_must_not_leave(found, how, why):
    assert may_leave(found, **how) == why


def test_a_persons_approval_does_not_hang_on_policy():
    assert may_leave(decide(threat()), verdict=None) is None


@given(st.lists(st.sampled_from(list(Execution))))
def test_execution_only_moves_forward_and_ends(moves_made):
    found = threat()
    seen = [found.execution]
    for one in moves_made:
        found = moves.advance(found, one)
        seen.append(found.execution)

    order = list(Execution)
    assert [order.index(one) for one in seen] == sorted(order.index(one) for one in seen)
    final = [one for one in seen if one in (Execution.SUCCEEDED, Execution.FAILED)]
    assert len(set(final)) <= 1


def test_closing_twice_keeps_the_first_reason():
    closed = moves.resolve(threat(), by="anna", at=AT, reason="gone")

    assert moves.resolve(closed, by="boris", at=AT + 1, reason="other") is closed
    assert closed.status is Status.RESOLVED
