"""Threats on their way to MISP: what waits, what is sent once, and what a person reads about it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from eme_connector.domain.arrival import arrivals, check_lane, event_url
from eme_connector.domain.delivery import State
from eme_connector.errors import Conflict
from eme_connector.usecases import deliver
from eme_connector.usecases.obligations import owe_share
from tests.build import CERT, CI, GROUP, person
from tests.delivery.world import Sidecar
from tests.doubles.misp import Misp, connect
from tests.doubles.misp.rows import Member
from tests.misp.contract.conftest import Pair, Side
from tests.misp.post import uuid_of, values
from tests.store.some import update

CHECK = check_lane(CERT)


class Place:
    """A sidecar of CI-1 with a MISP, and CERT-1's MISP behind it."""

    def __init__(self, folder, **section):
        self.a, self.b = Misp("CI-1", CI), Misp("CERT-1", CERT)
        connect(self.a, self.b)
        self.make_group()
        key = self.b.add_user("user")
        self.section = {
            "url": self.a.url, "key": self.a.add_user("org_admin"), "debounce_s": 2, "width": 4,
            "receivers": [{"organisation": CERT, "url": self.b.url, "key": key}],
        }  # fmt: skip
        self.sidecar = Sidecar(folder, CI, misp=self.section | section)
        self.clock, self.store = self.sidecar.clock, self.sidecar.store

    def make_group(self):
        pair = Pair(Side(self.a.url, self.a.admin, organisation=CI, name="CI-1"),
                    Side(self.b.url, self.b.admin, organisation=CERT, name="CERT-1"))  # fmt: skip
        pair.group(**pair.both() | {"uuid": GROUP})

    def detect(self, **fields):
        return self.sidecar.add(dispatch=None, share=True, **fields)

    def change(self, threat):
        """Change the threat once more, and owe its group the news."""

        def work(tx):
            before = tx.find_threat(threat.id)
            after = replace(before, sequence=before.sequence + 1)
            tx.save_threat(after, before)
            owe_share(after, tx)

        self.store.transact(work)

    def drain(self, seconds=0.0):
        self.clock.tick(seconds)
        return self.sidecar.drain(timeout=30)

    def rows(self, kind="misp"):
        return self.sidecar.deliveries(kind)

    def event(self, threat, side="a"):
        misp = getattr(self, side)
        return Side(misp.url, misp.admin).event(uuid_of(threat))

    def adds(self):
        return sum(path == "/events/add" for _, path, who in self.a.calls if "org_admin" in who)

    def edits(self):
        return sum(path.startswith("/events/edit") for _, path, who in self.a.calls
                   if "org_admin" in who)  # fmt: skip

    def close(self):
        self.sidecar.close()
        self.a.close()
        self.b.close()


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.close()


def test_a_shared_threat_becomes_an_event_that_is_looked_for_at_the_member(place):
    threat = place.detect()

    place.drain()
    place.drain(3)

    (sent,), (look,) = place.rows(), place.rows("misp-check")
    assert (sent.state, look.state, look.lane) == (State.DELIVERED, State.DELIVERED, CHECK)
    deliveries = place.store.deliveries_of(threat.id)
    (member,) = arrivals(deliveries)
    assert (member.organisation, member.status, member.reason) == (CERT, "arrived", "")
    assert event_url(deliveries) == f"{place.a.url}/events/view/{uuid_of(threat)}"
    assert place.sidecar.events(threat.id)[-2:] == ["in-misp", "seen"]


def test_changes_within_the_window_are_one_event(place):
    threat = place.detect()
    place.drain()
    for _ in range(5):
        place.change(threat)
        place.drain(0.3)
    assert place.adds() == 0

    place.drain(2)

    assert (place.adds(), place.edits(), len(place.rows())) == (1, 0, 1)
    assert values(place.event(threat, "b"), "sequence") == ["6"]


def test_a_stream_of_changes_does_not_put_it_off_for_ever(place):
    threat = place.detect()

    for _ in range(10):
        place.change(threat)
        place.drain(1)

    assert place.adds() == 1
    assert place.edits() >= 3


def test_rows_do_not_grow_while_misp_is_down_and_the_newest_state_goes_once(place):
    place.a.down()
    threats = [place.detect() for _ in range(3)]
    for _ in range(10):
        for one in threats:
            place.change(one)
        place.drain(1)
    assert len(place.rows()) == 3
    assert {one.state for one in place.rows()} == {State.OWED}

    place.a.up()
    place.drain(400)

    assert {one.state for one in place.rows()} == {State.DELIVERED}
    assert (place.adds(), place.edits()) == (3, 0)
    assert {values(place.event(one), "sequence")[0] for one in threats} == {"11"}


def test_a_receiver_that_is_down_keeps_nothing_from_our_own_misp(place):
    place.b.down()
    threats = [place.detect() for _ in range(5)]
    place.drain()

    place.drain(3)

    assert {one.state for one in place.rows()} == {State.DELIVERED}
    (member,) = arrivals(place.store.deliveries_of(threats[0].id))
    assert (member.status, member.reason) == ("unknown", "unreachable")
    assert {one.state for one in place.rows("misp-check")} == {State.OWED}


