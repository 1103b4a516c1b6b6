"""Revisions, stops and expiries against leases, at the same time, on both stores."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from eme_connector.domain.delivery import Receipt, State
from eme_connector.usecases import decide, deliver
from tests import build
from tests.build import AT, CI, NOW, person
from tests.delivery.test_worker import Fake
from tests.delivery.world import LANE

MANY = 40


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    return request.param


@pytest.fixture
def ci(make):
    return make()


def _at_once(*works):
    failures = []

    def run(work):
        try:
            work()
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(one,)) for one in works]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert failures == []
    assert not any(one.is_alive() for one in threads)


def _drain_into(sent, sidecar, width=3):
    """Lease, send and record until nothing is due, as a worker does."""

    def run():
        channel = Fake(lambda _: None, width=width)
        idle = 0
        while idle < 20:
            leased = deliver.take(LANE, channel, sidecar.eme, sidecar.clock())
            idle = 0 if leased else idle + 1
            for one in leased:
                sent.append(one)
                deliver.finish(one, Receipt("r"), channel, sidecar.eme, sidecar.clock())
            if not leased:
                time.sleep(0.005)

    return run


def _check(sidecar, sent):
    """A delivery was sent once or withdrawn, never both, never neither."""
    keys = Counter(one.key for one in sent)
    assert set(keys.values()) <= {1}
    for one in sidecar.deliveries():
        expected = State.DELIVERED if one.key in keys else State.WITHDRAWN
        assert one.state is expected, one.reason


def test_dispatch_against_closing(ci):
    threats = [ci.add(group=None) for _ in range(MANY)]
    sent = []

    def close():
        for one in threats:
            decide.close(one.id, "done", caller=person(), store=ci.store, now=ci.clock())

    _at_once(_drain_into(sent, ci), close)

    _check(ci, sent)


def test_dispatch_against_revision(ci):
    threats = [ci.add(group=None) for _ in range(MANY)]
    sent, revised_at = [], {}
    other = build.playbook(build.step(1), build.step(3))

    def revise():
        for one in threats:

            def work(tx, one=one):
                before = tx.find_threat(one.id)
                tx.withdraw(one.id, "dispatch", "digest-changed")
                detection = build.detection(iris_id=one.id, playbooks=(other,))
                anew = build.threat(id=one.id, detection=detection, group=None)
                tx.save_threat(anew, before)

            ci.store.transact(work)
            revised_at[one.id] = len(sent)

    _at_once(_drain_into(sent, ci), revise)

    _check(ci, sent)
    # what was leased after the revision had committed would carry what is no longer decided
    for position, one in enumerate(sent):
        assert position <= revised_at[one.threat_id] + 3


def test_dispatch_against_the_kill_switch(ci):
    for _ in range(MANY):
        ci.add(group=None)
    sent, stopped_at = [], []

    def stop():
        time.sleep(0.02)
        ci.store.transact(lambda tx: tx.set_stop(CI, stopped=True, by="anna", at=AT))
        stopped_at.append(len(sent))

    _at_once(_drain_into(sent, ci, width=1), stop)

    _check(ci, sent)
    assert len(sent) <= stopped_at[0] + 1


def test_dispatch_against_expiry(ci):
    until = datetime.fromtimestamp(NOW + 60, UTC).isoformat()
    for number in range(MANY):
        playbooks = (build.playbook(valid_until=until),)
        ci.add(group=None, detection=build.detection(iris_id=str(number), playbooks=playbooks))
    sent, expired_at = [], []

    def expire():
        time.sleep(0.02)
        ci.clock.tick(61)
        expired_at.append(len(sent))

    _at_once(_drain_into(sent, ci, width=1), expire)

    _check(ci, sent)
    assert len(sent) <= expired_at[0] + 1


def test_two_workers_never_send_the_same(ci, make):
    other = make(folder="second") if ci.store._writer is None else ci
    for _ in range(MANY):
        ci.add(group=None)
    sent = []

    _at_once(_drain_into(sent, ci), _drain_into(sent, other), _drain_into(sent, ci))

    assert len(sent) == MANY
    _check(ci, sent)


def test_the_width_holds_over_all_workers(ci, make):
    """An orchestrator of width 1 never gets two at once, however many workers there are."""
    systems = [ci] * 3 if ci.store._writer else [ci, make(folder="b"), make(folder="c")]
    for _ in range(MANY):
        ci.add(group=None)
    lock, now, most = threading.Lock(), [0], [0]

    def work(sidecar):
        channel = Fake(lambda _: None, width=1)
        end = time.monotonic() + 25
        while time.monotonic() < end:
            leased = deliver.take(LANE, channel, sidecar.eme, sidecar.clock())
            with lock:
                now[0] += len(leased)
                most[0] = max(most[0], now[0])
            for one in leased:
                time.sleep(0.001)
                with lock:
                    now[0] -= 1
                deliver.finish(one, Receipt("r"), channel, sidecar.eme, sidecar.clock())
            if all(one.state is State.DELIVERED for one in sidecar.deliveries()):
                return

    _at_once(*(lambda one=one: work(one) for one in systems))

    assert most[0] == 1
    assert all(one.state is State.DELIVERED for one in ci.deliveries())
