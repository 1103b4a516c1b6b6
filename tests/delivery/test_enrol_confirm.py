"""The last step of a handshake, which anybody can post; keys that change; rights."""

from __future__ import annotations

import pytest

from eme_connector.domain.rights import Caller, Right
from eme_connector.errors import (
    DeliveryError,
    NotAllowed,
    NotAuthenticated,
)
from eme_connector.formats import handshake
from eme_connector.usecases import enrol, peering
from tests.build import CERT, CI, person

# the confirmation, which anybody can post


def test_only_who_offered_can_confirm(two):
    answer = two.accept(two.offer().offer)
    link = handshake.Link(answer.code, handshake.digest(answer.answer))
    content = handshake.render_link("confirmation", link)
    thief = two.sidecar(CI, "thief")

    with pytest.raises(NotAuthenticated):
        enrol.confirm(thief.signer.sign(content, issued_at=1), system=two.cert)
    assert two.peers() == [[], []]


def test_a_confirmation_of_another_answer_is_refused(two):
    answer = two.accept(two.offer().offer)
    content = handshake.render_link("confirmation", handshake.Link(answer.code, "0" * 64))

    with pytest.raises(NotAuthenticated):
        enrol.confirm(two.ci.signer.sign(content, issued_at=1), system=two.cert)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "e30.e30.e30", "." * 20_000])
def test_noise_is_not_a_confirmation(two, text):
    with pytest.raises(NotAuthenticated):
        enrol.confirm(text, system=two.cert)


def test_a_receipt_of_another_key_makes_no_peer(two):
    answer = two.accept(two.offer().offer).answer
    thief = two.sidecar(CERT, "thief")
    two.server.receive = lambda jws: thief.signer.sign(b"{}", issued_at=1)

    with pytest.raises(NotAuthenticated):
        two.finalise(answer)
    assert two.peers()[0] == []


# keys that change, and rights


def test_a_new_key_takes_the_place_of_the_old_one(two):
    two.finalise(two.accept(two.offer().offer).answer)
    two.ci = two.sidecar(CI, "moved")
    two.finalise(two.accept(two.offer().offer).answer)

    states = {one.fingerprint: one.revoked_at is None for one in two.cert.store.peers()}
    assert sorted(states.values()) == [False, True]
    assert states[two.ci.signer.fingerprint]


def test_a_key_that_was_revoked_here_does_not_come_back(two):
    two.finalise(two.accept(two.offer().offer).answer)
    caller = person(role="admin")
    peering.revoke_peer(two.ci.signer.fingerprint, caller=caller, system=two.cert)

    with pytest.raises(DeliveryError):
        two.finalise(two.accept(two.offer().offer).answer)
    assert two.peers()[1] == []


def test_every_step_needs_the_right(two):
    caller = Caller("token", "x", "x", CI, frozenset(Right) - {Right.ENROL})
    for call in (
        lambda: enrol.offer(CERT, caller=caller, system=two.ci),
        lambda: enrol.accept("x", CI, caller=caller, system=two.cert),
        lambda: enrol.finalise("x", CI, caller=caller, system=two.ci),
        lambda: enrol.cancel("x", caller=caller, system=two.ci),
        lambda: enrol.list_handshakes(caller=caller, system=two.ci),
    ):
        with pytest.raises(NotAllowed):
            call()


def test_old_handshakes_are_swept_away(two):
    two.offer()
    two.clock.tick(31 * 86_400)
    fresh = two.offer()

    assert [one.code for one in two.ci.store.handshakes()] == [fresh.code]
