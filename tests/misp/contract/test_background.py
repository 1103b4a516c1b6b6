"""Background mode: the answer comes first, and says nothing about what happens (G12, workflows)."""

from __future__ import annotations

import pytest


@pytest.fixture
def worker(pair):
    """Switch A to background mode; the test says when its worker works."""
    if pair.clock is None:
        pytest.skip("the mode of a real pair is left alone")
    double = pair.a.double
    double.background = double.jobs_held = True
    yield double
    double.work()
    double.background = double.jobs_held = False
    double.gate = None


def publish(pair, document):
    assert pair.a.post("/events/add", document).status == 200
    answer = pair.a.post(f"/events/publish/{document['uuid']}")
    assert answer.message == "Job queued"
    return document["uuid"]


def test_it_is_there_a_moment_later(pair, worker, event):
    uuid = publish(pair, event(distribution="3"))
    assert not pair.b.has(uuid)

    worker.work()

    assert pair.b.has(uuid)
    assert pair.a.event(uuid)["published"] is True


def test_what_is_never_sent_is_a_good_job_too(pair, worker, event):
    _, number = pair.group(orgs=[pair.a.organisation, pair.b.organisation], servers=[pair.a.url])

    uuid = publish(pair, event(distribution="4", sharing_group_id=number))
    worker.work()

    assert not pair.b.has(uuid)
    assert pair.a.event(uuid)["published"] is True
    job = worker.state.jobs[worker.state.jobs.last]
    assert (job.status, job.message) == (4, "Event published.")


def test_a_group_without_any_server_kills_the_job(pair, worker, event):
    uuid, number = pair.group(**pair.both())
    worker.state.groups.known(uuid).servers.clear()

    lost = publish(pair, event(distribution="4", sharing_group_id=number))
    worker.work()

    assert not pair.b.has(lost)
    assert worker.state.jobs[worker.state.jobs.last].status == 0
    assert "server not found in sharing group" in worker.state.error_log[-1]


def test_in_synchronous_mode_that_group_is_an_error(pair, event):
    if pair.clock is None:
        pytest.skip("a real group always has a server")
    uuid, number = pair.group(**pair.both())
    pair.a.double.state.groups.known(uuid).servers.clear()
    document = event(distribution="4", sharing_group_id=number)
    pair.a.post("/events/add", document)

    assert pair.a.post(f"/events/publish/{document['uuid']}").status == 500
    assert not pair.b.has(document["uuid"])


def test_a_blocking_module_leaves_it_unpublished_and_only_the_log_knows(pair, worker, event):
    worker.gate = lambda document: "not approved" if document["info"] == "block" else ""

    uuid = publish(pair, event(distribution="3", info="block"))
    worker.work()

    assert pair.a.event(uuid)["published"] is False
    assert not pair.b.has(uuid)
    rows = pair.a.post("/logs/index", {"model": "Workflow", "action": "execute_workflow"}).body
    assert "not approved" in rows[-1]["Log"]["title"]
    assert worker.state.jobs[worker.state.jobs.last].message == "Event published."


def test_a_module_that_is_down_lets_it_pass(pair, worker, event):
    def broken(_):
        raise ConnectionError("Could not load class for module: eme_gate")

    worker.gate = broken

    uuid = publish(pair, event(distribution="3"))
    worker.work()

    assert pair.b.has(uuid)
