"""The clock jumps: what waits waits longer or less, nothing is lost or sent twice."""

from __future__ import annotations

import pytest

from eme_connector.domain.delivery import State
from eme_connector.domain.rights import Right
from eme_connector.errors import NotAuthenticated
from eme_connector.usecases import accounts
from tests.build import person

HOUR = 3600.0


def test_set_back_an_hour_what_waits_for_a_retry_waits_an_hour_longer(ci, hook):
    hook.behave("refuse:429")
    ci.add()
    ci.drain()

    ci.clock.tick(-HOUR)
    ci.drain()
    waiting = ci.only()
    ci.clock.tick(HOUR + 2)
    ci.drain()

    assert (waiting.state, len(hook.acted)) == (State.OWED, 1)
    assert ci.only().state is State.DELIVERED


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_what_is_new_leaves_at_once_wherever_the_clock_stands(ci, hook, jump):
    ci.clock.tick(jump)
    ci.add()
    ci.drain()

    assert ci.only().state is State.DELIVERED
    assert len(hook.acted) == 1


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_jump_during_a_send_sends_nothing_twice(asking, hook, jump):
    """Forward it voids the lease, so that somebody else may look at the delivery."""
    asking.add()
    hook.behave("die")
    asking.drain()

    asking.clock.tick(jump)
    asking.drain()
    asking.clock.tick(2 * HOUR)
    asking.drain()

    assert asking.only().state is State.DELIVERED
    assert len(hook.acted) == 1


def test_a_token_ends_when_the_clock_passes_its_end_and_lives_again_before_it(ci):
    expires = round((ci.clock() + HOUR) * 1_000_000)
    _, text = accounts.create_token(
        "t", ci.eme.organisation.uuid, frozenset({Right.READ}),
        caller=person(), store=ci.store, now=ci.clock(), expires_at=expires,
    )  # fmt: skip

    def is_valid():
        try:
            accounts.prove_token(text, store=ci.store, now=ci.clock())
        except NotAuthenticated:
            return False
        return True

    assert is_valid()
    ci.clock.tick(2 * HOUR)
    assert not is_valid()
    ci.clock.tick(-2 * HOUR)
    assert is_valid()
