"""How long a change in Cerebrate takes to be true on every MISP: `python -m bench.relay`.

Source and MISPs are real ones where the environment names them (EME_TEST_CEREBRATE_A_URL, _KEY;
EME_TEST_MISP_A_URL, _ADMIN_KEY, and B's), else the doubles of the tests; the third MISP is always
a double. Everything made has names of its own and is deleted at the end, unless --keep.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from eme_connector.adapters.cerebrate.client import CerebrateClient
from eme_connector.adapters.cerebrate.connection import Connection as CerebrateConnection
from eme_connector.adapters.cerebrate.directory import CerebrateDirectory
from eme_connector.adapters.database import open_store, upgrade
from eme_connector.adapters.egress import Gate
from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Connection as MispConnection
from eme_connector.adapters.misp.directory import MispDirectory
from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation
from eme_connector.sync.terms import Terms
from eme_connector.usecases.relay_cycle import Office, Target
from eme_connector.usecases.relay_fleet import Fleet, apply

LOOPBACK = Gate.of(["127.0.0.0/8"])
SMALL_S, LARGE_S = 5.0, 60.0


@dataclass
class World:
    """The source, the MISPs with their keys, and what was made there."""

    cerebrate: CerebrateDirectory
    cerebrate_at: tuple[str, str]
    misps: dict[str, tuple[str, str]]
    close: list[Any] = field(default_factory=list)
    organisations: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)


def main() -> None:
    """Measure a group of 100 organisations, then 50 groups of 1,000 organisations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--organisations", type=int, default=1000)
    parser.add_argument("--groups", type=int, default=50)
    parser.add_argument("--members", type=int, default=100, help="of each of the groups")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true")
    chosen = parser.parse_args()
    world = _world()
    print(json.dumps({"systems": world.kinds}))
    try:
        with tempfile.TemporaryDirectory() as folder:
            _measure(world, Path(folder), chosen)
    finally:
        if not chosen.keep:
            _clean(world)
        for one in world.close:
            one.close()


def _measure(world: World, folder: Path, chosen: argparse.Namespace) -> None:
    members = _organisations(world, 100)
    small = _group(world, members)
    _run("small", world, folder / "small", [small], members, chosen.rounds, SMALL_S)
    everybody = members + _organisations(world, chosen.organisations - len(members))
    groups = [small]
    for number in range(1, chosen.groups):
        first = number * 37 % len(everybody)
        several = (everybody + everybody)[first : first + chosen.members]
        groups.append(_group(world, several))
    _run("large", world, folder / "large", groups, everybody, chosen.rounds, LARGE_S)


def _run(
    name: str,
    world: World,
    folder: Path,
    groups: list[str],
    organisations: list[str],
    rounds: int,
    bound: float,
) -> None:
    fleet, office = _relay(world, folder, groups)
    began = time.monotonic()
    reports = apply(fleet, office, told=_tell)
    line = {"case": name, "step": "initial load", "seconds": round(time.monotonic() - began, 1)}
    _print(line, reports)
    extra = _organisations(world, 2)
    worst = 0.0
    for number in range(rounds):
        gone, new = organisations[number], extra[number % 2]
        world.cerebrate.fetch()
        world.cerebrate.set_members(groups[0], {new: False})
        world.cerebrate.remove_members(groups[0], [gone])
        began = time.monotonic()
        reports = apply(fleet, office)
        took = time.monotonic() - began
        worst = max(worst, took)
        _print({"case": name, "step": "one added, one removed", "seconds": round(took, 2)}, reports)
        world.cerebrate.set_members(groups[0], {gone: False})
        world.cerebrate.remove_members(groups[0], [new])
        apply(fleet, office)
    began = time.monotonic()
    reports = apply(fleet, office)
    _print({"case": name, "step": "nothing changed",
            "seconds": round(time.monotonic() - began, 2)}, reports)  # fmt: skip
    print(json.dumps({"case": name, "worst_s": round(worst, 2), "bound_s": bound,
                      "pass": worst < bound}), flush=True)  # fmt: skip


def _relay(world: World, folder: Path, groups: Iterable[str]) -> tuple[Fleet, Office]:
    folder.mkdir()
    url = f"sqlite:///{folder / 'relay.db'}"
    upgrade(url)
    store = open_store(url)
    world.close.append(store)
    targets = []
    for name, (at, key) in world.misps.items():
        others = frozenset(one for one, _ in world.misps.values()) - {at}
        known = others if name != "double" else frozenset()
        connection = MispConnection(at, key, LOOPBACK, timeout=120)
        directory = MispDirectory(name, at, MispClient(connection))
        servers = known & directory.fetch().servers
        terms = Terms(name, roaming=not servers, servers=servers, groups=frozenset(groups))
        targets.append(Target(directory, terms))
    fleet = Fleet(world.cerebrate.fetch, tuple(targets))
    return fleet, Office(store, time.time, str(uuid4()), "bench")


