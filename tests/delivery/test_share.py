"""A threat goes to the members of its group, and to nobody else."""

from __future__ import annotations

import pytest

from eme_connector.domain.delivery import State
from eme_connector.domain.playbook import Playbook, Step
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Asset, Tlp
from eme_connector.formats import eme_message
from eme_connector.usecases import decide, share
from tests import build
from tests.build import CERT, CI, GROUP, OTHER_CI, person, token
from tests.delivery.world import PEER_LANE

EVERYONE = {"sharing_groups": [{"uuid": GROUP, "name": "T", "members": [CI, OTHER_CI, CERT]}]}


def test_the_cert_of_the_group_sees_the_threat_with_its_raw_bytes(pair):
    threat = pair.ci.add(share=True, dispatch=False, raw=b'{"a": "bundle"}')

    pair.ci.drain()

    seen = pair.cert.store.find_visible_threat(threat.id, CERT)
    assert seen.detection == threat.detection
    assert (seen.origin, seen.organisation, seen.received_at) == (CI, CI, threat.received_at)
    assert pair.cert.store.raw(threat.id, 1) == b'{"a": "bundle"}'
    assert pair.cert.store.find_visible_threat(threat.id, CI) is None
    assert pair.ci.only("peer").state is State.DELIVERED
    assert pair.ci.only("peer").receipt["stored"] == "new"
    assert pair.ci.threat(threat.id).group_sent
    assert pair.ci.events(threat.id) == ["share-owed", "shared"]
    assert pair.cert.events(threat.id) == ["received"]


def test_a_decision_and_its_dispatch_follow(pair):
    threat = pair.ci.add(share=True, dispatch=False)
    pair.ci.drain()
    wish = decide.Wish(decide.Status.DECLINED, threat.digest)

    decide.decide(threat.id, wish, caller=person(), lanes=lambda _: None, store=pair.ci.store,
                  now=pair.ci.clock())  # fmt: skip
    pair.ci.drain()

    assert [method for method, _ in pair.server.messages] == ["POST", "PATCH"]
    seen = pair.cert.store.find_visible_threat(threat.id, CERT)
    assert seen.status == "declined"
    assert seen.decision.by == "person"
    assert pair.cert.deliveries("dispatch") == pair.cert.deliveries("share") == []


def test_a_state_that_is_no_longer_the_newest_is_skipped(pair):
    threat = pair.ci.add(share=True, dispatch=False)
    decide.close(threat.id, "done", caller=person(), store=pair.ci.store, now=pair.ci.clock())

    pair.ci.drain()

    shares = pair.ci.deliveries("share")
    assert [(one.state, one.reason) for one in shares] == [
        (State.WITHDRAWN, "superseded"),
        (State.DELIVERED, ""),
    ]
    assert len(pair.server.messages) == 1


def test_before_there_is_a_peer_it_stays_owed_and_leaves_once_there_is(strangers):
    threat = strangers.ci.add(share=True, dispatch=False)
    strangers.ci.drain()
    assert strangers.ci.only("peer").state is State.OWED
    assert strangers.ci.only("peer").reason == "no-peer"

    strangers.peer()
    strangers.ci.drain()

    assert strangers.ci.only("peer").state is State.DELIVERED
    assert strangers.cert.store.find_visible_threat(threat.id, CERT)


def test_nobody_is_told_without_a_group(pair):
    threat = pair.ci.add(share=True, dispatch=False)
    decide.set_sharing(threat.id, None, None, caller=person(), topology=pair.ci.eme.topology,
                       store=pair.ci.store, now=pair.ci.clock())  # fmt: skip

    pair.ci.drain()

    assert pair.server.messages == []
    assert not pair.ci.threat(threat.id).group_sent


@pytest.mark.parametrize("tlp", [Tlp.AMBER_STRICT, Tlp.RED])
def test_strict_markings_go_to_named_recipients_only(pair, tlp):
    threat = pair.ci.add(share=True, dispatch=False, tlp=tlp)
    pair.ci.drain()
    assert pair.server.messages == []
    assert pair.ci.only("share").reason == "nobody"

    decide.set_sharing(threat.id, GROUP, (CERT,), caller=person(), topology=pair.ci.eme.topology,
                       store=pair.ci.store, now=pair.ci.clock())  # fmt: skip
    pair.ci.drain()

    assert pair.cert.store.find_visible_threat(threat.id, CERT).recipients == ()


def test_what_waits_for_a_peer_is_withdrawn_when_it_may_no_longer_be_seen(strangers):
    threat = strangers.ci.add(share=True, dispatch=False)
    strangers.ci.drain()
    strangers.ci.change(threat.id, tlp=Tlp.RED)

    strangers.peer()
    strangers.ci.drain()

    assert strangers.server.messages == []
    assert strangers.ci.only("peer").reason == "not-a-viewer"


def _telling(**fields):
    """A threat whose every text names its asset."""
    step = Step("1", "Isolate Host", "isolate", "cam-77", "unplug cam-77", 60, "http://cam-77/")
    playbook = Playbook("Save cam-77", (step,), asset="cam-77", start="1")
    detection = build.detection(
        assets=(Asset("10.9.8.7", "cam-77", 4),),
        playbooks=(playbook,),
        summary="cam-77 at 10.9.8.7 is lost",
        extra='{"where": "10.9.8.7"}',
    )
    return {"detection": detection} | fields


