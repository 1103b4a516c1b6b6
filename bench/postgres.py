"""PostgreSQL, 16 threads, 1 ms more for each flush: our accept beside its own statements.

One accept is recorded as it reaches psycopg; the peer sends the same statements, with ids of their
own, by psycopg alone from as many threads of the same process. Rounds take turns.
"""

from __future__ import annotations

import random
import re
import shutil
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from bench.machine import slow_disk
from bench.world import bundle
from eme_connector.adapters.database import open_store, upgrade
from eme_connector.adapters.database.rows import SHARDS
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.sharing import Organisation
from eme_connector.domain.threat import Tlp
from eme_connector.usecases import receive
from tests.servers.postgres import Postgres, PostgresMissing

THREADS = 16
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\)")
_NUMBERED = {
    ("delivery", "id"): "delivery", ("audit", "id"): "audit", ("audit_salt", "audit_id"): "audit",
    **dict.fromkeys(((one, "threat") for one in ("raw", "listing", "delivery", "audit")), "threat"),
}  # fmt: skip
"""Columns that hold a number which the database gave to a row of the table named."""
OWN, GROUP = "11111111-1111-4111-8111-111111111111", "44444444-4444-4444-8444-444444444444"
Told = tuple[str, Any, bool]
"""SQL, its parameters, and whether they are many rows."""


class Durable(Postgres):
    """A server that flushes, each flush 1 ms slower where the shim is given."""

    def __init__(self, port: int, env: dict[str, str]) -> None:
        super().__init__(port)
        self.env, self.flush = env, True

    def _identity(self) -> dict[str, Any]:
        identity = super()._identity()
        return identity | {"env": identity.get("env", {"PATH": "/usr/bin:/bin"}) | self.env}


def run(folder: Path, *, seconds: float, rounds: int) -> dict[str, Any]:
    """Return the rates and their ratio; null where there is no PostgreSQL or C compiler."""
    from eme_connector.demo.processes import free_port

    nothing = dict.fromkeys(("postgres_ratio", "postgres_per_s", "postgres_psycopg_per_s"))
    shim = slow_disk(folder)
    if shim is None:
        return nothing
    shim = _readable(shim)
    try:
        server = Durable(free_port(), shim)
        server.start()
        try:
            return _measure(server.create_database(), seconds, rounds)
        finally:
            server.stop()
    except PostgresMissing:
        return nothing
    finally:
        Path(shim["LD_PRELOAD"]).unlink()


def _readable(shim: dict[str, str]) -> dict[str, str]:
    """Return the shim where another user, who runs the server, can read it."""
    copy = Path("/dev/shm") / f"eme-slowfsync-{uuid4().hex[:8]}.so"  # noqa: S108
    shutil.copy(shim["LD_PRELOAD"], copy)
    copy.chmod(0o644)
    return shim | {"LD_PRELOAD": str(copy)}


def _measure(url: str, seconds: float, rounds: int) -> dict[str, Any]:
    upgrade(url)
    store = open_store(url)
    rules = receive.Rules(
        organisation=Organisation(OWN, "CI-1", default_group=GROUP),
        lanes=lambda _: "orchestrator:demo",
        default_tlp=Tlp.AMBER,
        step_order="start-first",
        max_steps=256,
    )
    caller = Caller("token", "t", "atio", OWN, frozenset({Right.INGEST}))

    def accept() -> None:
        document = bundle(str(uuid4()))
        document["objects"][0]["detection"]["organisation"] = OWN
        document["objects"][0].pop("policies", None)
        document["objects"][0].pop("criticalities", None)
        data = str(document).encode()
        receive.receive_bundle(
            document, data, caller=caller, rules=rules, store=store, now=time.time()
        )

    accept()
    told = _record(accept)
    address = url.replace("+psycopg", "")
    ours, theirs = [], []
    try:
        for _ in range(rounds):
            ours.append(_rate(lambda: accept, seconds))
            theirs.append(_rate(lambda: _replayer(address, told), seconds))
    finally:
        store.close()
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "postgres_per_s": round(statistics.median(ours)),
        "postgres_psycopg_per_s": round(statistics.median(theirs)),
        "postgres_ratio": round(statistics.median(ratios), 3),
        "postgres_statements": len(told),
    }


def _record(work: Callable[[], None]) -> list[Told]:
    """Return the statements that *work* sends by psycopg."""
    told: list[Told] = []
    one, many = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def execute(cursor: Any, sql: Any, parameters: Any = None, **how: Any) -> Any:
        told.append((sql, parameters, False))
        return one(cursor, sql, parameters, **how)

    def executemany(cursor: Any, sql: Any, rows: Any, **how: Any) -> Any:
        kept = list(rows)
        told.append((sql, kept, True))
        return many(cursor, sql, kept, **how)

    psycopg.Cursor.execute, psycopg.Cursor.executemany = execute, executemany  # type: ignore[method-assign,assignment]
    try:
        work()
    finally:
        psycopg.Cursor.execute, psycopg.Cursor.executemany = one, many  # type: ignore[method-assign]
    return [t for t in told if "pg_notify" not in str(t[0])]


def _replayer(address: str, told: list[Told]) -> Callable[[], None]:
    """Return what sends the statements once, in a transaction, under new ids."""
    connection = psycopg.connect(address)
    cursor = connection.cursor()
    known = {OWN, GROUP}

    def send() -> None:
        anew: dict[str, str] = {}
        numbers: dict[str, list[int]] = {}

        def fresh(value: Any) -> Any:
            if isinstance(value, str):
                return _UUID.sub(
                    lambda m: m[0] if m[0] in known else anew.setdefault(m[0], str(uuid4())), value
                )
            return value

        def renewed(sql: str, row: Any) -> Any:
            if isinstance(row, dict):
                return {key: fresh(value) for key, value in row.items()}
            if row is None:
                return None
            values = [fresh(value) for value in row]
            table, columns = _INSERT.match(sql).groups()  # type: ignore[union-attr]
            columns = columns.split(", ")
            for place, column in enumerate(columns):
                if column == "shard":  # as ours: one row is not hot
                    many = len(values[place :: len(columns)])
                    values[place :: len(columns)] = [random.randrange(SHARDS)] * many  # noqa: S311
                if given := _NUMBERED.get((table, column)):
                    rows = len(values) // len(columns)
                    # one threat has many rows
                    values[place :: len(columns)] = (numbers[given] * rows)[:rows]
            return values

        for sql, parameters, is_many in told:
            if is_many:
                cursor.executemany(sql, [renewed(str(sql), row) for row in parameters])
                continue
            cursor.execute(sql, renewed(str(sql), parameters))
            if isinstance(parameters, dict) and "of_table" in parameters:
                numbers[parameters["of_table"]] = [row[0] for row in cursor.fetchall()]
            elif str(sql).startswith("INSERT INTO threat "):
                numbers["threat"] = [row[0] for row in cursor.fetchall()]
        connection.commit()

    return send


def _rate(make: Callable[[], Callable[[], None]], seconds: float) -> float:
    """Return how often a second 16 threads do it."""
    counts, until = [0] * THREADS, time.monotonic() + seconds
    wrong: list[Exception] = []

    def loop(place: int) -> None:
        work = make()
        try:
            while time.monotonic() < until:
                work()
                counts[place] += 1
        except Exception as exc:
            wrong.append(exc)

    threads = [threading.Thread(target=loop, args=(n,)) for n in range(THREADS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return sum(counts) / (time.monotonic() - began)
