"""Work that repeats: one process at a time, and what is kept of it."""

from __future__ import annotations

import threading
import time

import pytest

from eme_connector.adapters.database import open_store
from eme_connector.errors import Conflict, DeliveryError
from eme_connector.usecases.schedule import LEASE_S, Job, Schedule, finish, run_now, take
from tests import ready


@pytest.fixture
def store(tmp_path):
    found = open_store(ready.sqlite(tmp_path / "eme.db"))
    yield found
    found.close()


def job(run=lambda: {"seen": 1}, every_s=60.0):
    return Job("read", every_s, run)


def test_a_turn_is_taken_once_until_it_is_due_again(store):
    assert finish(job(), take(job(), store, 1000.0), store, lambda: 1001.0).state == "done"

    assert take(job(), store, 1030.0) is None
    assert take(job(), store, 1030.0, early=True).fence == 2


def test_what_somebody_else_is_at_is_not_taken_until_their_lease_ends(store):
    assert take(job(every_s=5), store, 1000.0) is not None

    assert take(job(every_s=5), store, 1000.0 + LEASE_S - 1, early=True) is None
    assert take(job(every_s=5), store, 1000.0 + LEASE_S + 1) is not None


def test_who_comes_too_late_records_nothing(store):
    late = take(job(every_s=5), store, 1000.0)
    current = take(job(every_s=5), store, 1000.0 + LEASE_S + 1)

    finish(job(), late, store, lambda: 1100.0)

    assert store.turns()[0].state == "running"
    assert store.turns()[0].fence == current.fence


def test_a_failure_keeps_its_reason_and_when_it_last_worked(store):
    run_now(job(), store, lambda: 1000.0)

    def down():
        raise DeliveryError("unreachable", "no address")

    ended = run_now(job(down), store, lambda: 2000.0)

    assert (ended.state, ended.reason, ended.succeeded_at) == ("failed", "unreachable", 10**9)
    assert ended.detail == {"seen": 1, "said": "no address"}
    assert store.turns() == (ended,)


def test_a_broken_job_is_a_failure_and_the_next_turn_comes(store):
    ended = run_now(job(lambda: {}["x"]), store, lambda: 1000.0)

    assert (ended.state, ended.reason) == ("failed", "broken")
    assert run_now(job(), store, lambda: 1061.0).state == "done"


def test_running_it_by_hand_while_it_runs_is_refused(store):
    take(job(), store, 1000.0)

    with pytest.raises(Conflict):
        run_now(job(), store, lambda: 1001.0)


def test_the_schedule_runs_jobs_beside_each_other_and_again(store):
    begun, held, ran = threading.Event(), threading.Event(), []

    def quick():
        ran.append(time.monotonic())
        return {}

    def slow():
        begun.set()
        held.wait(60)
        return {}

    schedule = Schedule([Job("slow", 60, slow), Job("quick", 0.1, quick)], store, time.time)
    schedule.start()
    try:
        assert begun.wait(20)
        until = time.monotonic() + 20
        while len(ran) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        states = {one.job: one.state for one in store.turns()}
    finally:
        held.set()
        schedule.stop()

    assert len(ran) >= 2
    assert states["slow"] == "running"


def test_a_restart_on_sqlite_takes_over_at_once(store):
    take(job(every_s=5), store, 1000.0)

    store.void_leases()

    assert take(job(every_s=5), store, 1006.0) is not None
