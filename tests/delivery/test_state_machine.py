"""The delivery states against a model: crashes, lost answers, late arrivals, revisions, stops.

The model is the world outside: a target that remembers what reached it. Whatever happens,

* on a channel where repeats are not safe a key acts once, and is sent again only after the target
  itself said that it does not have it;
* nothing leaves that was withdrawn or is not what is decided at the lease;
* in the end whatever was acknowledged was seen, or is uncertain, or says why it never left.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from eme_connector.domain.delivery import OPEN, Absent, Found, Receipt, State, Unknown
from eme_connector.errors import DeliveryError
from eme_connector.usecases import deliver
from eme_connector.usecases.attempt import attempt, is_too_late
from tests import build
from tests.build import AT, CI
from tests.delivery.world import LANE, Sidecar, fresh

TIMEOUT = 5.0
ANSWERS = ["ok", "refused", "unsent", "acted-then-lost", "lost-before", "arrives-late"]
LOOKS = ["truth", "silent", "down"]


class Target:
    """Remembers what reached it, and when what is still on its way will."""

    lane, width, timeout = LANE, 2, TIMEOUT

    def __init__(self, clock, repeat):
        self.clock, self.repeat = clock, repeat
        self.seen: set[str] = set()
        self.acted: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.denied: Counter[str] = Counter()
        self.on_the_way: list[tuple[float, str]] = []
        self.answer, self.look = "ok", "truth"

    def arrive(self, key):
        # only a target that dedupes leaves a repeat alone
        if self.repeat == "look_first" or key not in self.seen:
            self.acted[key] += 1
        self.seen.add(key)

    def settle(self):
        for at, key in [one for one in self.on_the_way if one[0] <= self.clock()]:
            self.on_the_way.remove((at, key))
            self.arrive(key)

    def send(self, delivery):
        key, word = delivery.key, self.answer
        if word == "unsent":
            raise DeliveryError("unreachable")
        self.sent[key] += 1
        if word == "refused":
            raise DeliveryError("http-400", permanent=True)
        if word == "arrives-late":
            self.on_the_way.append((self.clock() + TIMEOUT - 0.5, key))
        elif word != "lost-before":
            self.arrive(key)
        if word == "ok":
            return Receipt("r")
        raise DeliveryError("timeout", maybe_sent=True)

    def look_up(self, delivery):
        if self.look == "down":
            raise DeliveryError("unreachable")
        if self.look == "silent":
            return Unknown("no-look-up")
        if delivery.key in self.seen:
            return Found(Receipt("r"))
        self.denied[delivery.key] += 1
        return Absent()


class Deliveries(RuleBasedStateMachine):
    """`held` are leases whose worker has neither finished nor died."""

    repeat = "look_first"

    def __init__(self):
        super().__init__()
        self.folder = Path(mkdtemp(prefix="eme-model-"))
        self.sidecar = Sidecar(self.folder)
        self.clock = self.sidecar.clock
        self.target = Target(self.clock, self.repeat)
        self.held = []
        self.stopped = False
        self.threats: list[str] = []

    def teardown(self):
        try:
            self._heal()
            self._check_end()
        finally:
            self.sidecar.store.close()
            shutil.rmtree(self.folder)

    @rule()
    def approve(self):
        self.threats.append(self.sidecar.add(group=None).id)

    @precondition(lambda self: self.threats)
    @rule(which=st.integers(0, 99), step=st.integers(1, 3))
    def revise(self, which, step):
        """Other steps: the decision falls, and what is owed is withdrawn with it."""
        known = self.threats[which % len(self.threats)]
        other = fresh(detection=build.detection(playbooks=(build.playbook(build.step(step)),)))

        def work(tx):
            before = tx.find_threat(known)
            tx.withdraw(known, "dispatch", "digest-changed")
            tx.save_threat(build.threat(id=known, detection=other.detection, group=None), before)

        self.sidecar.store.transact(work)

    @rule()
    def turn_the_kill_switch(self):
        self.stopped = not self.stopped
        stopped = self.stopped
        self.sidecar.store.transact(lambda tx: tx.set_stop(CI, stopped=stopped, by="anna", at=AT))

    @rule(seconds=st.sampled_from([1.0, 6.0, 45.0]))
    def wait(self, seconds):
        for _ in range(10):
            self.clock.tick(seconds / 10)
            self.target.settle()

    @rule(answer=st.sampled_from(ANSWERS), look=st.sampled_from(LOOKS))
    def work(self, answer, look):
        """A worker's whole round, which is what happens most of the time."""
        self.lease()
        while self.held:
            self.send(answer, look, dies=False)

    @rule()
    def lease(self):
        """Take what is due; a dispatch must be what is decided at this very moment."""
        for one in deliver.take(LANE, self.target, self.sidecar.eme, self.clock()):
            self.held.append(one)
            if not one.asking:
                threat = self.sidecar.threat(one.threat_id)
                assert not self.stopped
                assert threat.decision.dispatch_digest == one.digest
                assert threat.decision.status == "approved"

    @precondition(lambda self: self.held)
    @rule(answer=st.sampled_from(ANSWERS), look=st.sampled_from(LOOKS), dies=st.booleans())
    def send(self, answer, look, dies):
        """A worker goes on with its lease, however late, and dies before recording or not."""
        one = self.held.pop(0)
        if is_too_late(one, self.target, self.clock()):
            return
        self.target.answer, self.target.look = answer, look
        outcome = attempt(one, self.target)
        if not dies:
            deliver.finish(one, outcome, self.target, self.sidecar.eme, self.clock())

    @precondition(lambda self: self.held)
    @rule()
    def crash(self):
        self.held.clear()
        self.sidecar.store.void_leases()

    @invariant()
    def a_key_acts_once(self):
        assert all(count == 1 for count in self.target.acted.values())

    @invariant()
    def nothing_is_sent_again_but_after_a_denial(self):
        if self.repeat == "look_first":
            for key, count in self.target.sent.items():
                assert count <= 1 + self.target.denied[key]

    def _heal(self):
        self.held.clear()
        self.target.answer, self.target.look = "ok", "silent"
        for _ in range(60):
            self.clock.tick(10)
            self.target.settle()
            while leased := deliver.take(LANE, self.target, self.sidecar.eme, self.clock()):
                for one in leased:
                    outcome = attempt(one, self.target)
                    deliver.finish(one, outcome, self.target, self.sidecar.eme, self.clock())

    def _check_end(self):
        for one in self.sidecar.deliveries():
            assert one.state not in OPEN
            if one.state is State.DELIVERED:
                assert one.key in self.target.seen
            if one.state is State.REFUSED:
                assert one.key in self.target.sent
            if one.state is State.WITHDRAWN and self.repeat == "look_first":
                assert one.key not in self.target.seen
            assert one.state is State.DELIVERED or one.reason


class SafeDeliveries(Deliveries):
    """The same where the target dedupes by key."""

    repeat = "safe"


@pytest.mark.parametrize("machine", [Deliveries, SafeDeliveries])
def test_the_states_keep_their_promises(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
