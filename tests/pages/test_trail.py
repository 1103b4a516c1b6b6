"""The timeline and the deliveries, in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import SHARE_LANE, State
from eme_connector.domain.threat import Decision, Execution, Resolution, Status
from eme_connector.ports import Owed
from tests.build import AT, CERT, CI, detection
from tests.pages.conftest import waiting

LANE = "orchestrator:shuffle"


def card(site, threat, name="anna"):
    page = site.read(name, f"/threats/{threat.id}")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def record(site, threat, event, by, **detail):
    entry = AuditRecord(event, AT, by, CI, threat.id, 2, detail)
    site.eme.store.transact(lambda tx: tx.record(entry))


@pytest.mark.parametrize(
    ("event", "by", "detail", "said"),
    [
        ("received", "atio", {}, "Received from atio"),
        ("revised", "atio", {}, "Changed by atio revision 2"),
        ("waiting", "policy", {"reasons": [{"step": "2", "code": "not-automatic"}]},
         "A person is needed step 2 (block service): no policy covers this action"),
        ("waiting", "policy", {"reasons": [{"step": None, "code": "no-playbook"}]},
         "A person is needed no response was proposed"),
        ("approved", "policy", {"steps": ["1"]}, "Approved by policy isolate host"),
        ("approved", "anna",
         {"steps": ["1"], "valid_until": "2099-01-01T00:00:00Z", "reason": "ok"},
         "Approved by anna isolate host; with a new end, 2099-01-01 00:00:00; ok"),
        ("declined", "bob", {"reason": "false alarm"}, "Declined by bob false alarm"),
        ("dispatched", LANE, {"lane": LANE}, "Playbook sent orchestrator shuffle"),
        ("running", LANE, {"lane": LANE}, "Running orchestrator shuffle"),
        ("failed", LANE, {"lane": LANE}, "Failed orchestrator shuffle"),
        ("not-evidenced", LANE, {"lane": LANE}, "without evidence for each step"),
        ("uncertain", LANE, {"lane": LANE, "reason": "timeout"},
         "Uncertain whether it arrived orchestrator shuffle: it did not answer in time"),
        ("withdrawn", LANE, {"lane": LANE, "reason": "digest-changed"},
         "Withdrawn, not sent orchestrator shuffle: the sender changed the response"),
        ("refused", LANE, {"lane": LANE, "reason": "http-403"},
         "Refused orchestrator shuffle: it answered with status 403"),
        ("shared", f"peer:{CERT}", {"lane": f"peer:{CERT}"}, "Shared CERT-1"),
        ("sharing", "anna", {"group": None, "recipients": [CERT]},
         "anna chose who sees it no group · CERT-1"),
        ("retried", "anna", {"lane": LANE}, "Sent again by anna orchestrator shuffle"),
        ("dropped", "anna", {"lane": LANE, "reason": "test"}, "Dropped by anna test"),
        ("something-new", "anna", {"reason": "odd-reason"}, "Something new · anna odd reason"),
    ],
)  # fmt: skip
def test_what_happened_is_said_in_words(site, event, by, detail, said):
    threat = site.add()

    record(site, threat, event, by, **detail)

    assert said in card(site, threat)


def test_a_cert_is_told_what_the_operator_decided(site):
    threat = site.add(
        decision=Decision(Status.APPROVED, "person", AT, steps=("1",)),
        resolution=Resolution(LANE, AT + 1, "every approved step succeeded"),
        execution=Execution.SUCCEEDED,
        origin=CI,
        viewers=(CERT,),
    )
    record(site, threat, "received", f"peer:{CI}")
    record(site, threat, "shared", f"peer:{CERT}")

    said = card(site, threat, "carl")

    assert "Received from CI-1" in said
    assert "Approved by a person isolate host" in said
    assert "Resolved by orchestrator shuffle every approved step succeeded" in said
    assert "Shared" not in said


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (State.OWED, "", "orchestrator shuffle about to be sent"),
        (State.DELIVERED, "", "orchestrator shuffle delivered"),
        (State.REFUSED, "http-400", "refused : it answered with status 400"),
        (State.WITHDRAWN, "stopped", "withdrawn, not sent : responses are stopped"),
        (State.UNCERTAIN, "timeout", "It may have run already."),
        (State.DEAD, "unreachable", "given up : it cannot be reached"),
    ],
)
def test_where_a_delivery_stands_is_said_with_its_reason(site, state, reason, said):
    threat = site.add()

    deliver(site, threat, LANE, state, reason)

    assert said in card(site, threat)
    assert ("Send again" in card(site, threat)) == (
        state in (State.REFUSED, State.UNCERTAIN, State.DEAD, State.WITHDRAWN)
    )


def test_of_deliveries_alike_the_newest_is_shown(site):
    threat = site.add()
    for _ in range(3):
        deliver(site, threat, f"peer:{CERT}", State.DELIVERED, "")
        deliver(site, threat, SHARE_LANE, State.DELIVERED, "")

    said = card(site, threat)

    assert said.count("CERT-1 delivered : 3 messages") == 1
    assert "the sharing group" not in said


def test_the_evidence_stands_beside_its_step(site):
    decision = Decision(Status.APPROVED, "anna", AT, steps=("1", "2"), dispatch_digest="d" * 64)
    threat = site.add(decision=decision, execution=Execution.ONGOING)
    steps = {"1": {"status": "succeeded", "detail": "port 7 is down"}, "2": {"status": "ongoing"}}

    deliver(site, threat, LANE, State.DELIVERED, "", digest="d" * 64, receipt={"steps": steps})

    said = card(site, threat)
    assert "Evidence succeeded: port 7 is down" in said
    assert "Evidence running" in said


def test_a_threat_without_a_playbook_asks_to_be_closed(site):
    threat = site.add(detection=detection(playbooks=()), decision=waiting((None, "no-playbook")))

    said = card(site, threat)

    assert "No response was proposed" in said
    assert "Close as resolved" in said
    assert "Approve" not in said


def deliver(site, threat, lane, state, reason, digest="", **fields):
    kind = "dispatch" if lane == LANE else "peer"
    owed = Owed(lane, kind, threat.id, CI, threat.sequence, digest=digest)

    def work(tx):
        one = tx.owe(owed)
        moved = replace(one, state=state, reason=reason, fence=one.fence + 1, **fields)
        tx.save_delivery(moved, fence=one.fence)

    site.eme.store.transact(work)
