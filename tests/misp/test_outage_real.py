"""An outage in the middle of many events, with a real pair of MISPs behind a wire that is cut."""

from __future__ import annotations

import os
import time

import pytest

from eme_connector.domain.arrival import check_lane
from eme_connector.domain.delivery import State
from tests.delivery.world import Sidecar, tree
from tests.misp.contract.conftest import REAL, _real
from tests.misp.post import uuid_of
from tests.servers.wire import Wire

if not all(os.environ.get(name) for name in REAL):
    pytest.skip(f"no real pair of MISPs: set {', '.join(REAL)}, and B's", allow_module_level=True)

NUMBER = int(os.environ.get("EME_TEST_OUTAGE_EVENTS", "40"))


def test_an_outage_in_the_middle_loses_and_doubles_nothing(tmp_path):
    pair = _real()
    ours, theirs = pair.a.organisation, pair.b.organisation
    group, _ = pair.group(**pair.both())
    wire = Wire(pair.a.url)
    receiver = {"organisation": theirs, "url": pair.b.url, "key": pair.b.key("user")}
    sections = tree(tmp_path, ours) | {
        "organisations": [{"uuid": ours, "name": "A"}, {"uuid": theirs, "name": "B"}],
        "sharing_groups": [{"uuid": group, "name": "Outage", "members": [ours, theirs]}],
        "misp": {"url": wire.url, "key": pair.a.key("org_admin"), "receivers": [receiver],
                 "debounce_s": 0, "width": 2},
        "delivery": {"retry_first_s": 0.2, "retry_most_s": 2},
    }  # fmt: skip
    sidecar = Sidecar(tmp_path, ours, clock=time.time, **sections)
    threats = [
        sidecar.add(dispatch=None, share=True, organisation=ours, group=group)
        for _ in range(NUMBER)
    ]
    sidecar.worker.start()

    def done(lane="misp"):
        time.sleep(0.2)
        return sidecar.store.delivery_counts().get((lane, State.DELIVERED), 0)

    def stored():
        what = {"sharinggroup": [group_id(pair.a, group)], "metadata": True, "limit": 10 * NUMBER}
        return [
            one["Event"]["uuid"] for one in pair.a.post("/events/restSearch", what).body["response"]
        ]

    # in the middle of a batch: some are stored, none of them is published
    assert sidecar.drain(until=lambda: len(stored()) >= NUMBER // 4, timeout=15 * NUMBER)
    wire.cut()
    time.sleep(3)
    reached = done()
    wire.mend()
    assert reached < NUMBER
    assert sidecar.drain(until=lambda: done() == NUMBER, timeout=15 * NUMBER)
    assert sidecar.drain(until=lambda: done(check_lane(theirs)) == NUMBER, timeout=5 * NUMBER)
    sidecar.close()

    found = sorted(stored())
    assert found == sorted(uuid_of(one) for one in threats)
    assert all(pair.b.has(uuid, role="user") for uuid in found)


def group_id(side, uuid):
    return side.group(uuid)["SharingGroup"]["id"]