def test_members_that_are_no_cert_are_told_nothing_that_names_an_asset(make):
    ci = make(CI, **EVERYONE)
    threat = ci.add(share=True, dispatch=False, raw=b"10.9.8.7 cam-77", **_telling())

    ci.drain()

    by_lane = {one.lane: one.payload for one in ci.deliveries("peer")}
    assert b"cam-77" in by_lane[PEER_LANE]
    told = by_lane[f"peer:{OTHER_CI}"]
    assert not any(word in told for word in (b"cam-77", b"10.9.8.7", b'"raw"'))
    message = eme_message.parse(told, max_bytes=10**6, max_steps=9)
    assert message.threat.detection.summary == "[asset] at [asset] is lost"
    assert message.threat.detection.assets[0].criticality == 4
    assert message.threat.id == threat.id


def test_a_member_served_here_reads_it_without_any_message(make):
    ci = make(CI, **EVERYONE)
    _give_token(ci, OTHER_CI)
    threat = ci.add(share=True, dispatch=False)

    ci.drain()

    assert ci.store.find_visible_threat(threat.id, OTHER_CI)
    assert [one.lane for one in ci.deliveries("peer")] == [PEER_LANE]


def test_a_sidecar_sends_for_an_organisation_that_it_serves(make, strangers):
    organisations = [
        {"uuid": CI, "name": "CI-1"},
        {"uuid": OTHER_CI, "name": "CI-2", "served_by": CI},
        {"uuid": CERT, "name": "CERT-1", "role": "cert"},
    ]
    both = {"organisations": organisations, **EVERYONE}
    strangers.ci = make(CI, folder="serving", clock=strangers.ci.clock, **both)
    strangers.cert = make(CERT, folder="cert-2", clock=strangers.ci.clock, **both)
    strangers.server.receive = lambda jws: share.receive_message(jws, system=strangers.cert.eme)
    strangers.peer()
    threat = strangers.ci.add(share=True, dispatch=False, organisation=OTHER_CI)

    strangers.ci.drain()

    seen = strangers.cert.store.find_visible_threat(threat.id, CERT)
    assert (seen.organisation, seen.origin) == (OTHER_CI, CI)
    assert strangers.ci.store.find_visible_threat(threat.id, CI)


@pytest.mark.parametrize(
    "word", ["lose", "broken-receipt", "no-receipt", "status:500", "status:401", "status:403"]
)
def test_a_message_is_sent_again_until_its_receipt_holds(pair, word):
    pair.server.behave(word)
    threat = pair.ci.add(share=True, dispatch=False)

    pair.ci.drain()
    assert pair.ci.only("peer").state is State.OWED
    pair.ci.clock.tick(5)
    pair.ci.drain()

    assert pair.ci.only("peer").state is State.DELIVERED
    assert len(pair.server.messages) == 2
    assert pair.cert.events(threat.id) == ["received"]


def test_a_receipt_of_another_key_is_not_taken(pair, make):
    stranger = make(OTHER_CI)
    honest = pair.server.receive
    pair.server.receive = lambda jws: stranger.eme.signer.sign(
        stranger.eme.signer.verify(honest(jws), pair.cert.eme.signer.certificate).payload,
        issued_at=0,
    )
    pair.ci.add(share=True, dispatch=False)

    pair.ci.drain()

    assert pair.ci.only("peer").reason == "receipt-invalid"


def test_a_receipt_for_another_message_is_not_taken(pair):
    honest = pair.server.receive
    receipts = []
    pair.server.receive = lambda jws: receipts.append(honest(jws)) or receipts[0]
    pair.ci.add(share=True, dispatch=False)
    pair.ci.drain()
    pair.ci.add(share=True, dispatch=False)

    pair.ci.drain()

    assert pair.ci.deliveries("peer")[1].reason == "receipt-of-another"


def test_a_peer_that_breaks_our_message_s_rules_refuses_for_good(pair):
    pair.server.behave("status:422")
    pair.ci.add(share=True, dispatch=False)

    pair.ci.drain()

    assert pair.ci.only("peer").state is State.REFUSED


def test_states_of_one_threat_arrive_in_order_and_hold_up_no_other(pair):
    first = pair.ci.add(share=True, dispatch=False)
    pair.server.behave("status:500")
    pair.ci.drain()
    decide.close(first.id, "done", caller=person(), store=pair.ci.store, now=pair.ci.clock())
    second = pair.ci.add(share=True, dispatch=False)

    pair.ci.drain()
    assert pair.cert.store.find_visible_threat(second.id, CERT)
    assert pair.cert.store.find_visible_threat(first.id, CERT) is None
    pair.ci.clock.tick(5)
    pair.ci.drain()

    assert pair.cert.store.find_visible_threat(first.id, CERT).status == "resolved"
    assert pair.cert.events(first.id) == ["received", "updated"]


def _give_token(sidecar, organisation):
    from eme_connector.domain.accounts import Token

    caller = token(Right.READ, organisation=organisation)
    given = Token(caller.id, "hash", "reader", organisation, caller.rights, 0)
    sidecar.store.transact(lambda tx: tx.save_token(given))
