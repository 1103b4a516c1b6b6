"""The channel when MISP fails, dawdles or is stopped by a workflow: what only a double can do."""

from __future__ import annotations

from collections import Counter

import pytest

from eme_connector.adapters.misp import channel
from eme_connector.domain.delivery import Receipt
from tests.misp.contract.conftest import _doubles
from tests.misp.post import Posting, refused, rendered_as, uuid_of, values

SOON = {"publish_wait_s": 0.1}


@pytest.fixture
def pair():
    made = _doubles()
    yield made
    for side in (made.a, made.b):
        side.double.close()


class TestPublishing(Posting):
    """What "Job queued" hides (G12), and workflows."""

    @pytest.fixture
    def a(self, pair):
        pair.a.double.background = True
        return pair.a.double

    def test_a_job_that_is_done_soon_is_waited_for(self, post, a):
        threat = post.threat()

        post.send(threat)

        assert post.event(threat)["published"]

    def test_a_job_that_nobody_does_is_not_published(self, open_post, a):
        post = open_post(terms=SOON)
        a.jobs_held = True
        threat = post.threat()

        with refused("not-published") as found:
            post.send(threat)

        assert not found.value.permanent
        assert found.value.learnt["url"].endswith(uuid_of(threat))

    def test_a_job_that_is_done_late_is_found_done(self, open_post, a):
        post = open_post(terms=SOON)
        a.jobs_held = True
        threat = post.threat()
        with refused("not-published"):
            post.send(threat)
        a.work()
        before = len(a.calls)

        receipt = post.send(threat, attempts=2)

        assert receipt.detail["published"]
        assert [path for method, path, _ in a.calls[before:] if method == "POST"] == []

    @pytest.mark.parametrize("background", [True, False])
    def test_a_workflow_that_blocks_is_named_with_what_it_says(self, open_post, a, background):
        post = open_post(role="admin", terms=SOON)
        a.background, a.jobs_first = background, True
        a.gate = lambda event: "the playbook is not approved"
        threat = post.threat()

        with refused("blocked-by-workflow", "the playbook is not approved") as found:
            post.send(threat)

        assert not found.value.permanent
        assert found.value.retry_after >= 60
        a.gate = None
        assert post.send(threat, attempts=2).detail["published"]

    def test_a_key_that_may_not_read_the_log_learns_that_it_is_not_published(self, open_post, a):
        post = open_post(terms=SOON)
        a.gate = lambda event: "no"

        with refused("not-published"):
            post.send(post.threat())
        a.background = False
        with refused("blocked-by-workflow", "Module failure"):
            post.send(post.threat())

    def test_many_cost_two_requests_each_and_a_few_for_all(self, post, a):
        group = post.group()
        several = [post.threat(group) for _ in range(10)]
        post.channels["misp"].ping()
        a.jobs_first = True
        before = len(a.calls)

        outcomes = post.channels["misp"].send_many([post.delivery("misp", t) for t in several])

        assert all(isinstance(one, Receipt) for one in outcomes)
        # the others are MISP's own, from its peer
        ours = Counter(
            path.split("/")[2]
            for method, path, _ in a.calls[before:]
            if method != "HEAD" and "metadata:" not in path
        )
        del ours["getVersion"]
        assert (ours.pop("add"), ours.pop("publish")) == (10, 10)
        assert sum(ours.values()) <= 6, ours

    def test_one_that_a_workflow_stops_does_not_keep_the_others(self, open_post, a):
        post = open_post(role="admin", terms=SOON)
        a.jobs_first = True
        group = post.group()
        several = [post.threat(group) for _ in range(3)]
        stopped = uuid_of(several[1])
        a.gate = lambda event: "not this one" if event["uuid"] == stopped else ""

        outcomes = post.channels["misp"].send_many([post.delivery("misp", t) for t in several])

        reasons = [getattr(one, "reason", "") for one in outcomes]
        assert reasons == ["", "blocked-by-workflow", ""]
        assert outcomes[1].learnt["event"] == stopped
        assert [post.event(one)["published"] for one in several] == [True, False, True]

    def test_one_that_we_cannot_render_does_not_keep_the_others(self, post, a, monkeypatch):
        group = post.group()
        several = [post.threat(group) for _ in range(3)]
        wrong = uuid_of(several[0])

        def stumble(event):
            assert event["uuid"] != wrong

        rendered_as(monkeypatch, stumble)

        outcomes = post.channels["misp"].send_many([post.delivery("misp", t) for t in several])

        reasons = [getattr(one, "reason", "") for one in outcomes]
        assert reasons == ["internal-error", "", ""]

    def test_what_is_not_begun_in_time_is_left_for_another_call(self, post, a, monkeypatch):
        monkeypatch.setattr(channel, "BATCH_S", -1.0)
        threat = post.threat()

        (outcome,) = post.channels["misp"].send_many([post.delivery("misp", threat)])

        assert (outcome.reason, outcome.maybe_sent) == ("waited-too-long", False)
        assert not post.has(threat)

    def test_a_misp_that_is_down_is_said_of_each(self, post, a):
        several = [post.threat(), post.threat()]
        a.down()

        outcomes = post.channels["misp"].send_many([post.delivery("misp", t) for t in several])
        a.up()

        assert [one.reason for one in outcomes] == ["unreachable"] * 2

    def test_publishing_can_be_left_to_people(self, open_post, a):
        post = open_post(section={"publish": False})
        threat = post.threat()

        receipt = post.send(threat)

        assert not post.event(threat)["published"]
        assert receipt.detail["members"] == {
            post.pair.b.organisation: {"reason": "left-unpublished"}
        }


