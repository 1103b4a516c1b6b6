"""What a person may do about a delivery: send it once more, or give it up."""

from __future__ import annotations

import pytest

from eme_connector.domain.delivery import State
from eme_connector.domain.threat import Execution
from eme_connector.errors import Conflict, InvalidInput, NotAllowed, NotFound
from eme_connector.usecases import decide, deliver
from tests import build
from tests.build import OTHER_CI, person, token

OPERATOR = person(role="operator")
ADMIN = person()


@pytest.fixture
def uncertain(ci, hook):
    hook.behave("die")
    threat = ci.add()
    ci.drain()
    ci.clock.tick(100)
    ci.drain()
    return ci.threat(threat.id)


def _retry(sidecar, delivery, caller=OPERATOR):
    return deliver.retry(delivery.id, caller=caller, system=sidecar.eme)


def test_a_retry_is_a_new_delivery_with_a_key_of_its_own(ci, hook, uncertain):
    old = ci.only()

    anew = _retry(ci, old)
    assert ci.threat(uncertain.id).execution is Execution.NONE
    ci.drain()

    assert anew.key != old.key
    assert [one.state for one in ci.deliveries()] == [State.UNCERTAIN, State.DELIVERED]
    assert list(hook.keys) == [old.key, anew.key]
    assert list(hook.keys.values()) == [1, 1]
    assert ci.deliveries()[0].receipt["retried_as"] == anew.key
    assert ci.threat(uncertain.id).execution is Execution.DISPATCHED
    assert "retried" in ci.events(uncertain.id)


def test_it_is_retried_once_only(ci, uncertain):
    old = ci.only()
    _retry(ci, old)

    with pytest.raises(Conflict):
        _retry(ci, old)


def test_what_is_open_or_has_arrived_is_not_retried(ci, hook):
    ci.add()
    with pytest.raises(Conflict):
        _retry(ci, ci.only())
    ci.drain()

    with pytest.raises(Conflict):
        _retry(ci, ci.only())


def test_what_is_no_longer_decided_is_not_retried(ci, uncertain):
    ci.change(uncertain.id, decision=build.threat().decision)

    with pytest.raises(Conflict):
        _retry(ci, ci.only())


def test_a_closed_threat_is_not_retried(ci, uncertain):
    decide.close(uncertain.id, "seen to", caller=ADMIN, store=ci.store, now=ci.clock())

    with pytest.raises(Conflict):
        _retry(ci, ci.only())


def test_to_retry_a_dispatch_is_to_decide(ci, uncertain):
    viewer, machine = person(role="viewer"), token(*OPERATOR.rights)

    for wrong in (viewer, machine):
        with pytest.raises(NotAllowed):
            _retry(ci, ci.only(), wrong)


def test_another_organisation_knows_of_no_such_delivery(ci, uncertain):
    stranger = person(OTHER_CI, "olaf")

    with pytest.raises(NotFound):
        _retry(ci, ci.only(), stranger)
    with pytest.raises(NotFound):
        deliver.drop(ci.only().id, "x", caller=stranger, system=ci.eme)
    with pytest.raises(NotFound):
        deliver.retry(10**6, caller=OPERATOR, system=ci.eme)


def test_a_refused_message_to_a_peer_is_retried_under_a_new_id(pair):
    pair.server.behave("status:422")
    threat = pair.ci.add(share=True, dispatch=False)
    pair.ci.drain()

    _retry(pair.ci, pair.ci.only("peer"))
    pair.ci.drain()

    old, new = pair.ci.deliveries("peer")
    assert (old.state, new.state) == (State.REFUSED, State.DELIVERED)
    assert old.payload == new.payload
    assert pair.cert.threat(threat.id)


def test_dropping_needs_an_administrator_and_a_reason_and_is_written_down(ci, hook):
    threat = ci.add()

    with pytest.raises(NotAllowed):
        deliver.drop(ci.only().id, "why not", caller=OPERATOR, system=ci.eme)
    with pytest.raises(InvalidInput):
        deliver.drop(ci.only().id, "  ", caller=ADMIN, system=ci.eme)
    deliver.drop(ci.only().id, "tested elsewhere", caller=ADMIN, system=ci.eme)
    ci.drain()

    assert hook.posts == []
    assert ci.only().state is State.DROPPED
    (record,) = ci.store.timeline(threat.id)
    assert (record.event, record.by, record.detail["reason"]) == ("dropped", "anna",
                                                                  "tested elsewhere")  # fmt: skip


def test_what_may_have_left_cannot_be_dropped(ci, hook):
    hook.behave("die")
    ci.add()
    ci.drain()

    with pytest.raises(Conflict):
        deliver.drop(ci.only().id, "x", caller=ADMIN, system=ci.eme)


def test_a_dropped_one_holds_up_its_threat_no_longer(pair):
    pair.server.behave("status:500")
    first = pair.ci.add(share=True, dispatch=False)
    pair.ci.drain()
    decide.close(first.id, "done", caller=ADMIN, store=pair.ci.store, now=pair.ci.clock())
    pair.ci.drain()

    deliver.drop(pair.ci.deliveries("peer")[0].id, "x", caller=ADMIN, system=pair.ci.eme)
    pair.ci.drain()

    assert pair.cert.threat(first.id).resolution
