"""Lists and charts over many threats: at the store, and over HTTP while detections come in.

`python -m bench.lists [ROWS]` runs it alone, with `--postgresql` what is measured at the store, on
SQLite and on PostgreSQL. Deliveries are held back meanwhile: what is measured is accepting and
reading. Accepts beside lists are measured once more with each flush 1 ms slower.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests

from bench import memory, offer
from bench.asked import Timed, Words, asked, before, query_of
from bench.copied import copied
from bench.fill import DAYS, WORDS, Cast, check, fill
from bench.machine import slow_disk
from bench.world import hold_deliveries, new_world, started
from eme_connector.adapters.database import DatabaseStore, open_store
from eme_connector.demo.world import World
from eme_connector.domain.listing import ListQuery, Order
from tests.servers.postgres import PostgresMissing

ORGANISATIONS, LISTS, FOLLOWED = 50, 1000, 2
RATE, LISTS_PER_S = 500, 5
ORDERS: tuple[Order, ...] = ("newest", "rank")


def run(folder: Path, *, rows: int, quick: bool, stores_alone: bool = False) -> dict[str, Any]:
    """Fill a database of *rows* threats in *folder*, measure, and return what was found.

    A run that is not *quick* measures the same database on PostgreSQL too.
    """
    folder = folder / f"lists-{rows}"
    names = [f"Operator {number}" for number in range(ORGANISATIONS)]
    world = new_world(folder, hold_deliveries, names)
    path = folder / "ci" / "data" / "eme.db"
    known = list(world.names.values())
    cast = Cast(world.ci, world.cert, known[:-1], known[-1])
    load, began = os.getloadavg()[0], time.monotonic()
    fill(path, rows, cast)
    found = {"rows": rows, "fill_s": round(time.monotonic() - began, 1)}
    url = f"sqlite:///{path}"
    with closing(open_store(url)) as store:
        _check(store, path, cast)
        found |= _frequent_word(store, path, cast)
    stored = [_at_the_store(url, cast, 0)]
    if not quick:
        found |= _on_postgresql(path, cast)
    if stores_alone:
        return found | _median_of(stored)
    accepts = Accepts(world)
    with started(world, "ci") as children:
        found["pss_with_threats_mb"], acknowledged = memory.when_used(world, children[0].pid)
        accepts.acknowledged += acknowledged
        found |= _over_http(accepts, cast, quick)
    stored.append(_at_the_store(url, cast, 1))
    with started(world, "ci"):
        found |= _beside_lists(accepts, cast, quick)
    if slow := slow_disk(folder):
        with started(world, "ci", env=slow):
            slowed = _beside_lists(accepts, cast, quick)
        found |= {f"{name}_slow_fsync": value for name, value in slowed.items()}
    stored.append(_at_the_store(url, cast, 2))
    found |= _median_of(stored)
    accepts.check(path, rows)
    loads = [round(load, 1), round(os.getloadavg()[0], 1)]
    return found | {"lists_acknowledged": accepts.acknowledged, "lists_load_average": loads}


@dataclass
class Accepts:
    """What is offered to the sidecar of *world*, to be compared with what is stored."""

    world: World
    acknowledged: int = 0
    unanswered_most: int = 0

    @property
    def at(self) -> tuple[int, str]:
        """The port and the token."""
        return self.world.ports["ci"], self.world.tokens[self.world.ci]

    def closed(self, seconds: int) -> float:
        """Offer as fast as it is answered; return accepts a second."""
        rate, acknowledged = offer.closed(*self.at, seconds)
        self.acknowledged += acknowledged
        self.unanswered_most += offer.CONNECTIONS
        return rate

    def check(self, path: Path, before: int) -> None:
        """Make sure that what was acknowledged is stored, and hardly more."""
        with closing(sqlite3.connect(path)) as driver:
            (count,) = driver.execute("SELECT count(*) FROM threat").fetchone()
        if not 0 <= count - before - self.acknowledged <= self.unanswered_most:
            raise SystemExit(f"{self.acknowledged} were acknowledged, {count - before} are stored")


def _check(store: DatabaseStore, path: Path, cast: Cast) -> None:
    at = round(time.time() * 1_000_000)
    check(path, cast.viewer, store.aggregate(cast.viewer, at), at)


def _at_the_store(url: str, cast: Cast, turn: int) -> dict[str, Any]:
    """Time charts and LISTS lists by a store that has just been opened; other lists each *turn*."""
    with closing(open_store(url)) as store:
        at = round(time.time() * 1_000_000)
        while store.aggregate(cast.viewer, at).keyword_lag_s:
            time.sleep(0.1)  # what was accepted last is still to be indexed
        charts = [_time(lambda: store.aggregate(cast.viewer, at)) for _ in range(200)]
        timed, kinds = _lists(store, cast, random.Random(11 + turn))  # noqa: S311
    return {
        "aggregate_store_ms": round(statistics.median(charts), 2),
        "aggregate_store_max_ms": round(max(charts), 2),
        **timed.told("list_store"),
        **{f"list_store_{kind}_p95_ms": one.p95() for kind, one in sorted(kinds.items())},
    }


def _median_of(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of all turns, and by `_turns` what goals are about in each of them.

    What took longest is that of the turn where it did.
    """
    longest = max(turns, key=lambda one: one["list_store_max_ms"])
    found = {
        name: value if isinstance(value, list) else statistics.median(one[name] for one in turns)
        for name, value in longest.items()
    }
    found |= {name: max(one[name] for one in turns) for name in found if name.endswith("_max_ms")}
    for name in ("aggregate_store", "list_store_p95"):
        found[f"{name}_turns_ms"] = [one[f"{name}_ms"] for one in turns]
    return found


