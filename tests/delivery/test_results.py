"""What an orchestrator says about a playbook counts only with evidence, and only if it is its."""

from __future__ import annotations

import json

import pytest

from eme_connector.domain.delivery import State
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Execution, Status
from eme_connector.errors import (
    Conflict,
    InvalidMessage,
    Malformed,
    NotAllowed,
    NotAuthenticated,
    NotFound,
)
from eme_connector.formats import standard_webhooks
from eme_connector.usecases import results
from tests import build
from tests.build import CI, OTHER_CI, token
from tests.delivery.world import SECRET, orchestrator

DONE = [{"id": "1", "status": "succeeded"}, {"id": "2", "status": "succeeded"}]
CALLER = token(Right.RESULT, orchestrator="demo")


@pytest.fixture
def sent(ci):
    """A threat whose playbook has been dispatched."""
    threat = ci.add()
    ci.drain()
    return ci.threat(threat.id)


@pytest.fixture
def tell(ci, sent):
    """Post a result, signed; keywords replace members of the body, None takes one out."""

    def one(status="succeeded", steps=DONE, *, caller=CALLER, secret=SECRET, threat=None, **body):
        delivery = ci.deliveries()[0]
        whole = {"delivery": delivery.key, "digest": delivery.digest, "status": status,
                 "steps": steps} | body  # fmt: skip
        text = json.dumps({name: it for name, it in whole.items() if it is not None}).encode()
        keys = standard_webhooks.secrets(secret)
        headers = standard_webhooks.headers(keys, "msg-1", ci.clock(), text)
        headers = {name.title(): value for name, value in headers.items()}
        return results.record_results(
            threat or sent.id, text, headers, caller=caller, system=ci.eme
        )

    return one


def test_evidence_of_every_step_resolves_the_threat(ci, sent, tell):
    told = tell()

    assert (told.execution, told.status) == (Execution.SUCCEEDED, Status.RESOLVED)
    assert told.resolution.by == "orchestrator:demo"
    assert told == ci.threat(sent.id)
    assert ci.events(sent.id)[-2:] == ["succeeded", "resolved"]
    assert ci.only().receipt["steps"] == {
        "1": {"status": "succeeded"},
        "2": {"status": "succeeded"},
    }
    assert ci.deliveries("share")[-1].sequence == told.sequence == sent.sequence + 1


def test_a_summary_word_alone_is_not_believed(ci, sent, tell):
    told = tell(steps=DONE[:1])

    assert (told.execution, told.status) == (Execution.UNCERTAIN, Status.APPROVED)
    assert "not-evidenced" in ci.events(sent.id)


def test_evidence_may_come_in_parts(tell):
    assert tell("ongoing", DONE[:1]).execution is Execution.ONGOING
    assert tell("succeeded", DONE[1:]).execution is Execution.SUCCEEDED


def test_a_failed_step_is_no_success(tell):
    steps = [DONE[0], {"id": "2", "status": "failed", "detail": "no route"}]

    assert tell("succeeded", steps).execution is Execution.FAILED


def test_failure_leaves_the_threat_open(tell):
    told = tell("failed", [])

    assert (told.execution, told.resolution) == (Execution.FAILED, None)


def test_a_repeat_changes_nothing(ci, sent, tell):
    first = tell()
    events = ci.events(sent.id)

    assert tell() == first
    assert ci.events(sent.id) == events


@pytest.mark.parametrize("late", ["ongoing", "failed", "succeeded"])
def test_moves_are_monotone(ci, sent, tell, late):
    tell("failed", [])

    assert tell(late).execution is Execution.FAILED


def test_a_step_that_is_over_stays_as_it_ended(ci, tell):
    tell("ongoing", [{"id": "1", "status": "failed"}])
    tell("ongoing", [{"id": "1", "status": "succeeded"}])

    assert ci.only().receipt["steps"]["1"]["status"] == "failed"


def test_late_evidence_settles_an_uncertain_delivery(make, hook):
    ci = make(folder="late", orchestrators=[orchestrator(hook)])
    hook.behave("die")
    threat = ci.add()
    ci.drain()
    ci.clock.tick(100)
    ci.drain()
    assert ci.only().state is State.UNCERTAIN

    body = json.dumps({"delivery": ci.only().key, "digest": ci.only().digest,
                       "status": "succeeded", "steps": DONE}).encode()  # fmt: skip
    keys = standard_webhooks.secrets(SECRET)
    headers = standard_webhooks.headers(keys, "m", ci.clock(), body)
    told = results.record_results(threat.id, body, headers, caller=CALLER, system=ci.eme)

    assert told.status is Status.RESOLVED
    assert (ci.only().state, ci.only().reason) == (State.DELIVERED, "late-evidence")


