"""The doubles answer what a real pair was recorded to answer, call by call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.misp.contract import replay
from tests.misp.contract.unrecorded import BEFORE, LEFT_OUT, STATUS_ONLY

# each continues the one before without a reset
CHAINS = {
    "s12-remove-member": ["s13-removed-member-comes-back"],
    "g12-background-publish": ["w-workflow-blocks-publish"],
}
FOLLOWERS = {one for several in CHAINS.values() for one in several}


def folders():
    """Return the folders by name; where the corpora are not, the one test says so."""
    root = replay.ROOT
    if root is None:
        return ["none"]
    names = (one.name for one in sorted(root.iterdir()) if one.is_dir())
    return [one for one in names if one not in LEFT_OUT and one not in FOLLOWERS]


@pytest.mark.parametrize("folder", folders())
def test_recorded_calls_are_answered_alike(folder, corpora: Path):
    root = corpora / "misp-recorded"
    chain = [folder, *CHAINS.get(folder, [])]
    exchanges = [one for name in chain for one in replay.read(root / name)]
    world = replay.World(next((one.moment for one in exchanges if one.moment), 0))

    wrong = [
        f"{name}: {line}"
        for one in exchanges
        for name, lines in [play(world, one)]
        for line in lines
    ]

    world.close()
    assert wrong == []


def test_a_pull_and_a_push_say_on_the_wire_what_was_recorded(corpora: Path):
    world = replay.World()
    recorded = [json.loads(one.read_text()) for one in wire(corpora, "publish-new")]

    world.call("ci", "POST", "/sharing_groups/edit/1", {"description": "bump"})
    event = {"uuid": UUID, "info": "wire", "distribution": "4", "sharing_group_id": "1"}
    event |= {"Attribute": [{"type": "domain", "value": "host0.example.com"}]}
    world.call("ci", "POST", "/events/add", event)
    for side in world.sides.values():
        side.calls.clear()
    world.call("ci", "POST", f"/events/publish/{UUID}", {})

    for name in ("ci", "cert"):
        said = [
            (one["request"]["method"], one["request"]["path"])
            for one in recorded
            if one["request"]["instance"] == name
        ]
        heard = [(method, path) for method, path, who in world.sides[name].calls if "sync" in who]
        assert heard == said
    world.close()


UUID = "e0000000-0000-4000-8000-000000000140"


def wire(corpora: Path, word: str):
    return sorted((corpora / "misp-recorded" / "13-wire").glob(f"*-sync-{word}-*.json"))


def play(world, one):
    """Return the name of an exchange and what our answer lacks."""
    name = f"{one.file.parent.name}/{one.file.name[:2]}"
    for step in BEFORE.get(name, []):
        step(world)
    if not one.is_call or name in LEFT_OUT:
        return name, []
    status, body = replay.play(world, one)
    if status != one.record["status"]:
        return name, [f"{status}, not {one.record['status']}"]
    said = json.loads(world.expand(json.dumps(one.record.get("body"))))
    if name in STATUS_ONLY or one.record.get("body_truncated") or not isinstance(said, dict | list):
        return name, []
    return name, list(replay.differences(said, body))