def _lists(
    store: DatabaseStore, cast: Cast, chance: random.Random
) -> tuple[Timed, dict[str, Timed]]:
    """Time LISTS random lists with the pages that follow; return all of them, and them by kind.

    Lists with a keyword that nobody has asked for before are a kind of their own: the store learns
    how frequent words are. The others have a walk past what filters refuse, or a short one.
    """
    timed, kinds = Timed(), dict[str, Timed]()
    known: set[str] = set()
    for _ in range(LISTS):
        words = asked(chance, cast)
        query = query_of(cast.viewer, words)
        for number in range(1 + FOLLOWED):
            began = time.perf_counter()
            page = store.list_threats(query)
            took = (time.perf_counter() - began) * 1000
            how = f"page {number + 1}, {page.walked} walked, {len(page.threats)} found"
            timed.taken.append((took, f"{json.dumps(words)} ({how})"))
            kind = "filtered" if page.walked > 1000 else "short"
            if query.keyword:
                kind = "keyword" if query.keyword in known else "new_keyword"
                known.add(query.keyword)
            kinds.setdefault(kind, Timed()).taken.append(timed.taken[-1])
            if not page.cursor:
                break
            query = replace(query, cursor=page.cursor)
    return timed, kinds


def _on_postgresql(path: Path, cast: Cast) -> dict[str, Any]:
    """Measure a copy at the store; null where there is no PostgreSQL."""
    began = time.monotonic()
    try:
        with copied(path) as url, closing(open_store(url)) as store:
            found: dict[str, Any] = {"fill_s": round(time.monotonic() - began, 1)}
            at = round(time.time() * 1_000_000)
            spread = [_time(lambda: store.aggregate(cast.viewer, at)) for _ in range(20)]
            store.fold_counters()  # as its follower does within a second
            found |= {"aggregate_unfolded_store_ms": round(statistics.median(spread), 2)}
            _check(store, path, cast)
            found |= _at_the_store(url, cast, 0)
    except PostgresMissing:
        found = dict.fromkeys(("aggregate_store_ms", "list_store_p95_ms"))
    return {f"pg_{name}": value for name, value in found.items()}


def _frequent_word(store: DatabaseStore, path: Path, cast: Cast) -> dict[str, Any]:
    """Time pages of the most frequent word, and beside them what it costs to count all it is in."""
    word = WORDS[0]
    pages = []
    newest, by_rank = (ListQuery(cast.viewer, one, keyword=word) for one in ORDERS)
    for _ in range(20):
        pages.append(_time(lambda: store.list_threats(newest)))
        pages.append(_time(lambda: store.list_threats(by_rank)))
    with closing(sqlite3.connect(path)) as driver:
        text = "SELECT count(*) FROM keyword_index WHERE keyword_index MATCH ?"
        (threats,) = driver.execute(text, [word]).fetchone()
        counts = [_time(lambda: driver.execute(text, [word]).fetchone()) for _ in range(5)]
    return {
        "word_frequent_threats": threats,
        "word_frequent_page_ms": round(statistics.median(pages), 2),
        "word_frequent_page_max_ms": round(max(pages), 2),
        "word_frequent_count_all_ms": round(statistics.median(counts), 2),
    }


