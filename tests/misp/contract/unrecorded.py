"""What was done between the recorded calls and is not in a file: told from the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.doubles.misp.protection import make_key
from tests.misp.contract.replay import CI, World

Step = Callable[[World], Any]


def event(number: int, info: str, value: str, **more: Any) -> Step:
    """Return a step that adds the event of that number, as the recorder made them."""
    document = {
        "uuid": f"e0000000-0000-4000-8000-{number:012x}",
        "info": info,
        "date": "2026-11-21",
        "distribution": "4",
        "sharing_group_id": "1",
        "threat_level_id": "2",
        "analysis": "0",
        "Attribute": [
            {
                "uuid": f"a0000000-0000-4000-8000-{number * 16:012x}",
                "type": "ip-dst",
                "category": "Network activity",
                "value": value,
                "to_ids": True,
                "distribution": "5",
            }
        ],
    }
    side = more.pop("side", "ci")
    return call(side, "POST", "/events/add", document | more)


def call(side: str, method: str, path: str, body: Any = None) -> Step:
    return lambda world: world.call(side, method, path, body)


def publish(number: int, side: str = "ci") -> Step:
    return call(side, "POST", f"/events/publish/e0000000-0000-4000-8000-{number:012x}", {})


def search_events() -> list[Step]:
    steps: list[Step] = []
    for number in range(1, 8):
        tags = ["tlp:amber", "tlp:green"][: 1 + number % 2]
        shared = {} if number < 5 else {"distribution": "0", "sharing_group_id": "0"}
        tagged = {"Tag": [{"name": name} for name in tags]}
        step = event(number, f"search {number}", f"198.51.100.{number + 1}", **tagged, **shared)
        steps.append(step)
    return [*steps, publish(1)]


CI_ONLY = {
    "name": "SG CI only",
    "uuid": "5a5a5a5a-0000-4000-8000-000000000029",
    "releasability": "test",
    "SharingGroupOrg": [{"extend": True, "Organisation": {"name": CI[0], "uuid": CI[1]}}],
    "SharingGroupServer": [{"Server": {"url": "http://127.0.0.1:8081"}}],
}


def no_servers(world: World) -> None:
    """Take the group's server rows away, as somebody did in the database."""
    world.sides["ci"].state.groups[2].servers.clear()


def organisations_that_were_there(world: World) -> None:
    world.sides["ci"].state.organisations.last = 10


def servers_that_were_there(number: int) -> Step:
    def act(world: World) -> None:
        for side in world.sides.values():
            side.state.servers.last = number

    return act


def server(**more: Any) -> Step:
    return call("ci", "POST", "/servers/edit/3", more)


def background(world: World) -> None:
    for side in world.sides.values():
        side.background = True
        side.jobs_held = True


def work(world: World) -> None:
    for side in world.sides.values():
        side.work()


def gate(event_document: dict[str, Any]) -> str:
    return (
        "blocked by EME policy: playbook not approved" if "block" in event_document["info"] else ""
    )


def gate_closed(world: World) -> None:
    world.sides["ci"].gate = gate


def gate_broken(world: World) -> None:
    def broken(_: dict[str, Any]) -> str:
        raise ConnectionError("Could not load class for module: eme_gate")

    world.sides["ci"].gate = broken


def keys(world: World) -> None:
    world.own_key = make_key(world.sides["ci"])
    make_key(world.sides["cert"])


PUBLISHED = {"distribution": "3", "sharing_group_id": "0"}
BEFORE: dict[str, list[Step]] = {
    "01-basics/35": [event(1, "for G11 and G13", "198.51.100.2")],
    "02-organisations/12": [organisations_that_were_there],
    "03-sharing-groups/21": [call("ci", "POST", "/sharing_groups/add", CI_ONLY)],
    "03-sharing-groups/51": [event(2, "uses it", "198.51.100.3", sharing_group_id="2")],
    "04-servers/03": [servers_that_were_there(2)],
    "04-servers/12": [server(url="http://127.0.0.1:8082", authkey="B" * 40)],
    "04-servers/13": [server(authkey="EXAMPLE-KEY-cert-publisher")],
    "04-servers/18": [
        event(0x30, "to pull 30", "198.51.100.49", side="cert", **PUBLISHED),
        event(0x31, "to pull 31", "198.51.100.50", side="cert", **PUBLISHED),
        call("cert", "POST", "/servers/edit/1", {"push": False}),
        publish(0x30, "cert"),
        publish(0x31, "cert"),
        call("cert", "POST", "/servers/edit/1", {"push": True}),
    ],
    "04-servers/25": [
        call("ci", "POST", "/servers/edit/1", {"push": False}),
        event(0x33, "to push", "198.51.100.52", **PUBLISHED),
        publish(0x33),
    ],
    "04-servers/26": [call("ci", "POST", "/servers/edit/1", {"push": True})],
    "05-events/31": [event(0x20, "to delete", "198.51.100.33", distribution="0")],
    "05-events/64": [publish(1)],
    "06-search/01": search_events(),
    "07-tags-taxonomies-galaxies/01": [
        event(1, "tags", "198.51.100.2"),
        event(2, "galaxy tag unknown", "198.51.100.3"),
        event(3, "ATLAS cluster", "198.51.100.4"),
    ],
    "g12-background-publish/01": [background],
    "g12-background-publish/04": [work],
    "g12-background-publish/10": [work],
    "s07b-empty-server-list/02": [no_servers],
    "s07b-empty-server-list/08": [background],
    "s07b-empty-server-list/10": [work],
    "w-workflow-blocks-publish/07": [gate_closed],
    "w-workflow-blocks-publish/09": [work],
    "w-workflow-blocks-publish/12": [work],
    "w-workflow-blocks-publish/17": [gate_broken],
    "w-workflow-blocks-publish/19": [work],
    "w-workflow-blocks-publish/25": [work],
    "x-protected-event/01": [keys],
}

# other programs behind MISP, its database and log files, a list cut short in the file
LEFT_OUT = (
    "10-stix",
    "11-modules",
    "13-wire",
    "01-basics/25",
    "01-basics/36",
    "03-sharing-groups/56",
    "03-sharing-groups/57",
    "03-sharing-groups/58",
    "04-servers/32",
    "06-search/31",
    "06-search/32",
    "07-tags-taxonomies-galaxies/14",
    "07-tags-taxonomies-galaxies/15",
    "07-tags-taxonomies-galaxies/19",
    "07-tags-taxonomies-galaxies/28",
    "08-objects-reports-notes/02",
    "08-objects-reports-notes/03",
    "08-objects-reports-notes/04",
    "08-objects-reports-notes/16",
    "g12-background-publish/15",
    "w-workflow-blocks-publish/02",
    "w-workflow-blocks-publish/03",
    "w-workflow-blocks-publish/05",
    "w-workflow-blocks-publish/06",
    "w-workflow-blocks-publish/14",
    "w-workflow-blocks-publish/16",
    "w-workflow-blocks-publish/21",
    "w-workflow-blocks-publish/22",
    "w-workflow-blocks-publish/27",
)
STATUS_ONLY = (
    # rows that MISP writes about itself
    "g12-background-publish/13",
    "s07b-empty-server-list/06",
    "s07b-empty-server-list/13",
    "s17-back-channel-lost-server/10",
)
