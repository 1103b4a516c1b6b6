"""Each check on a peer's message refuses on its own; the numbers are those of usecases/share."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import uuid4

import pytest

from eme_connector.domain.threat import Status, Tlp
from eme_connector.errors import (
    Conflict,
    InvalidMessage,
    Malformed,
    NotAllowed,
    NotAuthenticated,
    TooLarge,
)
from eme_connector.formats import eme_message
from eme_connector.usecases import peering, share
from tests import build
from tests.build import CERT, CI, GROUP, OTHER_CI, person
from tests.delivery.conftest import introduce
from tests.delivery.world import fresh


@pytest.fixture
def cert(pair):
    return pair.cert


@pytest.fixture
def say(pair):
    """Sign a message as the CI and hand it to the CERT; *members* change its members."""

    def one(threat=None, *, signer=None, raw=None, recipient=CERT, issued_at=None, members=None):
        threat = threat or fresh()
        content = eme_message.render(threat, recipient=recipient, full=True, raw=raw)
        content = eme_message.with_id(content, str(uuid4()))
        if members:
            content = json.dumps(json.loads(content) | members).encode()
        signer = signer or pair.ci.eme.signer
        now = pair.cert.clock() if issued_at is None else issued_at
        jws = signer.sign(content, issued_at=now)
        receipt = share.receive_message(jws, system=pair.cert.eme)
        checked = pair.ci.eme.signer.verify(receipt, pair.cert.eme.signer.certificate)
        return eme_message.parse_receipt(checked.payload)

    return one


def _nothing_was_kept(cert):
    return cert.store.last_change() == 0


def test_a_sound_message_is_stored_for_its_recipient_alone(say, cert):
    threat = fresh()

    receipt = say(threat, raw=b"raw")

    assert (receipt.threat, receipt.stored, receipt.sequence) == (threat.id, "new", 1)
    assert cert.store.find_visible_threat(threat.id, CERT)
    assert cert.store.find_visible_threat(threat.id, CI) is None


def test_1_an_unknown_key_is_refused(say, make, cert):
    stranger = make(OTHER_CI)

    with pytest.raises(NotAuthenticated):
        say(signer=stranger.eme.signer)
    assert _nothing_was_kept(cert)


def test_1_a_revoked_key_is_refused(say, pair, cert):
    caller = person(CERT)
    peering.revoke_peer(pair.ci.eme.signer.fingerprint, caller=caller, system=cert.eme)

    with pytest.raises(NotAuthenticated):
        say()


def test_2_a_changed_content_is_refused(pair, cert):
    threat = fresh()
    content = eme_message.render(threat, recipient=CERT, full=True)
    head, body, signature = pair.ci.eme.signer.sign(content, issued_at=cert.clock()).split(".")
    other = pair.ci.eme.signer.sign(content + b" ", issued_at=cert.clock()).split(".")[1]
    assert other != body

    with pytest.raises(NotAuthenticated):
        share.receive_message(f"{head}.{other}.{signature}", system=cert.eme)


@pytest.mark.parametrize(
    "jws", ["", "a.b.c", "a.b", "\u00e9.x.y", "e30.e30.e30", "W10.e30.e30", "a" * 9000]
)
def test_2_what_is_no_jws_is_refused(cert, jws):
    with pytest.raises(NotAuthenticated):
        share.receive_message(jws, system=cert.eme)


def test_2_another_algorithm_is_refused(cert, pair):
    import base64

    def encoded(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    kid = pair.ci.eme.signer.fingerprint
    for algorithm in ("none", "HS256", "RS256"):
        head = encoded({"alg": algorithm, "kid": kid, "iat": int(cert.clock())})
        with pytest.raises(NotAuthenticated):
            share.receive_message(f"{head}.{encoded({})}.", system=cert.eme)


@pytest.mark.parametrize("off", [-901, 901])
def test_2_a_clock_more_than_15_minutes_off_is_refused(say, cert, off):
    with pytest.raises(NotAuthenticated):
        say(issued_at=cert.clock() + off)


def test_2_a_smaller_skew_is_taken_and_shown(say, cert):
    threat = fresh()

    say(threat, issued_at=cert.clock() - 600)

    assert cert.threat(threat.id).flags == ("clock-skew",)
    assert cert.store.timeline(threat.id)[0].detail["skew_s"] == -600


def test_3_a_peer_speaks_for_itself_only(say, cert):
    with pytest.raises(NotAllowed):
        say(fresh(organisation=OTHER_CI))
    with pytest.raises(NotAllowed):
        say(members={"origin": CERT})
    assert _nothing_was_kept(cert)


def test_4_a_message_for_somebody_else_is_refused(say, cert):
    with pytest.raises(NotAllowed):
        say(recipient=OTHER_CI)
    assert _nothing_was_kept(cert)


def test_5_an_unknown_group_is_refused(say, cert):
    with pytest.raises(NotAllowed):
        say(fresh(group=str(uuid4())))
    assert _nothing_was_kept(cert)


def test_5_a_group_without_the_sender_is_refused(make, pair):
    cert = make(CERT, folder="other", sharing_groups=[
        {"uuid": GROUP, "name": "T", "members": [CERT, OTHER_CI]}])  # fmt: skip
    introduce(pair.ci, cert, "http://127.0.0.1:9")
    content = eme_message.render(fresh(), recipient=CERT, full=True)
    jws = pair.ci.eme.signer.sign(content, issued_at=cert.clock())

    with pytest.raises(NotAllowed):
        share.receive_message(jws, system=cert.eme)


def test_6_a_threat_of_our_own_cannot_be_overwritten(say, cert):
    own = cert.add(organisation=CERT, dispatch=False)

    with pytest.raises(Conflict):
        say(replace(fresh(), id=own.id, sequence=9))

    assert cert.threat(own.id) == own


def test_6_a_threat_of_another_peer_cannot_be_overwritten(say, cert):
    threat = fresh()
    say(threat)
    cert.change(threat.id, origin=OTHER_CI)

    with pytest.raises(Conflict):
        say(replace(threat, sequence=9))


def test_7_an_older_state_changes_nothing_and_is_answered_like_a_repeat(say, cert):
    threat = fresh(sequence=5)
    say(threat)

    receipt = say(replace(threat, sequence=4, tlp=Tlp.RED))

    assert (receipt.stored, receipt.sequence) == ("repeat", 5)
    assert cert.threat(threat.id).tlp is Tlp.AMBER
    assert cert.events(threat.id) == ["received", "repeated"]


def test_the_same_message_again_changes_nothing(pair, cert):
    threat = fresh()
    content = eme_message.render(threat, recipient=CERT, full=True)
    content = eme_message.with_id(content, str(uuid4()))
    for _ in range(3):
        jws = pair.ci.eme.signer.sign(content, issued_at=cert.clock())
        receipt = share.receive_message(jws, system=cert.eme)
    checked = pair.ci.eme.signer.verify(receipt, cert.eme.signer.certificate)

    assert eme_message.parse_receipt(checked.payload).stored == "repeat"
    assert cert.events(threat.id) == ["received"]


def test_a_newer_state_replaces_ours_but_not_when_we_received_it(say, cert):
    threat = fresh()
    say(threat, raw=b"one")
    cert.clock.tick(100)
    other = build.detection(iris_id="x", summary="worse")

    say(replace(threat, detection=other, sequence=2, revision=2), raw=b"two")

    stored = cert.threat(threat.id)
    assert stored.detection.summary == "worse"
    assert stored.updated_at - stored.received_at == 100_000_000
    assert cert.store.raw(threat.id, 2) == b"two"


def test_approved_by_a_peer_is_never_dispatched_and_never_passed_on(say, cert):
    from tests.delivery.world import approved

    say(approved())

    assert cert.store.list_deliveries() == ()


def test_two_detections_with_equal_ids_of_a_peer_are_two_threats(say, cert):
    one = fresh()

    say(one)
    say(fresh(detection=one.detection))

    assert cert.store.last_change() == 2


HOSTILE = [
    ("criticality", 9),
    ("received_at", -1),
    ("received_at", 2**54),
    ("id", "../../etc"),
    ("detection.risk_score", 1e308),
    ("detection.risk_score", "nan"),
    ("detection.confidence", -1),
    ("detection.first_seen", "yesterday"),
    ("detection.first_seen", "2024-01-01T00:00:00"),
    ("detection.extra", '{"a": 1, "a": 2}'),
    ("detection.kind", "war"),
    ("detection.assets", [{"criticality": 6}]),
    ("detection.playbooks", [{"name": "p", "steps": [], "valid_until": "soon"}]),
    ("detection.playbooks", [{"name": "p", "steps": [], "impact": -5}]),
    ("detection.playbooks", [{"name": "p", "steps": [
        {"id": "1", "action_text": "x", "action": "explode"}]}]),
    ("detection.playbooks", [{"name": "p", "steps": [
        {"id": "1", "action_text": "x", "action": None, "impact": 101}]}]),
    ("detection.playbooks", [{"name": "p", "steps": [
        {"id": "1", "action_text": "x", "action": None},
        {"id": "1", "action_text": "x", "action": None}]}]),
    ("detection.playbooks", [{"name": "p", "steps": [
        {"id": str(n), "action_text": "x", "action": None} for n in range(257)]}]),
    ("decision.steps", ["9"]),
    ("decision.at", -1),
    ("decision.valid_until", "never"),
    ("resolution", {"by": "x", "at": 2**54, "reason": ""}),
    ("tlp", "purple"),
    ("sequence", 2),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value"), HOSTILE)
def test_values_that_could_break_something_here_are_refused_with_their_place(say, where, value):
    document = json.loads(eme_message.render(fresh(), recipient=CERT, full=True))["threat"]
    parent, _, name = where.rpartition(".")
    (document[parent] if parent else document)[name] = value

    with pytest.raises(InvalidMessage) as caught:
        say(members={"threat": document})

    assert caught.value.pointer.startswith("/threat")


@pytest.mark.parametrize(
    "members",
    [
        {"version": 2},
        {"id": "x"},
        {"origin": None},
        {"sequence": 0},
        {"sequence": True},
        {"revision": "1"},
        {"threat": []},
        {"raw": "%%%"},
    ],
)
def test_a_broken_envelope_is_refused(say, cert, members):
    with pytest.raises(InvalidMessage):
        say(members=members)
    assert _nothing_was_kept(cert)


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"version":1,"version":1}', b"\xff"])
def test_what_is_not_strict_json_is_refused(pair, cert, content):
    jws = pair.ci.eme.signer.sign(content, issued_at=cert.clock())

    with pytest.raises((Malformed, InvalidMessage)):
        share.receive_message(jws, system=cert.eme)


def test_a_message_beyond_the_limit_is_not_even_verified(cert):
    with pytest.raises(TooLarge):
        share.receive_message("a" * (share.max_bytes(cert.eme.config) + 1), system=cert.eme)


def test_members_of_a_newer_peer_are_ignored(say, cert):
    assert say(members={"mood": "good"}).stored == "new"


def test_a_closed_threat_arrives_closed(say, cert):
    from eme_connector.domain.threat import Resolution

    threat = fresh(resolution=Resolution("anna", 1, "seen to"))

    say(threat)

    assert cert.threat(threat.id).status is Status.RESOLVED
    assert cert.threat(threat.id).resolution.by == "person"
