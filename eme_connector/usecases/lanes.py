"""The threads of one lane: one that leases and records, and up to *width* that send.

What several senders bring back while a transaction runs is recorded together in the next one,
which also leases what comes after: under load a delivery costs a fraction of a commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import structlog

from eme_connector.domain.delivery import SHARE_LANE, Delivery
from eme_connector.errors import DeliveryError
from eme_connector.ports import Channel
from eme_connector.usecases import expand
from eme_connector.usecases.attempt import (
    NO_ANSWER,
    Done,
    Outcome,
    attempt_all,
    batch,
    is_too_late,
    room,
)
from eme_connector.usecases.deliver import turn
from eme_connector.usecases.system import System

log = structlog.get_logger("eme.delivery")

PAUSE_MOST_S = 30.0
STORE_PAUSE_S = 0.25
PARCEL_BYTES = 524_288


class Lane:
    """Drains one lane whenever it is poked; a slow target keeps only its own threads waiting."""

    def __init__(self, channel: Channel, system: System) -> None:
        self._channel = channel
        self._system = system
        self._changed = threading.Condition()
        self._poked = False
        self._stopping = False
        self._out = 0
        self._calls = 0
        self._done: list[Done] = []
        self._turning = False
        self._failures = 0
        self._paused_until = 0.0
        self._jobs: SimpleQueue[list[Delivery] | None] = SimpleQueue()
        self._senders: list[threading.Thread] = []
        self._thread = _thread(self._run, channel.lane)

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is being sent or waits to be recorded."""
        with self._changed:
            return not (self._poked or self._out or self._done or self._turning)

    def use(self, channel: Channel) -> None:
        """Send by *channel* from now on: a peering may have been made anew."""
        self._channel = channel

    def poke(self) -> None:
        """Say that something is due."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Send nothing more; what is being sent is still recorded."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, until: float) -> None:
        """Wait for the end, at most until that monotonic time."""
        self._thread.join(max(0.0, until - time.monotonic()))
        for _ in self._senders:
            self._jobs.put(None)

    def _run(self) -> None:
        while self._wait():
            done = self._collect()
            try:
                leased = turn(
                    self._channel.lane,
                    self._channel,
                    done,
                    self._system,
                    self._system.clock(),
                    most=self._most(),
                )
            except Exception as exc:
                self._not_recorded(done, exc)
                continue
            self._start(leased)
            self._turning = False

    def _wait(self) -> bool:
        """Wait for something to do; False when stopped and nothing is left to record."""
        with self._changed:
            while not (self._done or self._stopping or self._may_lease()):
                left = self._paused_until - time.monotonic()
                # a poke during a pause is kept for its end
                self._changed.wait(left if self._poked and left > 0 else None)
            while self._stopping and self._out and not self._done:
                self._changed.wait()
            return bool(self._done) or not self._stopping

    def _may_lease(self) -> bool:
        return self._poked and time.monotonic() >= self._paused_until

    def _collect(self) -> list[Done]:
        with self._changed:
            done, self._done = self._done, []
            self._out -= len(done)
            self._turning = True
            self._poked = self._poked and time.monotonic() < self._paused_until
            return done

    def _most(self) -> int:
        """Return how many to lease: none while paused, one to try a target that was silent."""
        with self._changed:
            if self._stopping or time.monotonic() < self._paused_until:
                return 0
            return 1 - min(1, self._out) if self._failures else room(self._channel)

    def _not_recorded(self, done: list[Done], exc: Exception) -> None:
        log.warning("deliveries_not_recorded", lane=self._channel.lane, error=type(exc).__name__)
        with self._changed:
            self._done = done + self._done
            self._out += len(done)
            self._poked = True
            stopping = self._stopping
            if stopping:  # the leases run out; nothing is lost
                self._done, self._out = [], 0
        time.sleep(0 if stopping else STORE_PAUSE_S)

    def _start(self, leased: list[Delivery]) -> None:
        for some in _parcels(leased, batch(self._channel)):
            with self._changed:
                self._out += len(some)
                self._calls += 1
                wanted = min(self._calls, self._channel.width)
            if len(self._senders) < wanted:
                self._senders.append(_thread(self._send_all, f"{self._channel.lane}-send"))
            self._jobs.put(some)

    def _send_all(self) -> None:
        while (some := self._jobs.get()) is not None:
            outcomes = self._send(some)
            with self._changed:
                self._calls -= 1
                for outcome in outcomes:
                    self._count(outcome)
                self._done += zip(some, outcomes, strict=True)
                self._changed.notify_all()

    def _send(self, some: list[Delivery]) -> list[Outcome]:
        channel = self._channel
        if self._stopping:
            return [DeliveryError("stopping")] * len(some)
        if any(is_too_late(one, channel, self._system.clock()) for one in some):
            return [DeliveryError("waited-too-long")] * len(some)
        try:
            outcomes = attempt_all(some, channel)
        except Exception as exc:
            log.error("send_failed", lane=channel.lane, error=type(exc).__name__)
            return [DeliveryError("internal-error", maybe_sent=True)] * len(some)
        for one, outcome in zip(some, outcomes, strict=True):
            if isinstance(outcome, DeliveryError):
                log.info("not_delivered", lane=one.lane, delivery=one.key, reason=outcome.reason)
        return outcomes

    def _count(self, outcome: Outcome) -> None:
        if not isinstance(outcome, DeliveryError) or outcome.reason not in NO_ANSWER:
            self._failures = 0
            self._poked = True  # there may be more behind it
            return
        if time.monotonic() < self._paused_until:
            return  # it was sent beside the one that failed: one silence, one pause
        self._failures += 1
        first = self._system.config.delivery.retry_first_s
        pause = min(PAUSE_MOST_S, first * 2.0 ** min(self._failures - 1, 16))
        self._paused_until = time.monotonic() + pause


def _parcels(deliveries: list[Delivery], most: int) -> Iterator[list[Delivery]]:
    """Yield them in calls of at most *most*, and of a size that no receiver minds."""
    some: list[Delivery] = []
    size = 0
    for one in deliveries:
        if some and (len(some) >= most or size + len(one.payload) > PARCEL_BYTES):
            yield some
            some, size = [], 0
        some.append(one)
        size += len(one.payload)
    if some:
        yield some


class ShareLane:
    """Expands shares whenever it is poked; it has no target, so one thread does."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._poked = threading.Event()
        self._busy = False
        self._stopping = False
        self._thread = _thread(self._run, SHARE_LANE)

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is being expanded."""
        return not (self._poked.is_set() or self._busy)

    def poke(self) -> None:
        """Say that something is due."""
        self._poked.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._poked.set()

    def join(self, until: float) -> None:
        """Wait for the end, at most until that monotonic time."""
        self._thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while not self._stopping:
            self._poked.wait()
            self._busy = True
            self._poked.clear()
            try:
                while not self._stopping and expand_some(self._system):
                    pass
            except Exception as exc:
                log.error("shares_not_expanded", error=type(exc).__name__)
                time.sleep(0 if self._stopping else STORE_PAUSE_S)
            self._busy = False


def expand_some(system: System) -> bool:
    """Expand the shares that are due, up to a lease full; say whether there were any."""
    now = system.clock()
    shares = expand.take_shares(system, now)
    if shares:
        expand.expand(shares, system, now)
    return bool(shares)


def _thread(run: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=run, name=f"eme-{name}", daemon=True)
    thread.start()
    return thread
