"""Events that came to our MISP become threats: whose, for whom, once, and only if believed."""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import uuid4

import pytest

from eme_connector.domain.accounts import Peer
from eme_connector.domain.misp import VIA_MISP
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Kind, Tlp
from eme_connector.errors import DeliveryError, NotAllowed, NotFound
from eme_connector.formats import eme_message
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event.event import Rendering
from eme_connector.usecases import misp_poll, share
from eme_connector.usecases.obligations import owe_share
from tests.build import CERT, CI, GROUP, OTHER_CI, token
from tests.delivery.world import fresh
from tests.misp.community import Community, foreign
from tests.misp.post import uuid_of


@pytest.fixture
def community(tmp_path):
    made = Community(tmp_path)
    yield made
    made.close()


@pytest.fixture
def all_events(tmp_path):
    made = Community(tmp_path, take_in="all")
    yield made
    made.close()


def put(community, threat, **more):
    """Let somebody at the CERT's MISP write an event that looks like a sidecar's."""
    event = misp_event.render(threat, Rendering("CI-1"))
    event |= {"distribution": "3", "published": True} | more
    answer = community.pair.b.post("/events/add", event)
    assert answer.status == 200, answer.text
    return event


def test_what_an_operator_shares_becomes_a_threat_at_the_cert(community):
    threat = community.share()

    counts = community.poll(community.cert)

    assert counts["new"] == 1
    told = community.cert.store.find_visible_threat(threat.id, CERT)
    assert (told.organisation, told.origin, told.group) == (CI, CI, GROUP)
    assert (told.detection.name, told.tlp, told.status) == (
        threat.detection.name,
        Tlp.AMBER,
        threat.status,
    )
    assert [one.action for one in told.detection.steps] == ["isolate", "block_service"]
    assert VIA_MISP in told.flags
    assert told.detection.assets[0].address == ""
    assert community.cert.events(threat.id) == ["received"]


def test_a_second_look_takes_nothing_twice(community):
    threat = community.share()
    community.poll(community.cert)
    community.b.calls.clear()

    counts = community.poll(community.cert)

    assert (counts.get("new"), counts["repeat"]) == (None, 1)
    reads = [path for method, path, _ in community.b.calls if path.startswith("/events/view")]
    assert reads == []
    assert community.cert.events(threat.id) == ["received"]


def test_a_change_follows(community):
    threat = community.share()
    community.poll(community.cert)
    before = community.ci.threat(threat.id)
    changed = replace(before.detection, name="Adversarial patch, confirmed")
    later = {"detection": changed, "sequence": before.sequence + 1, "revision": 2}
    community.ci.change(threat.id, **later)
    community.ci.store.transact(lambda tx: share_again(tx, threat.id))
    community.deliver(community.ci)

    counts = community.poll(community.cert)

    assert counts["updated"] == 1
    told = community.cert.threat(threat.id)
    assert (told.detection.name, told.revision) == ("Adversarial patch, confirmed", 2)
    assert community.cert.events(threat.id) == ["received", "updated"]


def share_again(tx, threat_id):
    owe_share(tx.find_threat(threat_id), tx)


def test_our_own_event_is_known_when_it_is_there_again(community):
    community.share()

    counts = community.poll(community.ci)

    assert (counts["own"], counts.get("new")) == (1, None)


def test_an_old_state_changes_nothing(community):
    threat = community.share()
    community.poll(community.cert)
    community.cert.change(threat.id, sequence=99)
    community.pair.b.post(f"/events/edit/{uuid_of(threat)}", {"info": "touched"})
    community.pair.b.post(f"/events/publish/{uuid_of(threat)}")
    community.later()

    assert community.poll(community.cert)["repeat"] >= 1
    assert community.cert.threat(threat.id).sequence == 99


def test_a_threat_in_another_organisations_event_is_refused(community):
    put(community, fresh(organisation=OTHER_CI), Orgc={"uuid": CI, "name": "CI-1"})

    counts = community.poll(community.cert)

    assert counts["reasons"] == {"not-the-threat-of-its-organisation": 1}


def test_an_event_that_is_not_its_threats_own_is_refused(community):
    put(community, fresh(), uuid=str(uuid4()), Orgc={"uuid": CI, "name": "CI-1"})

    assert community.poll(community.cert)["reasons"] == {"not-the-event-of-its-threat": 1}


def test_nobody_else_speaks_about_a_threat_of_ours(community):
    ours = community.cert.add(dispatch=None, organisation=CERT)
    put(community, replace(ours, organisation=CI), Orgc={"uuid": CI, "name": "CI-1"})

    counts = community.poll(community.cert)

    assert counts["reasons"] == {"not-theirs": 1}
    assert community.cert.threat(ours.id) == ours