class TestFaults(Posting):
    """Answers that are lost, half done, or no answers."""

    @pytest.mark.parametrize(
        ("word", "reason", "maybe_sent"),
        [
            ("die", "broken-off", True),
            ("status:500", "misp-500", True),
            ("status:502", "misp-down", True),
            ("html", "not-misp", True),
            ("status:429", "http-429", False),
        ],
    )
    def test_a_fault_is_named_and_tried_again(self, post, word, reason, maybe_sent):
        threat = post.threat()
        post.pair.a.double.behave(word)

        with refused(reason) as found:
            post.send(threat)

        assert (found.value.permanent, found.value.maybe_sent) == (False, maybe_sent)
        post.send(threat, attempts=2)
        assert post.check(threat)

    @pytest.mark.parametrize("word", ["lose", "then-status:500"])
    @pytest.mark.parametrize("nth", range(8))
    def test_what_was_done_before_the_answer_was_lost_is_not_done_twice(self, post, word, nth):
        threat = post.threat()
        post.pair.a.double.behave(*[""] * nth, word)

        try:
            post.send(threat)
        except Exception:
            post.send(threat, attempts=2)

        assert post.check(threat).detail["sequence"] == 1
        adds = [path for method, path, _ in post.pair.a.double.calls if path == "/events/add"]
        assert len(adds) == 1
        assert values(post.event(threat), "sequence") == ["1"]

    def test_a_misp_that_is_down_has_surely_not_got_it(self, post):
        threat = post.threat()
        post.pair.a.double.down()

        with refused("unreachable") as found:
            post.send(threat)

        assert not found.value.maybe_sent
        post.pair.a.double.up()
        post.send(threat, attempts=2)

    def test_half_an_event_is_completed(self, post):
        threat = post.threat()
        half = {"uuid": uuid_of(threat), "info": "half", "distribution": "0"}
        assert post.pair.a.post("/events/add", half, role="org_admin").status == 200

        post.send(threat, attempts=2)

        assert post.check(threat).detail["sequence"] == 1


class TestReceivers(Posting):
    """What happens at a member's MISP."""

    def test_a_state_that_is_not_pushed_any_more_is_missed(self, post):
        threat = post.threat()
        post.send(threat)
        post.check(threat)
        for server in post.pair.a.double.state.servers.values():
            server.flags["push"] = False

        post.pair.later()
        post.send(post.change(threat))

        with refused("not-updated-there") as found:
            post.check(threat)
        assert not found.value.permanent

    def test_looks_that_find_nothing_become_rare(self, post):
        threat = post.threat()
        pauses = []
        for attempts in (1, 4, 5, 8, 30):
            with refused("not-seen-there") as found:
                post.check(threat, attempts)
            pauses.append(found.value.retry_after)

        assert pauses == [0, 0, 32, 256, 2048]

    def test_a_receiver_that_does_not_know_our_misp_cannot_answer(self, post):  # S4, S17
        post.pair.b.double.state.servers.clear()
        threat = post.threat()

        post.send(threat)

        assert post.check(threat).detail["note"] == "no-way-back"