def test_a_newer_state_takes_the_place_of_a_look_that_waits(place):
    for server in place.a.state.servers.values():
        server.flags["push"] = False
    threat = place.detect()
    place.drain()
    place.drain(3)
    (member,) = arrivals(place.store.deliveries_of(threat.id))
    assert (member.status, member.reason) == ("not-pushed", "not-seen-there")

    for server in place.a.state.servers.values():
        server.flags["push"] = True
    place.change(threat)
    place.drain()
    place.drain(3)

    assert [one.state for one in place.rows("misp-check")] == [State.DELIVERED]
    (member,) = arrivals(place.store.deliveries_of(threat.id))
    assert (member.status, member.sequence) == ("arrived", 2)


def test_to_send_again_what_was_not_right_at_a_member_leaves_our_misp_anew(place):
    threat = place.detect()
    place.drain()
    place.drain(3)
    stranger = place.b.add_organisation("Other")
    there = place.b.state.groups.known(GROUP)
    there.members.append(Member(stranger.id, False, 99))
    place.change(threat)
    place.drain()
    place.drain(3)
    (look,) = [one for one in place.rows("misp-check") if one.state is State.REFUSED]
    assert (look.reason, look.receipt["detail"]) == ("group-wider-there", stranger.uuid)
    assert arrivals(place.store.deliveries_of(threat.id))[0].reason == "group-wider-there"

    there.members.pop()
    deliver.retry(look.id, caller=person(), system=place.sidecar.eme)
    place.drain(1)

    assert [one.state for one in place.rows()] == [State.DELIVERED] * 3
    assert arrivals(place.store.deliveries_of(threat.id))[0].reason == ""


def test_what_a_member_missed_while_its_misp_was_down_leaves_again_by_itself(place):
    place.b.down()
    threats = [place.detect(), place.detect()]
    place.drain()
    place.drain(3)
    assert {one.state for one in place.rows("misp-check")} == {State.OWED}
    place.b.up()
    for _ in range(3):
        place.drain(400)

    looks = place.rows("misp-check")
    assert [one.state for one in looks] == [State.DELIVERED] * 2
    assert len(place.rows()) == 4
    assert all(place.event(threat, "b") for threat in threats)


def test_what_no_look_saw_a_member_miss_can_be_sent_again_by_a_person(place):
    place.b.down()
    threat = place.detect()
    place.drain()
    place.drain(3)
    (look,) = place.rows("misp-check")
    update(place.store, look, reason="")  # as if it had been down for a moment only
    place.b.up()
    place.drain(400)
    (look,) = place.rows("misp-check")
    assert (look.state, look.reason) == (State.OWED, "not-seen-there")

    deliver.retry(look.id, caller=person(), system=place.sidecar.eme)
    with pytest.raises(Conflict):
        deliver.retry(look.id, caller=person(), system=place.sidecar.eme)
    assert arrivals(place.store.deliveries_of(threat.id))[0].reason == "on-its-way"
    place.drain(3)

    assert [one.state for one in place.rows("misp-check")] == [State.DELIVERED]
    assert arrivals(place.store.deliveries_of(threat.id))[0].status == "arrived"


def test_a_group_that_would_hide_it_keeps_it_owed_until_it_is_mended(place):
    group = place.a.state.groups.known(GROUP)
    servers, group.servers = group.servers, group.servers[:1]
    threat = place.detect()
    place.drain()
    place.drain(3)
    (one,) = place.rows()
    assert (one.state, one.reason) == (State.OWED, "no-servers")

    group.servers = servers
    place.drain(400)

    assert [one.state for one in place.rows()] == [State.DELIVERED]
    assert "detail" not in place.rows()[0].receipt
    assert arrivals(place.store.deliveries_of(threat.id))[0].status == "arrived"


@pytest.mark.parametrize(
    "number", [40, pytest.param(200, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_an_outage_in_the_middle_loses_and_doubles_nothing(tmp_path, number):
    rules = {"retry_first_s": 0.05, "retry_most_s": 0.5}
    place = Place(tmp_path, debounce_s=0)
    place.sidecar.close()
    place.sidecar = Sidecar(tmp_path, CI, clock=time.time, misp=place.section, delivery=rules)
    place.store = place.sidecar.store
    threats = [place.detect() for _ in range(number)]
    place.sidecar.worker.start()

    def done(lane="misp"):
        time.sleep(0.1)
        return place.store.delivery_counts().get((lane, State.DELIVERED), 0)

    def is_amid():
        return len(place.a.state.events.values()) > number // 4

    assert place.sidecar.drain(until=is_amid, timeout=60)
    place.a.down()
    time.sleep(0.5)
    reached = done()
    place.a.up()
    assert reached < number
    assert place.sidecar.drain(until=lambda: done() == number, timeout=120)

    uuids = [one.uuid for one in place.a.state.events.values()]
    assert sorted(uuids) == sorted(uuid_of(one) for one in threats)
    assert place.sidecar.drain(until=lambda: done(CHECK) == number, timeout=60)
    assert all(place.b.can_read(CERT, uuid) for uuid in uuids)
    place.close()
