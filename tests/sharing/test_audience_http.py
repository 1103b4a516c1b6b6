"""The same promise over HTTP: our channel sends, a double of MISP decides who reads.

The double shares no code with `audience`: who can read an event is asked of its own state.
"""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import requests

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.misp.channel import Told
from eme_connector.adapters.misp.open import open_channels
from eme_connector.config import Misp as Section
from eme_connector.domain.audience import viewers
from eme_connector.domain.delivery import MISP_LANE, Delivery
from eme_connector.domain.directory import GroupServer
from eme_connector.domain.sharing import MispInstance, SharingGroup
from eme_connector.errors import DeliveryError
from eme_connector.formats.misp_event.event import event_uuid
from tests.doubles.misp import Clock, Misp
from tests.sharing import worlds

SHORT, LONG = 200, 2_000
BEHIND = 2


def alias(url):
    return url.replace("127.0.0.1", "localhost")


class Field:
    """Doubles set up as a world says; the world is rewritten with their URLs."""

    def __init__(self, world):
        topology = world.topology
        clock = Clock()
        self.doubles = []
        self.ours = self._misp(topology.misp, clock)
        behind = topology.behind[:BEHIND]
        remote = [self._misp(one, clock) for one in behind]
        urls = {topology.misp.url: self.ours.url}
        for one, double in zip(behind, remote, strict=True):
            urls |= {one.url: double.url, one.entry: self._url(one, double.url)}
        self.instances = list(zip(behind, remote, strict=True))
        for one, double in self.instances:
            self._link(one, double, urls)
        groups = {u: self._group(g, urls) for u, g in topology.groups.items()}
        self.topology = replace(
            topology,
            groups=groups,
            misp=replace(topology.misp, url=self.ours.url),
            behind=tuple(self._moved(one, urls) for one in behind),
        )
        self._keep(groups)
        self.threat = world.threat

    def close(self):
        for double in self.doubles:
            double.close()

    def readers(self):
        """Return who can read the event, of all organisations, by the doubles' own state."""
        uuid = event_uuid(self.threat.id)
        everybody = {o for one in (self.topology.misp, *self.topology.behind)
                     for o in one.organisations}  # fmt: skip
        return {o for o in everybody if any(d.can_read(o, uuid) for d in self.doubles)}

    def _misp(self, one: MispInstance, clock):
        double = Misp(one.host[:8], one.host, clock=clock)
        self.doubles.append(double)
        for uuid in sorted(one.organisations):
            known = double.state.organisations.by(uuid=uuid)
            double.add_user("user", org=known or double.add_organisation(uuid[:8], uuid))
        return double

    def _url(self, one, url):
        return url if one.entry == one.url else alias(url)

    def _moved(self, one, urls):
        known_as = urls[one.entry] if one.entry != one.url else ""
        return replace(one, url=urls[one.url], known_as=known_as)

    def _link(self, one, double, urls):
        carrier = double.state.organisations.by(uuid=one.carrier)
        carrier = carrier or double.add_organisation(one.carrier[:8], one.carrier)
        key = double.add_user("sync", org=carrier)
        host = self.ours.state.organisations.by(uuid=one.host)
        host = host or self.ours.add_organisation(one.host[:8], one.host, local=False)
        self.ours.add_server(urls[one.entry], key, host)

    def _group(self, group, urls):
        kept = [s for s in group.servers if s.url in urls]
        return replace(group, servers=frozenset(GroupServer(urls[s.url], s.all_orgs) for s in kept))

    def _keep(self, groups):
        relayed = [double for one, double in self.instances if one.relayed]
        for double in (self.ours, *relayed):
            for group in groups.values():
                self._add(double, group)

    def _add(self, double, group: SharingGroup):
        owner = next(iter(sorted(group.members)), self.topology.misp.host)
        body = {
            "name": group.uuid[:8],
            "uuid": group.uuid,
            "releasability": "test",
            "roaming": group.roaming,
            "active": group.active,
            "organisation_uuid": owner,
            "Organisation": {"uuid": owner, "name": owner[:8]},
            "SharingGroupOrg": [
                {"uuid": one, "name": one[:8], "extend": one in group.extending}
                for one in sorted(group.members)
            ],
            "SharingGroupServer": [
                {"Server": {"url": one.url, "name": one.url, "all_orgs": one.all_orgs}}
                for one in group.servers
            ],
        }
        headers = {"Authorization": double.admin, "Accept": "application/json"}
        answer = requests.post(f"{double.url}/sharing_groups/add", json=body, headers=headers,
                               timeout=10)  # fmt: skip
        assert answer.status_code == 200, answer.text


def send(field):
    """Send by the very channel of the product; return its named refusal, or nothing."""
    key = field.ours.add_user("org_admin", email="eme@ours.test")
    section = Section(url=field.ours.url, key=key)
    told = Told(field.threat, b"{}", field.topology)
    channels = open_channels(
        section, Gate.of(("127.0.0.0/8",)), lambda *_: told,
        organisation=field.topology.misp.carrier,
    )  # fmt: skip
    delivery = Delivery(1, "k", MISP_LANE, "misp", field.threat.id, 1)
    try:
        channels[0].send(delivery)
    except DeliveryError as exc:
        return exc.reason
    finally:
        channels[0].close()
    return ""


def check(world):
    field = Field(world)
    try:
        refused = send(field)
        read = field.readers() - {field.topology.misp.carrier}
        told = viewers(field.threat, field.topology)
        seen = {one.organisation for one in told if "misp" in one.ways}
        return SimpleNamespace(refused=refused, read=read, seen=seen)
    finally:
        field.close()


def run(number, chance):
    """Check *number* worlds; what the channel refused, nobody may read, and nobody was named."""
    seen = 0
    for _ in range(number):
        found = check(worlds.make(chance))
        assert found.read == found.seen, found
        seen += bool(found.seen)
    return seen


def test_who_reads_it_on_the_doubles_is_whom_the_preview_named():
    seen = run(SHORT, random.Random(200))

    assert seen > SHORT / 4  # worlds in which nobody sees anything prove little


@pytest.mark.long
def test_who_reads_it_on_the_doubles_in_many_more_worlds():
    run(LONG, random.Random())