def test_a_refused_event_is_not_read_again_until_it_changes(community):
    put(community, fresh(organisation=OTHER_CI), Orgc={"uuid": CI, "name": "CI-1"})
    community.poll(community.cert)

    assert community.poll(community.cert)["repeat"] == 1


def test_what_a_sidecar_signs_for_takes_the_place_of_what_a_misp_told(community):
    threat = community.share()
    community.poll(community.cert)
    full = community.ci.threat(threat.id)
    message = eme_message.render(full, recipient=CERT, full=True, first=True)
    trust(community)

    jws = community.ci.eme.signer.sign(
        eme_message.with_id(message, str(uuid4())), issued_at=community.clock()
    )
    share.receive_message(jws, system=community.cert.eme)

    told = community.cert.threat(threat.id)
    assert VIA_MISP not in told.flags
    assert told.detection.assets == full.detection.assets
    community.pair.b.post(f"/events/edit/{uuid_of(threat)}", {"info": "touched"})
    community.pair.b.post(f"/events/publish/{uuid_of(threat)}")
    community.later()
    assert community.poll(community.cert)["reasons"] == {"known-by-sidecar": 1}


def trust(community):
    signer = community.ci.eme.signer
    peer = Peer(CI, "CI-1", "https://ci.example", signer.certificate, signer.fingerprint, 1)
    community.cert.store.transact(lambda tx: tx.save_peer(peer))


def test_nothing_is_taken_in_for_whom_it_is_not(community):
    threat = community.share()
    group = community.b.state.groups.known(GROUP)
    group.members = [one for one in group.members if one.org_id != community.b.organisation.id]
    group.servers[1].all_orgs = True

    counts = community.poll(community.cert)

    assert counts["reasons"] == {"nobody-here-may-read-it": 1}
    assert community.cert.threat(threat.id) is None


def test_an_outage_in_the_middle_loses_and_doubles_nothing(community):
    threats = [community.share() for _ in range(4)]
    # a search, one event, and then it is gone
    community.b.behave("", "", "die")

    with pytest.raises(DeliveryError):
        community.poll(community.cert)
    community.poll(community.cert)

    for one in threats:
        assert community.cert.events(one.id) == ["received"]


def test_events_that_no_sidecar_made_are_left_alone(community):
    community.pair.a.post("/events/add", foreign())
    community.later()

    counts = community.poll(community.cert)

    assert (counts["other"], counts.get("new")) == (1, None)


def test_they_become_threats_where_that_is_wanted(all_events):
    event = foreign()
    all_events.pair.a.post("/events/add", event)
    all_events.later()

    counts = all_events.poll(all_events.cert)

    assert counts["new"] == 1
    mark = all_events.cert.store.mark("event", event["uuid"])
    told = all_events.cert.threat(mark.threat_id)
    assert (told.organisation, told.detection.name, told.tlp) == (CI, event["info"], Tlp.GREEN)
    assert (told.detection.risk_score, told.detection.kind) == (8.0, Kind.ATTACK)
    assert all_events.cert.store.find_visible_threat(told.id, CERT) == told


def test_and_follow_their_changes_under_the_same_id(all_events):
    event = foreign()
    all_events.pair.a.post("/events/add", event)
    all_events.poll(all_events.cert)
    all_events.later()
    all_events.pair.a.post(f"/events/edit/{event['uuid']}", {"info": "CVE-2026-1234 again"})
    all_events.pair.a.post(f"/events/publish/{event['uuid']}")
    before = all_events.cert.store.mark("event", event["uuid"]).threat_id

    assert all_events.poll(all_events.cert)["updated"] == 1

    told = all_events.cert.threat(before)
    assert (told.detection.name, told.detection.kind) == (
        "CVE-2026-1234 again",
        Kind.VULNERABILITY,
    )


def test_a_hint_makes_us_look_at_once(community):
    threat = community.share()

    misp_poll.hint(caller=token(Right.SYNC, organisation=CERT), system=community.cert.eme)

    until = time.monotonic() + 10
    while community.cert.threat(threat.id) is None and time.monotonic() < until:
        time.sleep(0.02)
    assert community.cert.events(threat.id) == ["received"]


def test_a_hint_needs_its_right_and_a_misp(community, tmp_path):
    with pytest.raises(NotAllowed):
        misp_poll.hint(caller=token(Right.READ, organisation=CERT), system=community.cert.eme)
    never = Community(tmp_path / "never", poll_s=0)
    with pytest.raises(NotFound):
        misp_poll.hint(caller=token(Right.SYNC, organisation=CERT), system=never.cert.eme)
    never.close()
