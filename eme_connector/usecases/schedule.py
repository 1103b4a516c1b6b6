"""Do work that repeats, each job in one process at a time, and keep how it went.

A job that fails is tried again when its next turn comes; what it did is its own to keep safe. A
turn is held for a minute and renewed while it lasts, so that another process takes over soon
where this one died.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from eme_connector.domain.schedule import Turn
from eme_connector.errors import Conflict, DeliveryError, EmeError
from eme_connector.ports import Clock, Store, Transaction

log = structlog.get_logger("eme.schedule")

LEASE_S = 60.0
LOOK_S = 1.0
STOP_S = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every `every_s` seconds; `run` returns what people are told about it.

    An EmeError of `run` is a turn that failed.
    """

    name: str
    every_s: float
    run: Callable[[], Mapping[str, Any]]


class Schedule:
    """Runs *jobs* when their time comes."""

    def __init__(self, jobs: Iterable[Job], store: Store, clock: Clock) -> None:
        self._jobs = tuple(jobs)
        self._store, self._clock = store, clock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._running: dict[str, tuple[threading.Thread, Turn]] = {}
        self._next: dict[str, float] = {}

    def start(self) -> None:
        """Begin; what is due runs at once. Without jobs there is nothing to begin."""
        if self._thread is not None or not self._jobs:
            return
        self._stopping.clear()
        self._thread = threading.Thread(target=self._loop, name="eme-schedule", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = STOP_S) -> None:
        """Begin nothing new; what runs is left to end by itself."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(seconds)
            self._thread = None

    def _loop(self) -> None:
        while not self._stopping.wait(LOOK_S / 4):
            try:
                self._look()
            except EmeError as exc:
                log.error("looking_for_jobs_failed", error=type(exc).__name__)

    def _look(self) -> None:
        now = self._clock()
        for job in self._jobs:
            held = self._running.get(job.name)
            if held is not None and held[0].is_alive():
                self._renew(job, *held, now)
            elif now >= self._next.get(job.name, 0.0):
                self._begin(job, now)

    def _begin(self, job: Job, now: float) -> None:
        turn = take(job, self._store, now)
        if turn is None:
            self._next[job.name] = now + LOOK_S
            return
        self._next[job.name] = now + job.every_s
        thread = threading.Thread(
            target=finish, args=(job, turn, self._store, self._clock), name=job.name, daemon=True
        )
        self._running[job.name] = (thread, turn)
        thread.start()

    def _renew(self, job: Job, thread: threading.Thread, turn: Turn, now: float) -> None:
        if _micros(now + LEASE_S / 2) < turn.lease_until:
            return
        renewed = replace(turn, lease_until=_micros(now + LEASE_S))
        if _save(renewed, self._store):
            self._running[job.name] = (thread, renewed)


def take(job: Job, store: Store, now: float, *, early: bool = False) -> Turn | None:
    """Take the job's turn; None while somebody is at it, or before its time unless *early*.

    Raises:
        StoreUnavailable
    """
    at = _micros(now)

    def work(tx: Transaction) -> Turn | None:
        known = tx.find_turn(job.name) or Turn(job.name)
        due = known.started_at + _micros(job.every_s)
        if known.is_held(at) or (at < due and not early):
            return None
        turn = replace(
            known,
            fence=known.fence + 1,
            started_at=at,
            lease_until=at + _micros(LEASE_S),
            state="running",
        )
        tx.save_turn(turn)
        return turn

    return store.transact(work)


def finish(job: Job, turn: Turn, store: Store, clock: Clock) -> Turn:
    """Do the job and keep how it went; return the turn as it ended."""
    ended = _run(job, turn)
    at = _micros(clock())
    ended = replace(ended, ended_at=at, lease_until=0)
    if ended.state == "done":
        ended = replace(ended, succeeded_at=at)
    try:
        _save(ended, store)
    except EmeError as exc:
        log.error("job_not_recorded", job=job.name, error=type(exc).__name__)
    log.info("job_ended", job=job.name, state=ended.state, reason=ended.reason)
    return ended


def run_now(job: Job, store: Store, clock: Clock) -> Turn:
    """Do the job at once, in this thread; return how it went.

    Raises:
        Conflict: somebody is at it.
        StoreUnavailable
    """
    turn = take(job, store, clock(), early=True)
    if turn is None:
        raise Conflict("it is running already; look again in a moment")
    return finish(job, turn, store, clock)


def _run(job: Job, turn: Turn) -> Turn:
    try:
        return replace(turn, state="done", reason="", detail=job.run())
    except DeliveryError as exc:
        return _failed(turn, exc.reason, exc.detail)
    except EmeError as exc:
        return _failed(turn, type(exc).__name__, str(exc))
    except Exception as exc:
        log.exception("job_broke", job=job.name, error=type(exc).__name__)
        return _failed(turn, "broken", type(exc).__name__)


def _failed(turn: Turn, reason: str, said: str) -> Turn:
    return replace(turn, state="failed", reason=reason, detail={**turn.detail, "said": said[:200]})


def _save(turn: Turn, store: Store) -> bool:
    """Keep *turn* unless another process has taken the job since."""

    def work(tx: Transaction) -> bool:
        known = tx.find_turn(turn.job)
        if known is None or known.fence != turn.fence or known.state != "running":
            return False
        tx.save_turn(turn)
        return True

    return store.transact(work)


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
