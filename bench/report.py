"""The figures with what is asked of them, for a terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure has to reach: at least or at most a value, or that of another figure."""

    key: str
    what: str
    at_least: float | None = None
    at_most: float | None = None
    other: str = ""

    def words(self, found: dict[str, Any]) -> str:
        """Return the goal in words."""
        if self.other:
            return f"≤ {found.get(self.other)}"
        return f"≥ {self.at_least}" if self.at_least is not None else f"≤ {self.at_most}"

    def is_met(self, found: dict[str, Any]) -> bool | None:
        """Say whether it is; None where there is no figure."""
        value = found.get(self.key)
        if value is None:
            return None
        if self.other:
            limit = found.get(self.other)
            return None if limit is None else value <= limit
        if self.at_least is not None:
            return bool(value >= self.at_least)
        return bool(value <= (self.at_most or 0))


GOALS = (
    Goal("accept_floor_ratio", "durable accepts beside Flask hello", at_least=0.25),
    Goal("accept_draining_ratio", "the same while confirming deliveries", at_least=0.12),
    Goal("accept_draining_confirmed_per_s", "deliveries confirmed a second meanwhile",
         at_least=200),
    Goal("accept_draining_backlog_s", "seconds until the backlog is empty",
         other="accept_draining_backlog_goal_s"),
    Goal("accept_slow_fsync_ratio", "accepts with 1 ms more a flush, beside those without",
         at_least=0.7),
    Goal("accept_p99_ms", "p99 of an accept, open loop at half rate", at_most=15),
    Goal("accept_lost", "acknowledged and not stored", at_most=0),
    Goal("visible_p50_ms", "POST → visible at the CERT, p50", at_most=50),
    Goal("visible_p99_ms", "POST → visible at the CERT, p99", at_most=140),
    Goal("dispatch_p95_ms", "detection → automatic dispatch, p95", at_most=300),
    Goal("streams_post_p99_ratio", "p99 of an accept with 200 open streams, beside without",
         at_most=2),
    Goal("streams_event_worst_s", "seconds until the last of 200 streams has an event, worst",
         at_most=1),
    Goal("streams_wrong", "streams that missed an event of theirs, or saw another's", at_most=0),
    Goal("aggregate_store_ms", "charts at the store", at_most=1),
    Goal("list_store_p95_ms", "lists at the store, p95", at_most=5),
    Goal("pg_aggregate_store_ms", "charts at the store, PostgreSQL", at_most=1),
    Goal("pg_list_store_p95_ms", "lists at the store, PostgreSQL, p95", at_most=5),
    Goal("list_http_p95_ms", "lists over HTTP beside accepts, p95", at_most=25),
    Goal("accept_beside_lists_ratio", "accepts with lists beside them", at_least=0.9),
    Goal("accept_beside_lists_ratio_slow_fsync", "the same with 1 ms more a flush", at_least=0.9),
    Goal("postgres_ratio", "PostgreSQL, 16 threads, 1 ms more a flush, beside psycopg alone",
         at_least=0.5),
    Goal("mapping_ratio", "time of our mapping beside misp-stix's", at_most=6),
    Goal("ready_s", "seconds from start to ready", at_most=1.5),
    Goal("pss_idle_mb", "memory when idle (PSS, MB)", at_most=120),
    Goal("pss_hostile_more_mb", "what hostile input, 16 at once, adds to it (MB)", at_most=64),
)  # fmt: skip
_MARK: dict[bool | None, str] = {True: "met", False: "**missed**", None: "not measured"}


def lines(found: dict[str, Any]) -> list[str]:
    """Return every figure, then each goal with whether it is met."""
    return [
        *(f"{key:34} {value}" for key, value in found.items()),
        "",
        *_rows(found, lambda g, v, w, m: f"{m.strip('*'):13} {g.key:34} {v} ({w})"),
    ]


def page(found: dict[str, Any]) -> str:
    """Return docs/benchmarks.md."""
    goals = _rows(found, lambda g, v, w, m: f"| {g.what} | `{g.key}` | {v} | {w} | {m} |")
    by_size = [key.removesuffix("_100k") for key in found if key.endswith("_100k")]
    sizes = [
        f"| `{key}` | {_cell(found[f'{key}_100k'])} | {_cell(found.get(f'{key}_1m'))} |"
        for key in by_size
    ]
    twice = {f"{key}{end}" for key in by_size for end in ("", "_100k", "_1m")}
    rest = [
        f"| `{key}` | {_cell(value)} |"
        for key, value in found.items()
        if key not in _HEAD and key not in twice
    ]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Made by `make bench` (`python -m bench --write-docs`), on",
            f"{found['machine']}, commit {found['commit']}; one fdatasync of 4 KiB took",
            f"{found['fdatasync_us']} µs, load average at the start {found['load_average']}.",
            "Ratios are medians of rounds that took turns with their floor in the same run:",
            "compare ratios, not absolute figures. The load generator shares the cores with",
            "what it loads. Milliseconds depend on how fast the machine is just then:",
            "`…_machine_loop_ms` is what one loop of Python took before and after a case. Charts,",
            "lists at the store and the p99 of an accept are medians of turns between the others.",
            "",
            "| what | key | figure | goal | |",
            "|---|---|---|---|---|",
            *goals,
            "",
            "What is missed stands here so that it is not forgotten. Lists and charts are those of",
            "the larger database that was measured.",
            "",
            "## Every figure",
            "",
            "| key | figure |",
            "|---|---|",
            *rest,
            "",
            "## By the number of threats",
            "",
            "In `build/bench.json` these keys end with `_100k` and `_1m`.",
            "",
            "| key | 100,000 | 1,000,000 |",
            "|---|---|---|",
            *sizes,
            "",
        ]
    )


_HEAD = frozenset({"machine", "commit", "fdatasync_us", "load_average"})


def _cell(value: Any) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, list):
        return "<br>".join(str(one).replace("|", "/") for one in value)
    return str(value)


def _rows(found: dict[str, Any], write: Callable[[Goal, Any, str, str], str]) -> list[str]:
    return [
        write(goal, found.get(goal.key), goal.words(found), _MARK[goal.is_met(found)])
        for goal in GOALS
    ]
