"""Deciding: by a person with the right, once, on what that person has seen."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from eme_connector.domain.decision import Wish
from eme_connector.domain.delivery import State
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Status
from eme_connector.errors import Conflict, InvalidInput, NotAllowed, NotFound, StaleDigest
from eme_connector.usecases.decide import close, decide, set_sharing
from eme_connector.usecases.receive import Rules, receive_bundle
from tests.build import (
    CERT,
    CI,
    GROUP,
    NOW,
    OTHER_CI,
    organisation,
    person,
    threat,
    token,
    topology,
)
from tests.bundles import bundle

LANE = "orchestrator:demo"


def lanes(_):
    return LANE


@pytest.fixture
def waiting(store):
    document = bundle()
    (received,) = receive_bundle(
        document,
        json.dumps(document).encode(),
        caller=token(Right.INGEST, criticality_order="descending"),
        rules=Rules(organisation(), lanes),
        store=store,
        now=NOW,
    )
    return received.threat


def say(store, found, status=Status.APPROVED, *, caller=None, **wish):
    digest = wish.pop("digest", found.digest)
    return decide(
        found.id,
        Wish(status, digest, **wish),
        caller=caller or person(),
        lanes=lanes,
        store=store,
        now=NOW + 60,
    )


def deliveries(store, found, kind):
    return [d for d in store.deliveries_of(found.id) if d.kind == kind]


def test_an_approval_owes_the_approved_steps_and_tells_the_group(store, waiting):
    decided = say(store, waiting, steps=("2",), reason="host is needed")

    (dispatch,) = deliveries(store, waiting, "dispatch")
    body = json.loads(dispatch.payload)
    assert [s["id"] for s in body["playbook"]["playbooks"][0]["steps"]] == ["2"]
    assert body["digest"] == dispatch.digest == decided.decision.dispatch_digest
    assert len(deliveries(store, waiting, "share")) == 2
    assert (decided.decision.by, decided.decision.reason) == ("anna", "host is needed")


def test_a_declined_playbook_is_told_and_never_owed(store, waiting):
    say(store, waiting, Status.DECLINED)

    assert deliveries(store, waiting, "dispatch") == []
    assert len(deliveries(store, waiting, "share")) == 2


def test_the_same_decision_by_the_same_person_owes_nothing_new(store, waiting):
    say(store, waiting)
    say(store, waiting)

    assert len(deliveries(store, waiting, "dispatch")) == 1


def test_any_other_second_decision_conflicts(store, waiting):
    say(store, waiting)

    for second in ({"status": Status.DECLINED}, {"caller": person(name="boris")}):
        with pytest.raises(Conflict):
            say(store, waiting, **second)


def test_a_stale_digest_decides_nothing(store, waiting):
    with pytest.raises(StaleDigest):
        say(store, waiting, digest="0" * 64)

    assert store.find_visible_threat(waiting.id, CI).status is Status.PENDING


def test_of_sixteen_people_at_once_one_decides(store, waiting):
    def attempt(number):
        status = Status.APPROVED if number % 2 else Status.DECLINED
        try:
            return say(store, waiting, status, caller=person(name=f"p{number}"))
        except Conflict:
            return None

    with ThreadPoolExecutor(16) as pool:
        done = [one for one in pool.map(attempt, range(16)) if one]

    assert len(done) == 1
    assert store.find_visible_threat(waiting.id, CI).decision == done[0].decision
    assert len(deliveries(store, waiting, "dispatch")) <= 1


@pytest.mark.parametrize(
    ("caller", "error"),
    [
        (person(role="viewer"), NotAllowed),
        (token(*Right), NotAllowed),
        (person(OTHER_CI), NotFound),
    ],
)
def test_who_may_not_decides_nothing(store, waiting, caller, error):
    with pytest.raises(error):
        say(store, waiting, caller=caller)
    with pytest.raises(error):
        close(waiting.id, "done", caller=caller, store=store, now=NOW)

    assert store.find_visible_threat(waiting.id, CI) == waiting


def test_a_cert_cannot_decide_on_the_threat_of_an_operator(store):
    shared = threat(origin=CI)
    store.transact(lambda tx: tx.add_threat(shared, b"{}", viewers=[CERT]))

    with pytest.raises(NotAllowed):
        say(store, shared, caller=person(CERT))


def test_closing_needs_a_reason_and_withdraws_what_is_owed(store, waiting):
    say(store, waiting)
    with pytest.raises(InvalidInput):
        close(waiting.id, " ", caller=person(), store=store, now=NOW)

    closed = close(waiting.id, "false alarm", caller=person(), store=store, now=NOW)

    (dispatch,) = deliveries(store, waiting, "dispatch")
    assert (dispatch.state, dispatch.reason) == (State.WITHDRAWN, "closed")
    assert (closed.status, closed.resolution.reason) == (Status.RESOLVED, "false alarm")


def share(store, found, group=GROUP, recipients=None, caller=None):
    return set_sharing(
        found.id,
        group,
        recipients,
        caller=caller or person(),
        topology=topology(CI, CERT),
        store=store,
        now=NOW,
    )


def test_the_group_may_be_taken_away_until_it_was_first_sent(store, waiting):
    assert share(store, waiting, None).group is None
    sent = share(store, waiting, GROUP)
    store.transact(lambda tx: tx.save_threat(_sent(tx.find_threat(sent.id)), sent))

    with pytest.raises(Conflict):
        share(store, waiting, None)


def test_recipients_must_be_members(store, waiting):
    assert share(store, waiting, recipients=(CERT,)).recipients == (CERT,)
    with pytest.raises(InvalidInput) as caught:
        share(store, waiting, recipients=(OTHER_CI,))
    assert caught.value.pointer == "/recipients"


def test_an_unknown_group_is_refused(store, waiting):
    with pytest.raises(InvalidInput):
        share(store, waiting, "77777777-7777-4777-8777-777777777777")


def test_sharing_needs_its_right(store, waiting):
    with pytest.raises(NotAllowed):
        share(store, waiting, None, caller=person(role="viewer"))


def _sent(found):
    return replace(found, group_sent=True)