def _over_http(accepts: Accepts, cast: Cast, quick: bool) -> dict[str, Any]:
    """Time pages, then lists while RATE detections a second are offered."""
    port, token = accepts.at
    url = f"http://127.0.0.1:{port}{offer.PATH}"
    found = _pages(url, token, cast)
    accepts.closed(1)
    running = offer.start(port, token, RATE, 9 if quick else 30)
    with _lists_beside(port, token, cast) as timed:
        offered = offer.finish(running)
    accepts.acknowledged += offered["acknowledged"]
    told = {f"list_http_accept_{name}": value for name, value in offered.items()}
    return found | timed.told("list_http") | told


def _beside_lists(accepts: Accepts, cast: Cast, quick: bool) -> dict[str, Any]:
    """Offer detections as fast as they are answered, without and with lists in turns."""
    port, token = accepts.at
    seconds, rounds = (3, 3) if quick else (5, 5)
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(accepts.closed(seconds))
        with _lists_beside(port, token, cast):
            beside.append(accepts.closed(seconds))
    ratios = [two / one for one, two in zip(alone, beside, strict=True)]
    return {
        "accept_alone_per_s": round(statistics.median(alone)),
        "accept_beside_lists_per_s": round(statistics.median(beside)),
        "accept_beside_lists_ratio": round(statistics.median(ratios), 3),
        "accept_beside_lists_ratios": [round(one, 3) for one in ratios],
    }


def _pages(url: str, token: str, cast: Cast) -> dict[str, Any]:
    """Time pages by their cursor: 20 of PAGED, 100 of all, and 100 behind nearly all others."""
    session = _session(token)

    def get(**words: Any) -> Words:
        answer = session.get(url, params=words, timeout=60)
        answer.raise_for_status()
        found: Words = answer.json()
        return found

    def median(**words: Any) -> float:
        return round(statistics.median(_time(lambda: get(**words)) for _ in range(50)), 2)

    count, cursor = 0, ""
    while True:
        page = get(organisation=cast.paged, limit=100, cursor=cursor)
        count, cursor = count + len(page["threats"]), page["next"]
        if not cursor:
            break
    deep = get(until=before(DAYS * 0.95), limit=1)["next"]
    found = {
        "page_organisation_rows": count,
        "page_20_ms": median(organisation=cast.paged, limit=20),
        "page_first_ms": median(limit=100),
        "page_deep_ms": median(limit=100, cursor=deep),
    }
    ratio = found["page_deep_ms"] / found["page_first_ms"]
    return found | {"page_deep_ratio": round(ratio, 2)}


@contextmanager
def _lists_beside(port: int, token: str, cast: Cast) -> Iterator[Timed]:
    """Ask for LISTS_PER_S random lists a second until the end, each timed from when it was due."""
    header = {"Authorization": f"Bearer {token}"}
    timed, ended, chance = Timed(), threading.Event(), random.Random(5)  # noqa: S311
    mine = threading.local()

    def ask(due: float, words: Words) -> None:
        if not hasattr(mine, "connection"):
            mine.connection = HTTPConnection("127.0.0.1", port, timeout=60)
        mine.connection.request("GET", f"{offer.PATH}?{urlencode(words)}", headers=header)
        answer = mine.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{words}: {answer.status}")
        timed.taken.append(((time.monotonic() - due) * 1000, json.dumps(words)))

    def go_on() -> None:
        due = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            asked_for = []
            while not ended.wait(max(0.0, due - time.monotonic())):
                asked_for.append(pool.submit(ask, due, asked(chance, cast)))
                due += 1 / LISTS_PER_S
        failed.extend(one.exception() for one in asked_for if one.exception())

    failed: list[BaseException | None] = []
    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield timed
    finally:
        ended.set()
        thread.join()
    if failed:
        raise SystemExit(f"{len(failed)} lists failed: {failed[0]}")


def _session(token: str) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    return session


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.lists")
    parser.add_argument("rows", nargs="?", type=int, default=100_000)
    parser.add_argument("--postgresql", action="store_true", help="the stores alone, on both")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eme-bench-") as folder:
        alone = given.postgresql
        found = run(Path(folder), rows=given.rows, quick=not alone, stores_alone=alone)
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
