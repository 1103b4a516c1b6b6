"""The worker under real time and real threads."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from eme_connector.domain.delivery import Receipt, State, Unknown
from eme_connector.domain.threat import Execution
from eme_connector.errors import DeliveryError, StoreUnavailable
from eme_connector.usecases import work
from eme_connector.usecases.lanes import Lane
from eme_connector.usecases.work import Pace
from tests.delivery.world import LANE, Sidecar, orchestrator
from tests.doubles.orchestrator import Orchestrator

SECOND = "orchestrator:second"
FAST = {"settle_s": 0.4, "retry_first_s": 0.05, "retry_most_s": 0.2, "give_up_s": 3600}


class Fake:
    """A channel in this process; `send` is given."""

    def __init__(self, send, lane=LANE, width=4, repeat="safe", timeout=5.0):
        self.lane, self.width, self.repeat, self.timeout = lane, width, repeat, timeout
        self._send = send

    def send(self, delivery):
        return self._send(delivery) or Receipt("r")

    def look_up(self, delivery):
        return Unknown("no-look-up")

    def ping(self):
        return

    def close(self):
        return


@pytest.fixture
def real(tmp_path, hook):
    """A sidecar in real time with two orchestrators; the second is closed at the end."""
    second = Orchestrator()
    sections = [orchestrator(hook, timeout_s=60), orchestrator(second, name="second")]
    made = Sidecar(tmp_path, clock=time.time, orchestrators=sections, delivery=FAST)
    made.second = second
    yield made
    hook.release.set()
    second.close()
    made.close()


@pytest.fixture
def faked(tmp_path, monkeypatch):
    """A sidecar in real time whose channels are fakes, by lane."""
    made = Sidecar(tmp_path, clock=time.time, delivery=FAST)
    made.channels = {}
    monkeypatch.setattr(type(made.eme), "channels", lambda _: made.channels)
    yield made
    made.close()


def _add(sidecar, count=1, lane=LANE):
    return [sidecar.add(lane=lane, group=None) for _ in range(count)]


def _states(sidecar, lane=LANE):
    return [one.state for one in sidecar.deliveries() if one.lane == lane]


def _until(holds, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.005)
    return holds()


def test_what_is_owed_after_the_start_does_not_wait_for_the_next_look(real, hook, monkeypatch):
    monkeypatch.setattr(work, "POLL_S", 60.0)
    real.worker.start()
    time.sleep(0.1)

    _add(real)

    assert _until(lambda: hook.posts)
    assert real.drain()
    assert _states(real) == [State.DELIVERED]


def test_what_was_owed_before_the_start_leaves_too(real, hook):
    _add(real, 10)

    real.worker.start()

    assert real.drain(until=lambda: set(_states(real)) == {State.DELIVERED})


@pytest.mark.parametrize("how", ["hang", "down"])
def test_a_dead_target_never_delays_another(real, hook, how):
    if how == "hang":
        hook.behave(*["hang"] * 100)
    else:
        hook.close()
    _add(real, 20)
    real.worker.start()
    time.sleep(0.3)

    _add(real, 20, SECOND)

    assert _until(lambda: _states(real, SECOND) == [State.DELIVERED] * 20)
    assert State.DELIVERED not in _states(real)


def test_a_silent_target_is_tried_with_single_sends(faked):
    tried = []

    def send(delivery):
        tried.append((time.monotonic(), delivery.key))
        raise DeliveryError("unreachable")

    faked.channels[LANE] = Fake(send)
    _add(faked, 50)
    faked.worker.start()

    assert _until(lambda: len(tried) >= 8)

    singles = pairwise(began for began, _ in tried[4:8])  # after four at once
    pauses = [later - began for began, later in singles]
    assert all(pause > least for pause, least in zip(pauses, [0.1, 0.2, 0.4], strict=True))
    assert set(_states(faked)) <= {State.OWED, State.SENDING}


def test_a_target_that_comes_back_gets_everything(faked):
    down = threading.Event()
    down.set()

    def send(_):
        if down.is_set():
            raise DeliveryError("unreachable")

    faked.channels[LANE] = Fake(send)
    _add(faked, 30)
    faked.worker.start()
    time.sleep(0.2)

    down.clear()

    assert faked.drain(until=lambda: set(_states(faked)) == {State.DELIVERED})


@pytest.mark.parametrize("width", [1, 3])
def test_no_more_than_the_width_are_sent_at_once(faked, width):
    lock, now, most, full = threading.Lock(), [0], [0], threading.Event()

    def send(_):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == width:
                full.set()
        full.wait(5)
        time.sleep(0.01)
        with lock:
            now[0] -= 1

    faked.channels[LANE] = Fake(send, width=width)
    _add(faked, 20)
    faked.worker.start()

    assert faked.drain(until=lambda: set(_states(faked)) == {State.DELIVERED})
    assert most[0] == width


def test_every_key_is_sent_once(faked):
    sent = []
    faked.channels[LANE] = Fake(lambda one: sent.append(one.key), width=8)
    faked.worker.start()

    for _ in range(5):
        _add(faked, 20)

    assert faked.drain(until=lambda: _states(faked).count(State.DELIVERED) == 100)
    assert len(sent) == len(set(sent)) == 100


def test_an_error_of_our_own_may_have_come_after_sending(faked):
    sent = []

    def send(delivery):
        sent.append(delivery.key)
        raise ValueError("a secret thing")

    faked.channels[LANE] = Fake(send, repeat="look_first", timeout=0.1)
    (threat,) = _add(faked)
    faked.worker.start()

    assert faked.drain(until=lambda: _states(faked) == [State.UNCERTAIN])
    assert faked.only().reason == "no-look-up"
    assert len(sent) == 1
    assert faked.threat(threat.id).execution is Execution.UNCERTAIN


def test_an_outage_of_the_store_loses_nothing_and_sends_nothing_twice(faked, monkeypatch):
    sent, fail = [], threading.Event()
    faked.channels[LANE] = Fake(lambda one: sent.append(one.key) or fail.set())
    real = faked.store.transact

    def transact(work):
        if fail.is_set() and len(failures) < 5:
            failures.append(1)
            raise StoreUnavailable("gone")
        return real(work)

    failures = []
    _add(faked)
    monkeypatch.setattr(faked.store, "transact", transact)
    monkeypatch.setattr("eme_connector.usecases.lanes.STORE_PAUSE_S", 0.01)
    faked.worker.start()

    assert faked.drain(until=lambda: _states(faked) == [State.DELIVERED])
    assert len(failures) == 5
    assert len(sent) == 1


def test_stopping_finishes_what_is_in_flight(faked, monkeypatch):
    begun, stopped, stop = threading.Event(), threading.Event(), Lane.stop

    def send(_):
        begun.set()
        assert stopped.wait(10)
        time.sleep(0.1)

    monkeypatch.setattr(Lane, "stop", lambda self: stop(self) or stopped.set())
    faked.channels[LANE] = Fake(send, width=1)
    _add(faked, 5)
    faked.worker.start()
    assert begun.wait(20)

    faked.worker.stop(20)

    assert _states(faked).count(State.DELIVERED) == 1
    assert set(_states(faked)) <= {State.DELIVERED, State.OWED}


def test_stopping_ends_in_time_even_when_a_target_hangs(real, hook):
    hook.behave("hang")
    _add(real)
    real.worker.start()
    assert _until(lambda: hook.posts)
    began = time.monotonic()

    real.worker.stop(0.5)

    assert time.monotonic() - began < 10  # it hangs for thirty
    assert _states(real) == [State.SENDING]


def test_a_worker_can_be_started_again(faked):
    faked.channels[LANE] = Fake(lambda _: None)
    faked.worker.start()
    _add(faked)
    assert faked.drain(until=lambda: _states(faked) == [State.DELIVERED])
    faked.worker.stop()
    _add(faked)

    faked.worker.start()
    faked.worker.start()

    assert faked.drain(until=lambda: _states(faked) == [State.DELIVERED] * 2)


def test_a_lane_that_appears_later_is_drained(faked):
    faked.worker.start()
    _add(faked)
    time.sleep(0.1)

    faked.channels[LANE] = Fake(lambda _: None)

    assert faked.drain(until=lambda: _states(faked) == [State.DELIVERED])


def test_shares_are_expanded_by_the_worker(real):
    threat = real.add(share=True, dispatch=False)
    real.worker.start()

    assert real.drain(until=lambda: real.deliveries("peer") != [])
    assert real.threat(threat.id).group_sent


def test_many_are_leased_and_recorded_in_few_transactions(real, hook, monkeypatch):
    _add(real, 400)
    works, transact = [], real.store.transact
    monkeypatch.setattr(real.store, "transact", lambda one: works.append(one) or transact(one))
    real.worker.start()

    assert real.drain(
        until=lambda: real.store.delivery_counts() == {(LANE, State.DELIVERED): 400}, timeout=30
    )
    assert len(hook.posts) == 400
    assert len(works) < 400  # one each to lease and to record would be 800


def test_a_few_looks_follow_each_other_at_once_and_then_in_even_steps():
    pace, now, rests = Pace(), 100.0, []
    for _ in range(7):
        rests.append(pace.rest(now, now + 0.0001))
        now += 0.0001 + rests[-1]
    assert rests[:4] == [0, 0, 0, 0]
    assert rests[4:] == pytest.approx([0.0045, 0.0049, 0.0049])

    assert pace.rest(now + 1, now + 1.0001) == 0


def test_looking_takes_a_tenth_of_the_time():
    pace, now = Pace(), 100.0
    for _ in range(20):
        now += 0.01
        now += pace.rest(now - 0.01, now)
    assert now - 100.0 == pytest.approx(20 * 0.1, abs=0.03)


def test_a_look_that_took_long_does_not_keep_the_next_for_long():
    pace = Pace()
    assert pace.rest(100.0, 103.0) == pytest.approx(0.2)
    assert pace.rest(104.0, 104.0001) == 0
