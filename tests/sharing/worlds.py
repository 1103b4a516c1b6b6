"""Random worlds: organisations, groups, our MISP and those behind it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from uuid import UUID

from eme_connector.domain.directory import GroupServer
from eme_connector.domain.sharing import MispInstance, Organisation, SharingGroup, Topology
from eme_connector.domain.threat import Threat, Tlp
from tests.build import threat
from tests.sharing.misp_rules import GroupCopy, Instance, Link

OURS = "https://misp.ours.example"


@dataclass
class World:
    topology: Topology
    ours: Instance
    instances: list[Instance]
    threat: Threat


def make(chance: random.Random) -> World:
    """Return a world of at most 12 organisations, 8 groups and 5 MISPs, and a threat in it."""
    uuids = [
        str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(chance.randint(1, 12))
    ]
    homes = [_instance(chance, number, uuids) for number in range(chance.randint(0, 4))]
    own = chance.choice(uuids)
    ours = MispInstance(OURS, own, own, frozenset({own, *_some(chance, uuids)}))
    groups = [_group(chance, own, uuids, [ours, *homes]) for _ in range(chance.randint(1, 8))]
    topology = Topology(
        {one: Organisation(one, one[:4]) for one in uuids if chance.random() < 0.9},
        {one.uuid: one for one in groups},
        ours,
        tuple(homes),
    )
    chosen = chance.choice([None, *groups, *groups])
    found = threat(
        organisation=own,
        group=chosen.uuid if chosen else None,
        tlp=chance.choice([Tlp.CLEAR, Tlp.GREEN, *[Tlp.AMBER] * 8, Tlp.AMBER_STRICT, Tlp.RED]),
        recipients=tuple(_some(chance, uuids)),
    )
    return World(topology, *_as_misp(topology), found)


def _instance(chance: random.Random, number: int, uuids: list[str]) -> MispInstance:
    url = f"https://misp-{number}.example"
    alike = f"https://MISP-{number}.example/"
    return MispInstance(
        url=url,
        host=chance.choice(uuids),
        carrier=chance.choice(uuids),
        organisations=frozenset(_some(chance, uuids)),
        known_as=alike if chance.random() < 0.15 else url,
        relayed=chance.random() < 0.4,
    )


def _group(
    chance: random.Random, own: str, uuids: list[str], known: list[MispInstance]
) -> SharingGroup:
    members = frozenset(_some(chance, uuids)) | ({own} if chance.random() < 0.8 else set())
    texts = [one.url for one in known] + [one.known_as for one in known if one.known_as]
    servers = {url: chance.random() < 0.3 for url in texts if chance.random() < 0.6}
    return SharingGroup(
        _uuid(chance),
        "G",
        members,
        extending=frozenset(one for one in members if chance.random() < 0.3),
        roaming=chance.random() < 0.4,
        servers=frozenset(GroupServer(url, open_) for url, open_ in servers.items()),
        active=chance.random() < 0.95,
        cap=Tlp.GREEN if chance.random() < 0.1 else None,
    )


def _uuid(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def _some(chance: random.Random, uuids: list[str]) -> list[str]:
    return [one for one in uuids if chance.random() < chance.choice([0.2, 0.5, 0.9])]


def _as_misp(topology: Topology) -> tuple[Instance, list[Instance]]:
    behind = [Instance(one.url, set(one.organisations)) for one in topology.behind]
    links = [
        Link(one.entry, instance, one.host, one.carrier)
        for one, instance in zip(topology.behind, behind, strict=True)
    ]
    ours = Instance(topology.misp.url, set(topology.misp.organisations), links=links)
    keepers = [ours] + [
        instance for one, instance in zip(topology.behind, behind, strict=True) if one.relayed
    ]
    for instance in keepers:
        for uuid, group in topology.groups.items():
            instance.hold(uuid, _copy(group))
    return ours, behind


def _copy(group: SharingGroup) -> GroupCopy:
    servers = {one.url: one.all_orgs for one in group.servers}
    return GroupCopy(dict.fromkeys(group.members, False), servers, group.roaming)