def test_a_result_may_overtake_the_answer_to_the_dispatch(make, hook):
    from eme_connector.domain.delivery import Receipt
    from eme_connector.usecases import deliver
    from tests.delivery.world import LANE

    ci = make(folder="early", orchestrators=[orchestrator(hook)])
    threat = ci.add()
    channel = ci.eme.channels()[LANE]
    (leased,) = deliver.take(LANE, channel, ci.eme, ci.clock())
    body = json.dumps({"delivery": leased.key, "digest": leased.digest, "status": "ongoing",
                       "steps": []}).encode()  # fmt: skip
    headers = standard_webhooks.headers(standard_webhooks.secrets(SECRET), "m", ci.clock(), body)
    results.record_results(threat.id, body, headers, caller=CALLER, system=ci.eme)

    assert deliver.finish(leased, Receipt("r"), channel, ci.eme, ci.clock()) is None
    assert ci.only().state is State.DELIVERED
    assert ci.threat(threat.id).execution is Execution.ONGOING


def test_1_the_right_is_needed(tell):
    with pytest.raises(NotAllowed):
        tell(caller=token(Right.READ, orchestrator="demo"))


@pytest.mark.parametrize("name", ["", "other"])
def test_1_the_token_must_belong_to_a_configured_orchestrator(tell, name):
    with pytest.raises(NotAllowed):
        tell(caller=token(Right.RESULT, orchestrator=name))


def test_2_a_false_signature_is_refused(ci, sent, tell):
    with pytest.raises(NotAuthenticated):
        tell(secret="whsec_" + "eA" * 20)
    assert ci.threat(sent.id) == sent


def test_2_no_signature_is_refused(ci, sent):
    with pytest.raises(NotAuthenticated):
        results.record_results(sent.id, b"{}", {}, caller=CALLER, system=ci.eme)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"digest": None}, "/digest"),
        ({"more": 1}, ""),
        ({"status": "done"}, "/status"),
        ({"status": 1}, "/status"),
        ({"delivery": 7}, "/delivery"),
        ({"steps": {}}, "/steps"),
        ({"steps": ["1"]}, "/steps/0"),
        ({"steps": [{"id": 1, "status": "ongoing"}]}, "/steps/0/id"),
        ({"steps": [{"id": "1", "status": "none"}]}, "/steps/0/status"),
        ({"steps": [{"id": "1", "status": "ongoing", "detail": "x" * 501}]}, "/steps/0/detail"),
        ({"steps": [{"id": "1", "status": "ongoing", "x": 1}]}, "/steps/0"),
        ({"steps": [{"id": "9", "status": "ongoing"}]}, "/steps"),
        ({"digest": "0" * 64}, "/digest"),
        ({"delivery": "55555555-5555-4555-8555-555555555555"}, "/delivery"),
    ],
)
def test_3_4_5_what_does_not_fit_is_refused_with_its_place(tell, body, pointer):
    with pytest.raises(InvalidMessage) as caught:
        tell(**body)

    assert caught.value.pointer == pointer


def test_3_duplicate_members_are_refused(ci, sent):
    body = b'{"status":"failed","status":"succeeded"}'
    headers = standard_webhooks.headers(standard_webhooks.secrets(SECRET), "m", ci.clock(), body)

    with pytest.raises(Malformed):
        results.record_results(sent.id, body, headers, caller=CALLER, system=ci.eme)


def test_4_a_threat_of_another_organisation_is_not_found(tell):
    with pytest.raises(NotFound):
        tell(caller=token(Right.RESULT, orchestrator="demo", organisation=OTHER_CI))


def test_4_a_delivery_for_another_threat_is_refused(ci, tell):
    other = ci.add()

    with pytest.raises(InvalidMessage):
        tell(threat=other.id)


def test_4_another_orchestrator_s_delivery_is_refused(make, hook):
    both = [orchestrator(hook), orchestrator(hook, name="second")]
    ci = make(folder="two", orchestrators=both)
    threat = ci.add()
    ci.drain()
    body = json.dumps({"delivery": ci.only().key, "digest": ci.only().digest,
                       "status": "failed", "steps": []}).encode()  # fmt: skip
    headers = standard_webhooks.headers(standard_webhooks.secrets(SECRET), "m", ci.clock(), body)

    caller = token(Right.RESULT, orchestrator="second")
    with pytest.raises(InvalidMessage):
        results.record_results(threat.id, body, headers, caller=caller, system=ci.eme)


def test_4_what_never_left_has_no_result(ci, sent, tell):
    waiting = ci.add(lane="orchestrator:demo")

    with pytest.raises(InvalidMessage):
        tell(threat=waiting.id, delivery=ci.deliveries()[1].key, digest=ci.deliveries()[1].digest)


def test_5_a_result_of_what_is_no_longer_decided_is_refused(ci, sent, tell):
    ci.change(sent.id, decision=build.threat().decision)

    with pytest.raises(Conflict):
        tell()
    assert ci.threat(sent.id).execution is Execution.DISPATCHED


def test_the_caller_of_these_tests_belongs_to_the_organisation():
    assert CALLER.organisation == CI
