"""The last check and the lease: what changes before the first byte still counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eme_connector.domain import decision as moves
from eme_connector.domain.delivery import Found, Receipt, State
from eme_connector.domain.policy import Context, Setting, judge
from eme_connector.domain.threat import Execution
from eme_connector.errors import DeliveryError
from eme_connector.ports import Owed
from eme_connector.usecases import decide, deliver
from eme_connector.usecases.attempt import is_too_late
from tests import build
from tests.build import AT, CI, NOW, person
from tests.delivery.world import LANE


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    return request.param


def _channel(sidecar):
    return sidecar.eme.channels()[LANE]


def _take(sidecar):
    return deliver.take(LANE, _channel(sidecar), sidecar.eme, sidecar.clock())


def _finish(sidecar, delivery, outcome):
    return deliver.finish(delivery, outcome, _channel(sidecar), sidecar.eme, sidecar.clock())


def _stop(sidecar, threat):
    sidecar.store.transact(lambda tx: tx.set_stop(CI, stopped=True, by="anna", at=AT))


def _close(sidecar, threat):
    sidecar.change(threat.id, resolution=moves.resolve(threat, by="a", at=1, reason="r").resolution)


def _revise(sidecar, threat):
    other = build.detection(
        iris_id=threat.detection.iris_id, playbooks=(build.playbook(build.step(1), build.step(3)),)
    )
    sidecar.change(threat.id, detection=other)


def _other_target(sidecar, threat):
    asset = replace(threat.detection.assets[0], address="10.0.0.8")
    sidecar.change(threat.id, detection=replace(threat.detection, assets=(asset,)))


def _undecide(sidecar, threat):
    sidecar.change(threat.id, decision=moves.Decision())


CHANGES = [(_stop, "stopped"), (_close, "closed"), (_revise, "digest-changed"),
           (_other_target, "digest-changed"), (_undecide, "not-approved")]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_what_may_no_longer_leave_is_withdrawn_at_the_lease(ci, hook, change, reason):
    threat = ci.add()
    change(ci, threat)

    assert _take(ci) == []

    ci.drain()
    assert hook.posts == []
    assert (ci.only().state, ci.only().reason) == (State.WITHDRAWN, reason)
    assert ci.events(threat.id) == ["withdrawn"]
    assert ci.threat(threat.id).execution is Execution.NONE


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_what_has_left_is_not_undone(ci, change, reason):
    threat = ci.add()
    (leased,) = _take(ci)
    change(ci, threat)

    _finish(ci, leased, Receipt("run-1"))

    assert ci.only().state is State.DELIVERED
    assert "dispatched" in ci.events(threat.id)


def test_an_expired_playbook_is_withdrawn_at_the_lease(ci, hook):
    until = datetime.fromtimestamp(NOW + 60, UTC).isoformat()
    detection = build.detection(iris_id="e", playbooks=(build.playbook(valid_until=until),))
    ci.add(detection=detection)

    ci.clock.tick(61)
    ci.drain()

    assert hook.posts == []
    assert ci.only().reason == "expired"


def test_policy_is_asked_anew_at_the_lease(ci, hook):
    _policy(ci, "isolate", "block_service")
    threat = _approved_by_policy(ci)
    _policy(ci, "isolate", version=2)

    ci.drain()

    assert hook.posts == []
    assert ci.only().reason == "policy-changed"
    assert ci.events(threat.id) == ["withdrawn"]


def test_what_policy_still_covers_leaves(ci, hook):
    _policy(ci, "isolate", "block_service")
    _approved_by_policy(ci)

    ci.drain()

    assert len(hook.posts) == 1


def test_the_lease_is_written_down_before_the_first_byte(ci, hook):
    ci.add()

    (leased,) = _take(ci)

    assert hook.posts == []
    stored = ci.only()
    assert stored == leased
    assert (stored.state, stored.fence, stored.attempts) == (State.SENDING, 1, 1)
    assert stored.sent_at == ci.clock()
    assert stored.lease_until > ci.clock() + 2 * _channel(ci).timeout


def test_no_more_than_the_width_are_under_lease(ci):
    for _ in range(6):
        ci.add()

    first = _take(ci)
    assert len(first) == 4
    assert _take(ci) == []
    _finish(ci, first[0], Receipt())

    assert len(_take(ci)) == 1


def test_one_that_waits_holds_up_its_own_threat_only(ci):
    threat = ci.add()
    ci.store.transact(lambda tx: tx.owe(_second(threat)))
    other = ci.add()

    assert [one.threat_id for one in _take(ci)] == [threat.id, other.id]
    assert _take(ci) == []


def test_a_lease_that_ran_out_is_asked_about_where_repeats_are_not_safe(asking, hook):
    asking.add()
    (lost,) = _take(asking)

    asking.clock.tick(60)
    (again,) = _take(asking)

    assert (again.key, again.asking, again.reason) == (lost.key, True, "crashed")
    asking.drain()
    assert hook.posts == []


def test_a_lease_that_ran_out_is_sent_again_where_repeats_are_safe(safe, hook):
    safe.add()
    (lost,) = _take(safe)

    safe.clock.tick(60)
    safe.drain()

    assert hook.acted == [lost.key]
    assert safe.only().state is State.DELIVERED


def test_after_a_crash_what_may_no_longer_leave_is_withdrawn_even_where_repeats_are_safe(safe):
    threat = safe.add()
    _take(safe)
    _revise(safe, threat)

    safe.clock.tick(60)
    safe.drain()

    assert safe.only().state is State.WITHDRAWN
    (withdrawn,) = safe.store.timeline(threat.id)
    assert withdrawn.detail["maybe_sent"] is True


def test_a_restart_does_not_ask_before_the_send_could_have_ended(asking, hook):
    asking.add()
    _take(asking)
    asking.store.void_leases()

    asking.drain()
    assert hook.asked == []
    asking.clock.tick(60)  # longer than a lease: on PostgreSQL a start voids none
    asking.drain()

    assert len(hook.asked) == 1


def test_finishing_with_an_old_fence_changes_nothing(ci):
    threat = ci.add()
    (old,) = _take(ci)
    ci.clock.tick(60)
    (new,) = _take(ci)
    assert (old.fence, new.fence) == (1, 2)

    assert _finish(ci, old, DeliveryError("http-400", permanent=True)) is None
    assert ci.only() == new
    assert ci.events(threat.id) == []
    _finish(ci, new, Found(Receipt("run-7")))

    assert ci.only().state is State.DELIVERED


def test_a_send_that_would_outlive_its_lease_is_not_begun(ci):
    ci.add()
    (leased,) = _take(ci)
    channel = _channel(ci)

    assert not is_too_late(leased, channel, ci.clock() + channel.timeout)
    assert is_too_late(leased, channel, leased.lease_until - channel.timeout)


def test_a_revision_does_not_withdraw_what_may_have_arrived(asking, hook):
    hook.behave("die")
    threat = asking.add()
    asking.drain()

    decide.close(threat.id, "done", caller=person(), store=asking.store, now=asking.clock())
    asking.clock.tick(3)
    asking.drain()

    assert asking.only().state is State.DELIVERED


def test_a_withdrawn_one_is_not_sent_by_a_worker_that_had_looked_before(ci, hook):
    threat = ci.add()
    (leased,) = _take(ci)
    _finish(ci, leased, DeliveryError("unreachable"))
    decide.close(threat.id, "done", caller=person(), store=ci.store, now=ci.clock())

    ci.clock.tick(60)
    ci.drain()

    assert hook.posts == []
    assert ci.only().state is State.WITHDRAWN


def _policy(sidecar, *actions, version=1):
    setting = Setting(CI, CI, frozenset(actions), version=version)
    sidecar.store.transact(lambda tx: tx.save_policy_setting(setting))


def _approved_by_policy(sidecar):
    settings = sidecar.store.policy_settings_of(CI)
    detection = build.detection(iris_id="p")
    verdict = judge(detection, settings, Context(), now=datetime.fromtimestamp(NOW, UTC),
                    step_order="start-first")  # fmt: skip
    assert verdict.approves
    decided = moves.approve_by_policy(build.threat(detection=detection), verdict, at=AT)
    return sidecar.add(detection=detection, decision=decided.decision, dispatch="as-is")


def _second(threat):
    return Owed(
        LANE,
        "dispatch",
        threat.id,
        CI,
        threat.sequence,
        digest=threat.decision.dispatch_digest,
    )
