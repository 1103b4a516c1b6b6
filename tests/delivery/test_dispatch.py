"""Every way a dispatch can go: one sentence a test, against a server on a real port."""

from __future__ import annotations

import json

import pytest

from eme_connector.domain.delivery import State
from eme_connector.domain.threat import Execution
from eme_connector.formats import standard_webhooks


def test_an_approved_playbook_arrives_signed_and_is_delivered(ci, hook):
    threat = ci.add()

    assert ci.drain()

    key, headers, body = hook.posts[0]
    delivery = ci.only()
    keys = standard_webhooks.secrets(ci.eme.config.orchestrators[0].secret.get_secret_value())
    assert standard_webhooks.verify(keys, headers, body, now=ci.clock()) == key == delivery.key
    assert headers["idempotency-key"] == key
    assert json.loads(body)["digest"] == threat.decision.dispatch_digest
    assert delivery.state is State.DELIVERED
    assert delivery.receipt == {"reference": "run-1", "status": 202}
    assert ci.threat(threat.id).execution is Execution.DISPATCHED
    assert ci.threat(threat.id).sequence == threat.sequence + 1
    assert "dispatched" in ci.events(threat.id)


def test_what_was_delivered_is_owed_to_the_group_as_news(ci, hook):
    ci.add()

    ci.drain()

    assert [one.sequence for one in ci.deliveries("share")] == [2]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_a_refusal_is_final(ci, hook, status):
    hook.behave(f"refuse:{status}")
    threat = ci.add()

    ci.drain()
    ci.clock.tick(60)
    ci.drain()

    assert (ci.only().state, ci.only().reason) == (State.REFUSED, f"http-{status}")
    assert len(hook.posts) == 1
    assert ci.threat(threat.id).execution is Execution.NONE
    assert "refused" in ci.events(threat.id)


@pytest.mark.parametrize("word", ["refuse:425", "refuse:429", "refuse-redirect:http://x.example/"])
def test_what_was_surely_not_taken_is_owed_again(ci, hook, word):
    hook.behave(word)
    ci.add()

    ci.drain()
    assert (ci.only().state, ci.only().attempts) == (State.OWED, 1)
    assert ci.only().reason in ("http-425", "http-429", "redirect-refused")
    assert ci.only().next_at > ci.clock()
    ci.clock.tick(2)
    ci.drain()

    assert ci.only().state is State.DELIVERED
    assert len(hook.acted) == 1


def test_the_wait_that_a_target_asks_for_is_kept(ci, hook):
    hook.behave("refuse-later:120")
    ci.add()

    ci.drain()

    assert ci.only().next_at == ci.clock() + 120


MAYBE = ["status:500", "status:503", "status:408", "status:409", "die", "redirect:http://127.0.0.1:9/",
         "huge", "short", "nonsense"]  # fmt: skip


@pytest.mark.parametrize("word", MAYBE)
def test_what_may_have_arrived_is_never_sent_twice_but_asked_about(ci, hook, word):
    hook.behave(word)
    threat = ci.add()

    ci.drain()
    asked = ci.only()
    assert (asked.state, asked.asking) == (State.SENDING, True)
    for _ in range(20):
        ci.clock.tick(10)
        ci.drain()

    assert ci.only().state is State.UNCERTAIN
    assert list(hook.keys.values()) == [1]
    assert ci.threat(threat.id).execution is Execution.UNCERTAIN
    assert "uncertain" in ci.events(threat.id)


@pytest.mark.parametrize("word", MAYBE)
def test_where_repeats_are_safe_the_same_key_is_sent_again(safe, hook, word):
    hook.behave(word)
    safe.add()

    safe.drain()
    assert safe.only().state is State.OWED
    safe.clock.tick(3)
    safe.drain()

    assert safe.only().state is State.DELIVERED
    assert list(hook.keys.values()) == [2]


@pytest.mark.parametrize("word", MAYBE)
def test_found_when_asked_is_delivered(asking, hook, word):
    hook.behave(word)
    threat = asking.add()

    asking.drain()
    asking.clock.tick(3)
    asking.drain()

    assert asking.only().state is State.DELIVERED
    assert hook.asked == [asking.only().key]
    assert asking.threat(threat.id).execution is Execution.DISPATCHED


def test_absent_when_asked_is_sent_once_more(asking, hook):
    hook.behave("status:500")
    asking.add()
    asking.drain()
    hook.acted.clear()

    asking.clock.tick(3)
    asking.drain()

    assert asking.only().state is State.DELIVERED
    assert list(hook.keys.values()) == [2]
    assert len(hook.acted) == 1


def test_nobody_asks_before_the_send_could_have_ended(asking, hook):
    hook.behave("die")
    asking.add()

    asking.drain()
    asking.clock.tick(1.9)
    asking.drain()

    assert hook.asked == []


def test_an_answer_that_says_nothing_is_asked_for_again_until_it_settles(asking, hook):
    hook.behave("die")
    hook.look_up_status = 500
    asking.add()
    asking.drain()

    for _ in range(4):
        asking.clock.tick(10)
        asking.drain()
    assert asking.only().state is State.SENDING
    for _ in range(4):
        asking.clock.tick(10)
        asking.drain()

    assert (asking.only().state, asking.only().reason) == (State.UNCERTAIN, "http-500")
    assert len(hook.asked) > 3


def test_while_the_target_is_down_the_settling_time_does_not_run_out(asking, hook):
    hook.behave("die")
    asking.add()
    asking.drain()
    hook.close()

    for _ in range(20):
        asking.clock.tick(10)
        asking.drain()

    assert (asking.only().state, asking.only().reason) == (State.SENDING, "unreachable")


def test_a_silence_longer_than_a_week_ends_as_uncertain(asking, hook):
    hook.behave("die")
    asking.add()
    asking.drain()
    hook.close()

    asking.clock.tick(3601)
    asking.drain()

    assert asking.only().state is State.UNCERTAIN


def test_a_target_that_is_down_leaves_it_owed_and_in_the_end_dead(ci, hook):
    hook.close()
    threat = ci.add()

    ci.drain()
    assert (ci.only().state, ci.only().reason) == (State.OWED, "unreachable")
    assert ci.only().sent_at is None
    ci.clock.tick(3601)
    ci.drain()

    assert (ci.only().state, ci.only().reason) == (State.DEAD, "unreachable")
    assert "dead" in ci.events(threat.id)
    assert ci.threat(threat.id).execution is Execution.NONE


def test_waits_double_up_to_their_limit(ci, hook):
    hook.close()
    ci.add()
    waits = []

    for _ in range(8):
        ci.drain()
        waits.append(ci.only().next_at - ci.clock())
        ci.clock.tick(waits[-1])

    assert 1 <= waits[0] <= 1.5
    assert 2 <= waits[1] <= 3
    assert 8 <= waits[-1] <= 12


def test_a_target_that_no_longer_exists_says_so_and_ends_after_its_time(ci, hook):
    ci.add(lane="orchestrator:gone")

    ci.drain()
    assert (ci.only().state, ci.only().reason) == (State.OWED, "no-channel")
    ci.clock.tick(3601)
    ci.drain()

    assert (ci.only().state, ci.only().reason) == (State.DEAD, "no-channel")
