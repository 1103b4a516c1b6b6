"""Many messages to one peer in one call: each is signed, checked and answered for itself."""

from __future__ import annotations

import json
import time

import pytest

from eme_connector.domain.delivery import State
from eme_connector.errors import (
    Conflict,
    InvalidMessage,
    Malformed,
    NotAllowed,
    NotAuthenticated,
    TooLarge,
)
from eme_connector.formats import eme_message
from eme_connector.usecases import share
from eme_connector.usecases.work import Worker
from tests.build import CERT, OTHER_CI
from tests.delivery.world import PEER_LANE, fresh

MANY = 150


@pytest.fixture
def owed(pair):
    """A backlog of messages to the CERT, whose sidecar was away while they came."""
    threats = [pair.ci.add(share=True, dispatch=False) for _ in range(MANY)]
    while pair.ci.store.busy_lanes(pair.ci.clock())[0] == ("share",):
        pair.ci.worker._step_lane("share", {})
    return threats


@pytest.fixture
def deliver(pair):
    """Let the worker's threads deliver until a condition holds; time passes while they rest."""
    worker = Worker(pair.ci.eme)

    def run(is_over):
        worker.start()
        end = time.monotonic() + 30
        while not is_over() and time.monotonic() < end:
            if worker._is_idle():
                pair.ci.clock.tick(1)
            time.sleep(0.02)
        assert is_over()

    yield run
    worker.stop()


def states(pair):
    return [one.state for one in pair.ci.deliveries("peer")]


def all_delivered(pair):
    return set(states(pair)) == {State.DELIVERED}


def test_a_backlog_leaves_in_few_calls(pair, owed, deliver):
    deliver(lambda: all_delivered(pair))

    assert len(pair.server.calls) <= 6
    assert all(pair.cert.store.find_visible_threat(one.id, CERT) for one in owed)
    assert pair.ci.events(owed[0].id) == ["share-owed", "shared"]


def test_one_that_is_refused_costs_the_others_nothing(pair, owed, deliver):
    pair.server.behave("honest", "status:422", "honest")
    deliver(lambda: set(states(pair)) == {State.DELIVERED, State.REFUSED})

    assert states(pair).count(State.REFUSED) == 1


def test_a_receipt_that_does_not_hold_is_asked_for_again(pair, owed, deliver):
    pair.server.behave("broken-receipt", "no-receipt", "status:503", "status:403")
    deliver(lambda: all_delivered(pair))

    assert len(pair.server.messages) == MANY + 4


def test_answers_that_cannot_be_read_settle_nothing(pair, owed, deliver, monkeypatch):
    honest = pair.server.answer_many
    spoilt = iter(['{"answers": []}', "nonsense", '{"answers": 5}', '{"answers": [true]}'])

    def answer(lines):
        status, text = honest(lines)
        return status, next(spoilt, text)

    monkeypatch.setattr(pair.server, "answer_many", answer)
    deliver(lambda: all_delivered(pair))

    assert all(pair.cert.store.find_visible_threat(one.id, CERT) for one in owed)


def test_an_older_sidecar_gets_them_one_by_one(pair, owed, deliver):
    pair.server.knows_many = False
    deliver(lambda: all_delivered(pair))

    assert set(pair.server.calls) == {1}


@pytest.fixture
def sign(pair):
    def one(threat, signer=None, **how):
        content = eme_message.render(threat, **({"recipient": CERT, "full": True} | how))
        content = eme_message.with_id(content, "11111111-2222-4333-8444-" + threat.id[-12:])
        return (signer or pair.ci.eme.signer).sign(content, issued_at=pair.cert.clock())

    return one


def test_each_message_is_answered_for_itself(pair, sign):
    good, again = fresh(), fresh()
    messages = [
        sign(good),
        sign(fresh(organisation=OTHER_CI)),
        "nonsense",
        sign(again, recipient=OTHER_CI),
        sign(again),
        sign(again),
    ]
    answers = share.receive_messages(messages, system=pair.cert.eme)

    kinds = [type(one) for one in answers]
    assert kinds == [str, NotAllowed, NotAuthenticated, NotAllowed, str, str]
    payloads = [pair.ci.eme.signer.verify(one, pair.cert.eme.signer.certificate).payload
                for one in answers if isinstance(one, str)]  # fmt: skip
    assert [json.loads(one)["stored"] for one in payloads] == ["new", "new", "repeat"]
    assert pair.cert.events(again.id) == ["received"]


def test_what_is_not_the_senders_is_not_kept(pair, sign):
    ours = fresh()
    pair.cert.store.transact(lambda tx: tx.add_threat(ours, b"", viewers=[CERT]))
    fine = fresh()
    answers = share.receive_messages([sign(ours), sign(fine)], system=pair.cert.eme)

    assert isinstance(answers[0], Conflict)
    assert pair.cert.store.find_visible_threat(fine.id, CERT).origin is not None
    assert pair.cert.threat(ours.id) == ours


def test_nobody_who_is_no_peer_gets_answers(pair):
    stranger = pair.cert.eme.signer.sign(b"{}", issued_at=pair.cert.clock())
    with pytest.raises(NotAuthenticated):
        share.receive_messages(["x", stranger], system=pair.cert.eme)
    with pytest.raises(TooLarge):
        share.receive_messages(["x"] * (share.MOST + 1), system=pair.cert.eme)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"answers": {}}', '{"answers": ["a"]}', '{"answers": ["a", "b", "c"]}',
     '{"answers": ["a", {"status": 200}]}', '{"answers": ["a", {"status": true}]}',
     '{"answers": ["a", 403]}'],
)  # fmt: skip
def test_only_an_answer_for_each_message_is_read(text):
    with pytest.raises((InvalidMessage, Malformed)):
        eme_message.parse_answers(text.encode(), 2)


def test_receipts_and_refusals_are_told_apart():
    found = eme_message.parse_answers(b'{"answers": ["a.b.c", {"status": 403, "more": 1}]}', 2)
    assert found == ["a.b.c", 403]


def test_the_lane_is_the_peers(pair, owed):
    assert {one.lane for one in pair.ci.deliveries("peer")} == {PEER_LANE}
