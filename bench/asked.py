"""Random lists, as the API and as the store word them, and how long each took."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from bench.fill import DAYS, THREATS, WORDS, Cast
from eme_connector.domain.listing import ListQuery
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Kind, Status

Words = dict[str, Any]
"""A list as the API words it: the parameters of its query."""


@dataclass
class Timed:
    """How long each list took, in ms, and which it was."""

    taken: list[tuple[float, str]] = field(default_factory=list)

    def p95(self) -> float:
        """Return how long all but every twentieth took at most."""
        ordered = sorted(took for took, _ in self.taken)
        return round(ordered[len(ordered) * 95 // 100], 2)

    def told(self, name: str) -> dict[str, Any]:
        """Return p50, p95, the longest and which that were, as keys that begin with *name*."""
        ordered = sorted(self.taken, key=lambda one: one[0])
        if not ordered:
            raise SystemExit(f"{name}: no list was answered")
        return {
            f"{name}_p50_ms": round(ordered[len(ordered) // 2][0], 2),
            f"{name}_p95_ms": self.p95(),
            f"{name}_max_ms": round(ordered[-1][0], 2),
            f"{name}_worst": [f"{took:.1f} ms {which}" for took, which in ordered[:-6:-1]],
        }


def asked(chance: random.Random, cast: Cast) -> Words:
    """Return a random list: most combine filters, some find little and some nothing."""
    filters: dict[str, Callable[[], Any]] = {
        "status": lambda: chance.choice([str(one) for one in Status]),
        "type": lambda: chance.choice([str(one) for one in Kind]),
        "risk": lambda: chance.choice([str(one) for one in Band]),
        "criticality": lambda: chance.randint(1, 5),
        "organisation": lambda: chance.choice([*cast.organisations, cast.paged, str(uuid4())]),
        "since": lambda: before(DAYS * chance.random() ** 2),
        "until": lambda: before(DAYS * chance.random() * 1.1),
        "keyword": lambda: _keyword(chance),
    }
    words = {name: value() for name, value in filters.items() if chance.random() < 0.25}
    return words | {"sort": chance.choice(["newest", "risk"]), "limit": 25}


def _keyword(chance: random.Random) -> str:
    """Return a word of many threats, of few, of none, or several words."""
    common, rare = chance.choice(WORDS), f"unit{chance.randrange(5000)}"
    return chance.choice([common, rare, "nowhere", f"{common} {rare}", chance.choice(THREATS)])


def before(days: float) -> str:
    """Return the time so many days ago, as RFC 3339."""
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def query_of(viewer: str, words: Words) -> ListQuery:
    """Return what the store is asked for by these words."""
    status, kind, band = (words.get(name) for name in ("status", "type", "risk"))
    since, until = (
        round(datetime.fromisoformat(words[name]).timestamp() * 1_000_000)
        if name in words
        else None
        for name in ("since", "until")
    )
    return ListQuery(
        viewer,
        "rank" if words["sort"] == "risk" else "newest",
        status=Status(status) if status else None,
        kind=Kind(kind) if kind else None,
        band=Band(band) if band else None,
        criticality=words.get("criticality"),
        organisation=words.get("organisation"),
        since=since,
        until=until,
        keyword=words.get("keyword", ""),
        limit=words["limit"],
    )
