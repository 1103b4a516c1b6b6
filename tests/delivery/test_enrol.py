"""Two sidecars become peers by a handshake: what carries it may be read and replayed by others."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from eme_connector.domain.directory import EncryptionKey
from eme_connector.errors import (
    Conflict,
    DeliveryError,
    InvalidInput,
    NotAuthenticated,
    NotFound,
)
from eme_connector.formats import handshake
from eme_connector.usecases import enrol, peering
from tests.build import CERT, CI, OTHER_CI
from tests.delivery.two import CEREBRATE


def _forge(system, content):
    """Sign what no sidecar would send, with the key of *system*."""
    return system.signer.sign(json.dumps(content).encode(), issued_at=system.clock())


def _said(text):
    return json.loads(handshake.payload(text))


def test_a_finished_handshake_makes_peers_of_both_and_nobody_typed_anything(two):
    offer = two.offer()
    answer = two.accept(offer.offer)
    assert two.peers() == [[], []]

    peer = two.finalise(answer.answer)

    assert two.peers() == [[CERT], [CI]]
    assert peer.fingerprint == two.cert.signer.fingerprint
    assert two.cert.store.peers()[0].fingerprint == two.ci.signer.fingerprint
    assert f"peer:{CERT}" in two.ci.channels()
    assert f"peer:{CI}" in two.cert.channels()


def test_both_sides_remember_who_did_what(two):
    two.finalise(two.accept(two.offer().offer).answer)

    (ours,), (theirs,) = two.ci.store.handshakes(), two.cert.store.handshakes()
    assert (ours.role, ours.stage, ours.fingerprint) == (
        "ours", "finalised", two.cert.signer.fingerprint)  # fmt: skip
    assert (theirs.role, theirs.stage, theirs.created_by) == ("theirs", "finalised", "cerebrate-a")


def test_a_lost_answer_can_be_asked_for_again(two):
    offer = two.offer()

    assert two.accept(offer.offer).answer == two.accept(offer.offer).answer


def test_a_peer_that_is_down_is_told_later_and_trusted_only_then(two):
    answer = two.accept(two.offer().offer).answer
    two.server.behave("status:503", "lose")

    for _ in range(2):
        with pytest.raises(DeliveryError):
            two.finalise(answer)
        assert two.peers()[0] == []
    two.finalise(answer)

    assert two.peers() == [[CERT], [CI]]


def test_finalising_again_with_the_same_answer_changes_nothing(two):
    answer = two.accept(two.offer().offer).answer
    first = two.finalise(answer)
    events = len(two.ci.store.peers()), len(two.cert.store.peers())

    assert two.finalise(answer).fingerprint == first.fingerprint
    assert (len(two.ci.store.peers()), len(two.cert.store.peers())) == events == (1, 1)


# the code alone opens nothing


def test_a_replayed_offer_is_refused_once_it_is_used(two):
    offer = two.offer()
    two.finalise(two.accept(offer.offer).answer)

    with pytest.raises(Conflict, match="finalised"):
        two.accept(offer.offer)


def test_the_code_in_an_offer_with_another_key_is_refused(two):
    """Who has read the inbox offers the same code with a key of their own."""
    offer = two.offer()
    two.accept(offer.offer)
    thief = two.sidecar(CI, "thief")
    stolen = _said(offer.offer) | {"sender": peering.export_peer(thief)}

    with pytest.raises(Conflict, match="another offer"):
        two.accept(_forge(thief, stolen))


def test_an_offer_signed_by_another_key_than_it_names_is_refused(two):
    thief = two.sidecar(CI, "thief")
    content = _said(two.offer().offer)

    with pytest.raises(NotAuthenticated):
        two.accept(_forge(thief, content))


def test_an_answer_by_a_second_key_is_refused(two):
    """Single use: the first key that answers has the code."""
    offer = two.offer()
    thief = two.sidecar(CERT, "thief", serve={"public_url": "http://127.0.0.1:9"})
    with pytest.raises(DeliveryError):
        two.finalise(two.accept(offer.offer, system=thief).answer)

    with pytest.raises(Conflict, match="answered already"):
        two.finalise(two.accept(offer.offer).answer)
    assert two.peers() == [[], []]


def test_of_two_keys_that_answer_at_once_one_is_taken(two):
    offer = two.offer()
    other = two.sidecar(CERT, "other", serve={"public_url": "http://127.0.0.1:9"})
    answers = [two.accept(offer.offer).answer, two.accept(offer.offer, system=other).answer]
    start, told = threading.Barrier(8), []

    def run(answer):
        start.wait()
        try:
            two.finalise(answer)
            told.append("peer")
        except (Conflict, DeliveryError) as exc:
            told.append(type(exc).__name__)

    threads = [threading.Thread(target=run, args=(answers[n % 2],)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(told) == 8
    bound = two.ci.store.handshakes()[0].fingerprint
    won = {two.cert.signer.fingerprint: 4, other.signer.fingerprint: 0}[bound]
    assert told.count("peer") == won
    assert told.count("Conflict") == 4


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"offer": "0" * 64}, "/offer"),
        ({"keys": ["0" * 64, "1" * 64]}, "/keys"),
        ({"to": OTHER_CI}, "/to"),
        ({"handshake": "offer"}, "/handshake"),
        ({"version": 2}, "/version"),
        ({"code": "short"}, "/code"),
        ({"sender": {}}, "/sender/organisation"),
        ({"nonce": 7}, "/nonce"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_its_place(two, changes, pointer):
    content = _said(two.accept(two.offer().offer).answer) | changes

    with pytest.raises(InvalidInput) as caught:
        two.finalise(_forge(two.cert, content))
    assert caught.value.pointer == pointer


def test_an_answer_with_an_invented_code_is_refused(two):
    content = _said(two.accept(two.offer().offer).answer) | {"code": "A" * 26}

    with pytest.raises(NotFound):
        two.finalise(_forge(two.cert, content))


def test_the_organisation_has_to_be_the_one_that_cerebrate_names(two):
    offer = two.offer().offer

    with pytest.raises(InvalidInput, match="Cerebrate"):
        two.accept(offer, says=OTHER_CI)
    with pytest.raises(InvalidInput, match="Cerebrate"):
        two.finalise(two.accept(offer).answer, says=OTHER_CI)


def test_an_offer_for_somebody_else_is_refused(two):
    with pytest.raises(InvalidInput, match="/to"):
        two.accept(two.offer(to=OTHER_CI).offer)


def test_nobody_offers_to_strangers_or_to_themselves(two):
    for wrong in ("99999999-9999-4999-8999-999999999999", CI):
        with pytest.raises(InvalidInput):
            two.offer(to=wrong)


# keys that Cerebrate holds


def _publish(system, signer, **fields):
    key = EncryptionKey("55555555-5555-4555-8555-555555555555", "smime", CI, signer.certificate)
    found = replace(key, **fields)
    system.store.transact(lambda tx: tx.save_entry("cerebrate", found, 1))


def test_a_key_that_cerebrate_holds_is_taken(two):
    _publish(two.cert, two.ci.signer)

    assert two.accept(two.offer().offer).answer


@pytest.mark.parametrize("fields", [{"revoked": True}, {"expires": 1}])
def test_a_key_that_cerebrate_calls_revoked_or_expired_is_refused(two, fields):
    _publish(two.cert, two.ci.signer, **fields)

    with pytest.raises(InvalidInput, match="/sender/certificate"):
        two.accept(two.offer().offer)


def test_an_ordinary_mail_certificate_does_not_stand_in_the_way(two):
    _publish(two.cert, two.cert.signer)

    assert two.accept(two.offer().offer).answer


def test_where_cerebrate_holds_another_key_the_offered_one_is_refused(two):
    _publish(two.cert, two.sidecar(CI, "thief").signer)

    with pytest.raises(InvalidInput, match="/sender/certificate"):
        two.accept(two.offer().offer)


# time


def test_an_offer_is_good_for_a_quarter_of_an_hour(two):
    offer = two.offer()
    two.clock.tick(15 * 60)

    with pytest.raises(Conflict, match="expired"):
        two.accept(offer.offer)
    assert [one.state(offer.expires_at) for one in two.ci.store.handshakes()] == ["expired"]


def test_an_answer_that_comes_too_late_is_refused(two):
    answer = two.accept(two.offer().offer).answer
    two.clock.tick(15 * 60)

    with pytest.raises(Conflict, match="expired"):
        two.finalise(answer)
    assert two.peers() == [[], []]


def test_a_confirmation_that_comes_too_late_is_refused(two):
    answer = two.accept(two.offer().offer).answer
    late = two.server.receive

    def after_a_while(jws):
        two.clock.tick(15 * 60)
        return late(jws)

    two.server.receive = after_a_while
    with pytest.raises(DeliveryError):
        two.finalise(answer)
    assert two.peers() == [[], []]


def test_a_cancelled_handshake_is_over(two):
    offer = two.offer()
    answer = two.accept(offer.offer).answer
    for _ in range(2):
        assert enrol.cancel(offer.code, caller=CEREBRATE, system=two.ci).stage == "cancelled"

    with pytest.raises(Conflict, match="cancelled"):
        two.finalise(answer)


def test_a_finalised_handshake_cannot_be_cancelled(two):
    offer = two.offer()
    two.finalise(two.accept(offer.offer).answer)

    with pytest.raises(Conflict, match="revoke"):
        enrol.cancel(offer.code, caller=CEREBRATE, system=two.ci)
    with pytest.raises(NotFound):
        enrol.cancel("A" * 26, caller=CEREBRATE, system=two.ci)
