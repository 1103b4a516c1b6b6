"""The worker: drains every lane, so that no target ever waits for another.

Each lane has threads of its own, as many as its channel is wide and only once they are needed;
together they are never more than the widths of all channels. A target that gives no answer is
tried with single deliveries after growing pauses, up to half a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from eme_connector.domain.delivery import SHARE_LANE
from eme_connector.ports import Channel
from eme_connector.usecases.attempt import attempt
from eme_connector.usecases.deliver import finish, note_absent_channel, take
from eme_connector.usecases.lanes import Lane, ShareLane, expand_some
from eme_connector.usecases.system import System

log = structlog.get_logger("eme.delivery")

POLL_S = 0.5
LEAST_POLL_S = 0.02
LEAST_PAY_S = 0.005
AT_ONCE_S = 0.02
LONGEST_REST_S = 0.2
STOP_S = 2.0
ABSENT_S = 60.0
QUIET_S = 0.15


class Pace:
    """How often to look: many commits make one look, and looking takes a tenth of the time.

    A look that took long, as while a machine is busy with others, does not keep the next for long.
    After a rest a few looks may follow each other at once: what was shared becomes deliveries to
    members, and what a receiver answered becomes the next delivery.
    """

    def __init__(self) -> None:
        self._paid_until = 0.0

    def rest(self, began: float, ended: float) -> float:
        """Return how long to rest after a look, in seconds."""
        cost = max(LEAST_PAY_S, 10 * (ended - began))
        paid_until = max(self._paid_until, began) + cost
        self._paid_until = min(paid_until, ended + AT_ONCE_S + LONGEST_REST_S)
        return max(0.0, self._paid_until - AT_ONCE_S - ended)


class Worker:
    """Drains the lanes of one system in daemon threads."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lanes: dict[str, Lane | ShareLane] = {}
        self._absent: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._unsubscribe: Callable[[], None] = _nothing

    def start(self) -> None:
        """Begin; what is already due is taken at once."""
        if self._thread is not None:
            return
        self._stopping.clear()
        self._unsubscribe = self._system.store.subscribe(self._hear)
        self._wake.set()
        self._thread = threading.Thread(target=self._run, name="eme-worker", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = STOP_S) -> None:
        """End within *seconds*; what is being sent is finished and recorded if it is quick.

        What is not stays under its lease: the next worker finds it and asks or sends again.
        """
        if self._thread is None:
            return
        until = time.monotonic() + seconds
        self._unsubscribe()
        self._stopping.set()
        self._wake.set()
        self._thread.join(max(0.0, until - time.monotonic()))
        for lane in self._lanes.values():
            lane.stop()
        for lane in self._lanes.values():
            lane.join(until)
        self._lanes.clear()
        self._thread = None

    def drain(self, until: Callable[[], bool] | None = None, *, timeout: float = 10.0) -> bool:
        """Deliver until *until* holds, or until nothing is due; say whether that was reached.

        Without start() it all happens in the calling thread, in a fixed order.
        """
        end = quiet = time.monotonic() + timeout
        while time.monotonic() < end:
            if until is not None and until():
                return True
            if self._thread is None and self._step():
                continue
            if until is None and (self._thread is None or time.monotonic() > quiet + QUIET_S):
                return True
            quiet = min(quiet, time.monotonic()) if self._is_idle() else end
            time.sleep(0.005)
        return until is not None and until()

    def _hear(self, touched: frozenset[str]) -> None:
        if "delivery" in touched:
            self._wake.set()

    def _run(self) -> None:
        pause, pace = 0.0, Pace()
        while not self._stopping.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            began = time.monotonic()
            try:
                pause = self._look()
            except Exception as exc:
                log.error("looking_for_work_failed", error=type(exc).__name__)
                pause = POLL_S
            self._stopping.wait(pace.rest(began, time.monotonic()))

    def _look(self) -> float:
        """Poke every lane that has something due; return how long to wait at most."""
        now = self._system.clock()
        busy, next_at = self._system.store.busy_lanes(now)
        channels = self._system.channels() if busy else {}
        for name in busy:
            lane = self._lane(name, channels, now)
            if lane is not None:
                lane.poke()
        return POLL_S if next_at is None else min(POLL_S, max(LEAST_POLL_S, next_at - now))

    def _lane(
        self, name: str, channels: Mapping[str, Channel], now: float
    ) -> Lane | ShareLane | None:
        if name == SHARE_LANE:
            return self._share_lane()
        channel = channels.get(name)
        if channel is None:
            self._note_absent(name, now)
            return None
        lane = self._lanes.get(name)
        if isinstance(lane, Lane):
            lane.use(channel)
            return lane
        made = self._lanes[name] = Lane(channel, self._system)
        return made

    def _share_lane(self) -> Lane | ShareLane:
        if SHARE_LANE not in self._lanes:
            self._lanes[SHARE_LANE] = ShareLane(self._system)
        return self._lanes[SHARE_LANE]

    def _note_absent(self, name: str, now: float) -> None:
        if now >= self._absent.get(name, 0.0):
            self._absent[name] = now + ABSENT_S
            note_absent_channel(name, self._system, now)

    def _is_idle(self) -> bool:
        # what is due but held up by its own threat's earlier state does not count as work
        return not self._wake.is_set() and all(one.is_idle for one in list(self._lanes.values()))

    def _step(self) -> bool:
        """Take one round over the lanes in this thread; say whether anything was done."""
        busy, _ = self._system.store.busy_lanes(self._system.clock())
        channels = self._system.channels() if busy else {}
        return any([self._step_lane(name, channels) for name in sorted(busy)])

    def _step_lane(self, name: str, channels: Mapping[str, Channel]) -> bool:
        now = self._system.clock()
        if name == SHARE_LANE:
            return expand_some(self._system)
        channel = channels.get(name)
        if channel is None:
            self._note_absent(name, now)
            return False
        leased = take(name, channel, self._system, now)
        for one in leased:
            finish(one, attempt(one, channel), channel, self._system, self._system.clock())
        return bool(leased)


def _nothing() -> None:
    return None
