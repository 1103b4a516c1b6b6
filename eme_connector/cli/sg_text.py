"""Differences, outcomes and undone writes as a person reads them, and as JSON."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from eme_connector.sync.reasons import explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from eme_connector.domain.relay import Run, Write
    from eme_connector.sync.steps import Call, Difference
    from eme_connector.usecases.relay_cycle import Report
    from eme_connector.usecases.relay_status import Standing
    from eme_connector.usecases.relay_undo import Undone

_SIGNS = {"add": "+", "remove": "-", "update": "~", "conflict": "≠", "keep-local": "="}
_FIRST_S, _EVERY_S = 1.0, 2.0


class Progress:
    """Tells on standard error how far long work is; short work is silent."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _FIRST_S

    def told(self, target: str, made: int, total: int, what: str) -> None:
        """Say where one target stands, every few seconds."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY_S
            click.echo(f"{target}: {made} of {total} calls, now {what}", err=True)

    def of(self, target: str) -> Callable[[int, int, Call], None]:
        """Return what hears of one target's calls."""
        return lambda made, total, call: self.told(target, made, total, call.action)


def report(one: Report, left: bool = False) -> list[str]:
    """Return the lines about one target."""
    lines = [click.style(f"{one.target}: {_head(one)}", bold=True)]
    if one.detail:
        lines.append(f"  {one.detail}")
    if fix := explain(one.reason)[1]:
        lines.append(f"  next: {fix}")
    lines += [f"  ✓ {_difference(each)}" for each in one.outcome.done]
    lines += [f"  ✗ {_difference(each)}: {_why(reason)}" for each, reason in one.outcome.failed]
    lines += [f"  {line}" for line in _rest(one)]
    if left:
        lines += [f"  {_difference(each)}" for each in one.plan.left]
    return lines


def document(one: Report, left: bool = False) -> dict[str, Any]:
    """Return one target as JSON shows it."""
    from eme_connector.usecases.relay_fleet import summary
    from eme_connector.usecases.relay_plans import difference_document

    found: dict[str, Any] = {"target": one.target, **summary(one), "detail": one.detail}
    found["differences"] = [difference_document(each) for each in one.plan.differences]
    if one.run:
        found["run"] = one.run
        found["done"] = [difference_document(each) for each in one.outcome.done]
        found["failed"] = [
            difference_document(each) | {"reason": reason} for each, reason in one.outcome.failed
        ]
    if left:
        found["left"] = [difference_document(each) for each in one.plan.left]
    return found


def undone(one: Undone, dry_run: bool) -> list[str]:
    """Return the lines about what was taken back at one target."""
    from eme_connector.sync.undo import LEFT

    count = len(one.plan.differences if dry_run else one.outcome.done)
    word = "would be taken back" if dry_run else "taken back"
    lines = [click.style(f"{one.target}: {count} {word}, {len(one.left)} left", bold=True)]
    lines += [f"  {_difference(each)}" for each in one.plan.differences]
    lines += [f"  ✗ {_difference(each)}: {_why(reason)}" for each, reason in one.outcome.failed]
    lines += [
        f"  left: {each.word} {each.subject} {each.member}: {why}, {LEFT[why]}"
        for each, why in one.left
    ]
    return lines


def undone_document(one: Undone) -> dict[str, Any]:
    """Return what was taken back at one target as JSON shows it."""
    from eme_connector.usecases.relay_plans import difference_document

    return {
        "target": one.target,
        "undoes": one.undoes,
        "differences": [difference_document(each) for each in one.plan.differences],
        "done": len(one.outcome.done),
        "failed": [
            difference_document(each) | {"reason": reason} for each, reason in one.outcome.failed
        ],
        "left": [
            {"word": each.word, "subject": each.subject, "member": each.member, "reason": why}
            for each, why in one.left
        ],
        "requests": one.requests,
    }


def standing(one: Standing) -> list[str]:
    """Return the lines about how a target stood at its last cycle."""
    detail, counts = one.turn.detail, one.turn.detail.get("counts", {})
    when = f" at {_moment(one.turn.ended_at)}" if one.turn.ended_at else ""
    numbers = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    lines = [click.style(f"{one.name}: {one.state}{when}", bold=True)]
    if one.state == "failed":
        lines.append(f"  {_why(one.turn.reason)}")
    if numbers:
        lines.append(f"  {numbers}; `eme sg diff {one.name}` names them")
    for held in detail.get("held", ()):
        lines.append(f"  {held['name']}: {len(held['steps'])} wait ({held['hold']})")
    for word, run in (("apply", one.applied), ("undo", one.undone)):
        if run is not None:
            lines.append(f"  last {word}: {_moment(run.started_at)} by {run.by}, {run.id}")
    return lines


def run_row(run: Run) -> tuple[Any, ...]:
    """Return a run as a row of `eme sg log`."""
    state = f"{run.state} ({run.reason})" if run.reason else run.state
    return run.id, run.target, run.kind, run.by, _moment(run.started_at), run.calls, state


def write_row(one: Write) -> tuple[Any, ...]:
    """Return a write as a row of `eme sg log RUN`."""
    state = f"{one.state} ({one.reason})" if one.reason else one.state
    return one.word, one.subject, one.member, _plain(one.before), _plain(one.after), state


def _moment(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / 1_000_000, UTC):%Y-%m-%d %H:%M:%SZ}"


def _head(one: Report) -> str:
    cost = f"{one.requests} requests, {one.seconds:.1f} s"
    if one.state == "failed":
        said = explain(one.reason)[0]
        return f"failed: {one.reason}{f', {said}' if said else ''} ({cost})"
    done = f"{len(one.outcome.done)} done, " if one.outcome.done else ""
    if one.state == "converged":
        return f"{done}converged ({cost})"
    numbers = (one.plan.count("do"), one.plan.count("held"), one.plan.count("stuck"))
    counts = [
        f"{number} {word}"
        for number, word in zip(numbers, ("to do", "held", "stuck"), strict=True)
        if number
    ]
    return f"{done}differs: {', '.join(counts)} ({cost})"


def _rest(one: Report) -> list[str]:
    from eme_connector.sync.steps import HOLDS

    lines = []
    held: dict[str, list[Difference]] = {}
    for each in one.plan.differences:
        if each.verdict == "held":
            held.setdefault(each.subject, []).append(each)
            continue
        note = f" [{each.note}]" if each.note else ""
        stuck = f" stuck: {each.remedy}" if each.verdict == "stuck" else ""
        lines.append(f"{_difference(each)}{stuck}{note}")
    for several in held.values():
        first = several[0]
        note = f" [{first.note}]" if first.note else ""
        lines.append(f"{first.name}: {len(several)} wait ({first.hold}): {HOLDS[first.hold]}{note}")
        lines += [f"  {_difference(each)}" for each in several]
        lines.append(
            f"  if exactly that is true: eme sg apply {one.target} --confirm {first.confirm}"
        )
    return lines


def _why(reason: str) -> str:
    said, fix = explain(reason)
    return f"{reason} ({said}; {fix})" if said else reason


def _difference(one: Difference) -> str:
    who = f": {one.member_name or one.member}" if one.member else ""
    change = "" if one.member and None in (one.before, one.after) else _change(one)
    return f"{_SIGNS[one.kind]} {one.word}  {one.name or one.uuid}{who}{change}"


def _change(one: Difference) -> str:
    if one.before is None:
        return ""
    return f"  {_plain(one.before)} → {_plain(one.after)}"


def _plain(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
