"""Our channels to a pair of MISPs, and threats that go by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.misp import channel as misp_channel
from eme_connector.adapters.misp.channel import Told
from eme_connector.adapters.misp.open import open_channels
from eme_connector.config import Misp
from eme_connector.domain.arrival import check_lane
from eme_connector.domain.delivery import Delivery, Receipt
from eme_connector.domain.sharing import MispInstance, Organisation, SharingGroup, Topology
from eme_connector.domain.threat import Threat
from eme_connector.errors import DeliveryError
from eme_connector.formats.misp_event import event as misp_event
from tests.delivery.world import approved
from tests.misp.contract.conftest import Pair

LOOPBACK = Gate.of(["127.0.0.0/8"])
RAW = b'{"type": "bundle", "note": "raw bytes stay at home"}'


@dataclass
class Post:
    """What a sidecar at A has: channels with keys of both sides, and what it knows of groups."""

    pair: Pair
    role: str = "org_admin"
    look_as: str = "user"
    section: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, SharingGroup] = field(default_factory=dict)
    threats: dict[str, Threat] = field(default_factory=dict)
    raw: bytes = RAW
    at_home: bool = False

    def __post_init__(self) -> None:
        a, b = self.pair.a, self.pair.b
        settings = {
            "url": a.url,
            "key": a.key(self.role),
            "receivers": [
                {"organisation": b.organisation, "url": b.url, "key": b.key(self.look_as)}
            ],
        } | self.section
        config = Misp.model_validate(settings)
        channels = open_channels(config, LOOPBACK, self.source, organisation=a.organisation)
        ours = channels[0]
        ours._terms = replace(ours._terms, **self.terms)
        ours._publisher._wait_s = ours._terms.publish_wait_s
        self.channels = {one.lane: one for one in channels}

    def source(self, threat_id: str, _: str) -> Told | None:
        found = self.threats.get(threat_id)
        return Told(found, self.raw, self.topology()) if found else None

    def topology(self) -> Topology:
        a, b = self.pair.a, self.pair.b
        known = {one.organisation: Organisation(one.organisation, one.name) for one in (a, b)}
        here = {a.organisation, b.organisation} if self.at_home else {a.organisation}
        ours = MispInstance(a.url, a.organisation, a.organisation, frozenset(here))
        theirs = MispInstance(b.url, b.organisation, a.organisation, frozenset({b.organisation}))
        return Topology(known, self.groups, ours, (theirs,))

    def group(self, **how: Any) -> str:
        """Make a group at A and know it; `known` are its members as our registers have them."""
        known = how.pop("known", None) or (self.pair.a.organisation, self.pair.b.organisation)
        uuid, _ = self.pair.group(**(self.pair.both() | how))
        self.know(uuid, *known)
        return uuid

    def know(self, uuid: str, *members: str) -> None:
        self.groups[uuid] = SharingGroup(uuid, f"group {uuid[:8]}", frozenset(members))

    def threat(self, group: str | None = "", **fields: Any) -> Threat:
        """Return a threat of A, in a group that works unless one is given."""
        chosen = self.group() if group == "" else group
        bundle = f"bundle--{uuid4()}"
        a = self.pair.a.organisation
        return self.put(
            approved(**{"organisation": a, "group": chosen, "bundle_id": bundle} | fields)
        )

    def put(self, threat: Threat) -> Threat:
        self.threats[threat.id] = threat
        return threat

    def change(self, threat: Threat, **fields: Any) -> Threat:
        """Return the threat one state later, and let it be the one that is told."""
        now = self.threats[threat.id]
        later = {"sequence": now.sequence + 1, "updated_at": now.updated_at + 1_000_000}
        return self.put(replace(now, **later | fields))

    def send(self, threat: Threat, attempts: int = 1) -> Receipt:
        return self.channels["misp"].send(self.delivery("misp", threat, attempts))

    def check(self, threat: Threat, attempts: int = 1) -> Receipt:
        """Look into B's MISP."""
        lane = check_lane(self.pair.b.organisation)
        return self.channels[lane].send(self.delivery(lane, threat, attempts))

    def delivery(self, lane: str, threat: Threat, attempts: int = 1) -> Delivery:
        kind = "misp" if lane == "misp" else "misp-check"
        now = self.threats[threat.id]
        return Delivery(
            1, str(uuid4()), lane, kind, threat.id, now.sequence, attempts=attempts,
            organisation=threat.organisation,
        )  # fmt: skip

    def event(self, threat: Threat, side: str = "a", **how: Any) -> dict[str, Any]:
        return getattr(self.pair, side).event(uuid_of(threat), **how)

    def has(self, threat: Threat, side: str = "a", **how: Any) -> bool:
        return bool(getattr(self.pair, side).has(uuid_of(threat), **how))

    def close(self) -> None:
        for one in self.channels.values():
            one.close()


class Posting:
    """Opens posts for tests, and closes them; a subclass gives the `pair`."""

    @pytest.fixture
    def made(self):
        found: list[Post] = []
        yield found
        for one in found:
            one.close()

    @pytest.fixture
    def open_post(self, pair, made):
        def act(**how):
            made.append(Post(pair, **how))
            return made[-1]

        return act

    @pytest.fixture
    def post(self, open_post):
        return open_post()


def uuid_of(threat: Threat) -> str:
    return misp_event.event_uuid(threat.id)


@contextmanager
def refused(reason: str, *said: str) -> Iterator[pytest.ExceptionInfo[DeliveryError]]:
    """Expect a failure of that name whose detail names *said*."""
    with pytest.raises(DeliveryError) as found:
        yield found
    assert found.value.reason == reason, found.value
    assert [one for one in said if one not in found.value.detail] == []


def rendered_as(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], None]) -> None:
    """Let the mapping make a mistake: *change* alters each event before it is sent."""
    render = misp_event.render

    def wrong(*given: Any) -> dict[str, Any]:
        event = render(*given)
        change(event)
        return event

    monkeypatch.setattr(misp_channel.misp_event, "render", wrong)


def values(event: dict[str, Any], relation: str) -> list[str]:
    """Return the values of *relation* in the objects of *event* that are there."""
    return [
        attribute["value"]
        for one in event["Object"]
        for attribute in one["Attribute"]
        if attribute["object_relation"] == relation
        and not (one.get("deleted") or attribute.get("deleted"))
    ]


def tags(event: dict[str, Any]) -> set[str]:
    return {one["name"] for one in event.get("Tag", ())}


def attribute_tags(event: dict[str, Any]) -> set[str]:
    """Return the tags of all that is there in the objects of *event*."""
    there = (a for one in event["Object"] for a in one["Attribute"] if not a.get("deleted"))
    return {name for one in there for name in tags(one)}
