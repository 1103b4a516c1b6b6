"""`eme sg apply` as a process of its own, killed at any of its requests, and run again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from uuid import uuid4

import pytest

from tests.sync.conftest import write

PROGRAM = "from eme_connector.cli import main; main()"


class World:
    """A Cerebrate, a MISP that holds the same, and then a change in Cerebrate."""

    def __init__(self, eme, cerebrate, misp):
        self.folder, self.misp = eme.folder, misp
        write(eme.path, eme.sections)
        state = self.state = cerebrate.state
        self.organisations = [state.organisation(name=f"Org {uuid4()}") for _ in range(5)]
        first = self.organisations[:4]
        self.group = state.group(first[0]["id"], [o["id"] for o in first], name=f"G {uuid4()}")
        eme("apply")

    def change(self):
        """Remove a member, add two (one of them new), change a text, add a group."""
        new = self.state.organisation(name=f"New {uuid4()}")
        gid = self.group["id"]
        del self.state.members[gid, self.organisations[3]["id"]]
        self.state.members[gid, self.organisations[4]["id"]] = False
        self.state.members[gid, new["id"]] = True
        self.group["description"] = f"changed {uuid4()}"
        self.other = self.state.group(new["id"], [new["id"]], name=f"H {uuid4()}")

    def start(self):
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "--config", "config.yaml", "sg", "apply", "--json"],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def apply(self):
        process = self.start()
        process.said, process.complained = process.communicate(timeout=60)
        return process

    def killed_at(self, request, done):
        """Apply, and kill it at its n-th request to MISP, which is *done* or never arrives."""
        process, seen = self.start(), Counter()
        usual = self.misp.fault

        def fault():
            seen["requests"] += 1
            if seen["requests"] != request:
                return ""
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return "" if done else "die"

        self.misp.fault = fault
        try:
            process.communicate(timeout=60)
        finally:
            self.misp.fault = usual
        return process.returncode, seen["requests"]

    def at_misp(self):
        """Return both groups as MISP has them: all that the relay keeps true."""
        state, found = self.misp.state, []
        for uuid in (self.group["uuid"], self.other["uuid"]):
            one = state.groups.by(uuid=uuid)
            members = {state.organisations[m.org_id].uuid: m.extend for m in one.members}
            found.append((one.name, one.description, one.roaming, one.active, members))
        return found

    def at_source(self):
        found = []
        for group in (self.group, self.other):
            rows = self.state.members.items()
            members = {self.state.organisations[o]["uuid"]: extend
                       for (g, o), extend in rows if g == group["id"]}  # fmt: skip
            text = group["description"] or ""
            found.append((group["name"], text, True, group["active"], members))
        return found

    def rows(self, query):
        with contextlib.closing(sqlite3.connect(self.folder / "data/eme.db")) as database:
            return database.execute(query).fetchall()

    def relayed(self):
        """Return how often each change stands in the audit log as done."""
        told = [json.loads(detail) for (detail,) in self.rows(
            "SELECT detail FROM audit WHERE event = 'relayed'")]  # fmt: skip
        return Counter((one["word"], one["subject"], one.get("member", "")) for one in told)


@pytest.fixture
def new_world(eme, cerebrate, misp):
    def new():
        shutil.rmtree(eme.folder / "data", ignore_errors=True)
        cerebrate.state.groups.clear()
        cerebrate.state.members.clear()
        made = World(eme, cerebrate, misp)
        made.change()
        return made

    return new


def resumes(world, request, done):
    code, _ = world.killed_at(request, done)
    assert code == -signal.SIGKILL, (request, done)

    again = world.apply()

    assert again.returncode == 0, (request, done, again.said, again.complained)
    assert world.at_misp() == world.at_source(), (request, done)
    assert world.rows("SELECT count(*) FROM relay_unannounced") == [(0,)]
    assert {state for (state,) in world.rows("SELECT state FROM relay_write")} <= {"done", "failed"}
    assert {state for (state,) in world.rows("SELECT state FROM relay_run")} <= {"done", "failed"}
    assert [said for said in world.relayed().items() if said[1] != 1] == [], (request, done)
    assert len(world.rows("SELECT * FROM relay_tombstone")) == 1
    return world.relayed()


def words(relayed):
    """Return how many changes of each kind there were: uuids differ from world to world.

    An announcement that was made and not noted is made once more, which changes nothing.
    """
    return Counter(word for word, *_ in relayed if word != "unannounced")


def all_requests(world):
    """Return how many requests an apply makes that nobody kills, and what it relays."""
    _, requests = world.killed_at(0, done=True)
    assert world.at_misp() == world.at_source()
    return requests, words(world.relayed())


@pytest.mark.parametrize(("request_", "done"), [(9, True), (14, False)])
def test_an_apply_that_is_killed_is_resumed_at_once_to_the_same_end(new_world, request_, done):
    resumes(new_world(), request_, done)


@pytest.mark.long
@pytest.mark.parametrize("done", [False, True])
def test_an_apply_that_is_killed_at_any_request_is_resumed_to_the_same_end(new_world, done):
    requests, wanted = all_requests(new_world())

    assert requests > 15
    for request in range(1, requests + 1):
        assert words(resumes(new_world(), request, done)) == wanted
