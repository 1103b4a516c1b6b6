"""(a) durable accepts a second beside Flask hello, (b) their p99 at half that rate, open loop.

Rounds take turns: floor, accept (deliveries left to others), open loop at half the rate that was
just found, accept with 1 ms more for each flush, and accept while confirming deliveries to a sink,
without and with that 1 ms. At the end, what is stored is compared with what was acknowledged.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import openloop, wrk
from bench.machine import slow_disk
from bench.openloop import Waited
from bench.world import counted, hello, hold_deliveries, new_world, program, started
from eme_connector.demo.processes import free_port
from eme_connector.demo.world import World

DRAIN_MOST_S = 120.0
_SLOW = (
    "accept_slow_fsync_per_s",
    "accept_slow_fsync_ratio",
    "accept_draining_slow_fsync_per_s",
    "accept_draining_slow_fsync_ratio",
    "accept_draining_slow_fsync_confirmed_per_s",
)


@dataclass
class Variant:
    """One way to run the sidecar, and what its rounds came to."""

    world: World
    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    confirmed: list[float] = field(default_factory=list)
    drained_s: list[float] = field(default_factory=list)
    acknowledged: int = 0
    refused: int = 0

    def post(self, seconds: int, floor: float) -> None:
        """Load it once."""
        before = counted(self.world)["delivered"]
        load = wrk.post(self.world.ports["ci"], self.world.tokens[self.world.ci], seconds)
        self.confirmed.append((counted(self.world)["delivered"] - before) / seconds)
        self.rates.append(load.rate)
        self.ratios.append(load.rate / floor)
        self.p99.append(load.p99_ms)
        self.acknowledged += load.acknowledged
        self.refused += load.refused

    def post_at_half(self, seconds: int) -> Waited:
        """Offer half of what it has just taken, open loop."""
        rate = self.rates[-1] / 2
        half = openloop.post(
            self.world.ports["ci"], self.world.tokens[self.world.ci], rate, seconds
        )
        self.acknowledged += len(half.ms) - half.refused
        return half

    @property
    def lost(self) -> int:
        """How many acknowledged detections are not there."""
        return max(0, self.acknowledged - counted(self.world)["threats"])


def run(folder: Path, *, rounds: int, seconds: int) -> dict[str, Any]:
    """Return the figures of (a) and (b)."""
    slow = slow_disk(folder)
    with ExitStack() as stack:
        floor_port = stack.enter_context(hello())
        sink = free_port()
        stack.enter_context(program("-m", "bench.sink", str(sink)))
        held = [_start(stack, folder / "paused", hold_deliveries)]
        sent = [_start(stack, folder / "draining", lambda tree: _to_sink(tree, sink))]
        if slow:
            held.append(_start(stack, folder / "slow", hold_deliveries, slow))
            sent.append(_start(stack, folder / "slow-draining", lambda t: _to_sink(t, sink), slow))
        floors: list[float] = []
        halves: list[Waited] = []
        for _ in range(rounds):
            floors.append(wrk.post(floor_port, "none", seconds).rate)
            held[0].post(seconds, floors[-1])
            halves.append(held[0].post_at_half(seconds))
            for one in held[1:]:
                one.post(seconds, floors[-1])
            for one in sent:
                one.post(seconds, floors[-1])
                one.drained_s.append(_drain(one.world))
        found = _table(floors, held[0], sent[0]) | _slow_table(held, sent) | _half_table(halves)
        found["accept_lost"] = sum(one.lost for one in (*held, *sent))
    return found


def _start(
    stack: ExitStack, folder: Path, change: Any, env: dict[str, str] | None = None
) -> Variant:
    world = new_world(folder, change)
    stack.enter_context(started(world, "ci", env=env))
    return Variant(world)


def _to_sink(tree: dict[str, Any], port: int) -> None:
    """Dispatch to the sink; the group has no other member, so a share ends at once."""
    orchestrator = tree["orchestrators"][0]
    orchestrator["url"] = f"http://127.0.0.1:{port}/playbooks"
    del orchestrator["look_up_url"]
    orchestrator["width"] = 16
    tree["sharing_groups"][0]["members"] = [tree["instance"]["organisation"]]


def _drain(world: World) -> float:
    """Wait until nothing is owed any more; return the seconds, or the most that we wait."""
    began = time.monotonic()
    while counted(world)["open"] and time.monotonic() - began < DRAIN_MOST_S:
        time.sleep(0.1)
    return time.monotonic() - began


def _table(floors: list[float], paused: Variant, draining: Variant) -> dict[str, Any]:
    rows = counted(draining.world)
    return {
        "accept_floor_per_s": round(statistics.median(floors)),
        "accept_per_s": round(statistics.median(paused.rates)),
        "accept_worst_per_s": round(min(paused.rates)),
        "accept_floor_ratio": _median(paused.ratios),
        "accept_worst_p99_ms": round(max(paused.p99), 1),
        "accept_draining_per_s": round(statistics.median(draining.rates)),
        "accept_draining_ratio": _median(draining.ratios),
        "accept_draining_confirmed_per_s": round(statistics.median(draining.confirmed)),
        "accept_draining_backlog_s": round(max(draining.drained_s), 1),
        "accept_draining_backlog_goal_s": round(rows["threats"] / len(floors) / 300, 1),
        "accept_draining_left": rows["open"],
        "accept_acknowledged": paused.acknowledged + draining.acknowledged,
        "accept_refused": paused.refused + draining.refused,
        "accept_load_average": round(os.getloadavg()[0], 2),
    }


def _half_table(halves: list[Waited]) -> dict[str, Any]:
    p99 = [one.percentile(99) for one in halves]
    return {
        "accept_p99_ms": round(statistics.median(p99), 2),
        "accept_p99_worst_ms": max(p99),
        "accept_p99s_ms": p99,
        "accept_p50_ms": round(statistics.median(one.percentile(50) for one in halves), 2),
        "accept_p99_offered": sum(len(one.ms) for one in halves),
        "accept_p99_refused": sum(one.refused for one in halves),
    }


def _slow_table(held: list[Variant], sent: list[Variant]) -> dict[str, Any]:
    """Return the figures with 1 ms more a flush; null where it cannot be slowed down."""
    found: dict[str, Any] = dict.fromkeys(_SLOW)
    if len(held) > 1:
        found |= {
            "accept_slow_fsync_per_s": round(statistics.median(held[1].rates)),
            "accept_slow_fsync_ratio": _beside(held[1], held[0]),
            "accept_draining_slow_fsync_per_s": round(statistics.median(sent[1].rates)),
            "accept_draining_slow_fsync_ratio": _beside(sent[1], sent[0]),
            "accept_draining_slow_fsync_confirmed_per_s": round(
                statistics.median(sent[1].confirmed)
            ),
        }
    return found


def _beside(one: Variant, other: Variant) -> float:
    return _median([a / b for a, b in zip(one.rates, other.rates, strict=True)])


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)