def _organisations(world: World, count: int) -> list[str]:
    made = [RemoteOrganisation(str(uuid4()), f"bench {uuid4()}", sector="Energy")
            for _ in range(count)]  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(world.cerebrate.put_organisation, made))
    world.organisations += [one.uuid for one in made]
    return [one.uuid for one in made]


def _group(world: World, members: list[str]) -> str:
    uuid = str(uuid4())
    group = RemoteGroup(uuid, f"bench {uuid}", members[0], {}, "bench", "of the bench")
    world.cerebrate.put_group(group)
    world.cerebrate.set_members(uuid, dict.fromkeys(members, False))
    world.groups.append(uuid)
    return uuid


def _world() -> World:
    environ, close, kinds = os.environ, [], {}
    if environ.get("EME_TEST_CEREBRATE_A_URL"):
        at = (environ["EME_TEST_CEREBRATE_A_URL"], environ["EME_TEST_CEREBRATE_A_KEY"])
        kinds["cerebrate"] = "real"
    else:
        from tests.doubles.cerebrate import CerebrateServer

        server = CerebrateServer()
        close.append(server)
        at, kinds["cerebrate"] = (server.url, server.state.key("admin")), "double"
    from tests.doubles.misp import Misp

    misps = {}
    for name, side in (("a", "A"), ("b", "B")):
        if environ.get(f"EME_TEST_MISP_{side}_URL"):
            misps[name] = (
                environ[f"EME_TEST_MISP_{side}_URL"],
                environ[f"EME_TEST_MISP_{side}_ADMIN_KEY"],
            )
            kinds[name] = "real"
    for name in ("a", "b", "double"):
        if name not in misps:
            double = Misp(f"Bench {name}")
            close.append(double)
            misps[name], kinds[name] = (double.url, double.admin), "double"
    connection = CerebrateConnection(at[0], at[1], LOOPBACK, timeout=120)
    cerebrate = CerebrateDirectory("cerebrate", CerebrateClient(connection))
    return World(cerebrate, at, misps, close, kinds=kinds)


def _tell(target: str, made: int, total: int, what: str) -> None:
    if made % 200 == 0:
        print(f"{target}: {made} of {total} calls", file=sys.stderr, flush=True)


def _print(line: dict[str, Any], reports: Iterable[Any]) -> None:
    line["targets"] = {
        one.target: {
            "state": one.state,
            "requests": one.requests,
            "seconds": round(one.seconds, 2),
            "done": len(one.outcome.done),
            "failed": sorted({reason for _, reason in one.outcome.failed}),
            "rest": sorted({d.word for d in one.plan.differences}),
            "reason": one.reason,
        }
        for one in reports
    }
    print(json.dumps(line), flush=True)


def _clean(world: World) -> None:
    """Delete what was made: groups first, they hold the organisations."""
    for name, (at, key) in world.misps.items():
        if world.kinds[name] == "real":
            _delete_misp(at, key, world)
    if world.kinds["cerebrate"] == "real":
        at, key = world.cerebrate_at
        session = _session(key)
        for scope, several in (("sharingGroups", world.groups),
                               ("organisations", world.organisations)):  # fmt: skip
            for uuid in several:
                session.delete(f"{at}/{scope}/delete/{uuid}", timeout=120)


def _delete_misp(at: str, key: str, world: World) -> None:
    session = _session(key)
    rows = session.get(f"{at}/organisations/index/scope:all", timeout=120).json()
    ids = {row["Organisation"]["uuid"]: row["Organisation"]["id"] for row in rows}
    for uuid in world.groups:
        session.post(f"{at}/sharing_groups/delete/{uuid}", data="{}", timeout=120)
    for uuid in world.organisations:
        if uuid in ids:
            session.post(f"{at}/admin/organisations/delete/{ids[uuid]}", data="{}", timeout=120)


def _session(key: str) -> requests.Session:
    session = requests.Session()
    session.headers.update({"Authorization": key, "Accept": "application/json",
                            "Content-Type": "application/json"})  # fmt: skip
    return session


if __name__ == "__main__":
    main()
