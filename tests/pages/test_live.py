"""An open page stays true, quickly and without jumping."""

from __future__ import annotations

import http.client
import json
import threading
import time
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from eme_connector.domain.listing import Change
from eme_connector.domain.threat import Decision, Execution, Status
from eme_connector.errors import StoreUnavailable
from eme_connector.usecases.accounts import caller_of, disable_account
from eme_connector.web.pages import hub as hubs
from eme_connector.web.pages import live
from eme_connector.web.pages.hub import GATHER_S, Hub
from tests.build import AT, CERT, CI
from tests.pages.conftest import token_of, waiting

APPROVED = {"status": Status.APPROVED, "by": "anna", "steps": ("1", "2")}


def approved(at):
    return Decision(at=at, **APPROVED)


@pytest.fixture
def threat(site):
    site.add(viewers=(CI, CERT))
    return site.add(decision=waiting(("2", "not-automatic")), viewers=(CI, CERT))


@pytest.fixture
def watch(look):
    """Open a page that hears of changes by its stream alone: asking is refused."""

    def open_page(*where, **how):
        page = look(*where, **how)
        page.route("**/live/changes*", lambda route: route.abort())
        return page

    return open_page


def test_a_status_changes_where_it_stands(site, watch, threat):
    page = watch("carl", "/threats")
    cell = page.locator(f"[data-live='brief:{threat.id}']")
    assert "Waiting for CI-1" in cell.inner_text()
    before = cell.bounding_box()

    decided = site.change(threat, decision=approved(threat.received_at))
    expect(cell).to_contain_text("Approved by anna")
    site.change(decided, execution=Execution.ONGOING)
    expect(cell).to_contain_text("Running")

    after = cell.bounding_box()
    assert (before["x"], before["y"]) == (after["x"], after["y"])


@pytest.mark.parametrize("width", [1280, 360])
def test_news_announce_themselves_and_move_nothing(site, watch, threat, width):
    page = watch("carl", "/threats", width=width)
    row = page.locator(f"[data-threat='{threat.id}']").bounding_box()

    site.add(viewers=(CI, CERT))
    page.wait_for_selector("text=1 new — show")
    site.add(viewers=(CI, CERT))
    page.wait_for_selector("text=2 new — show")

    assert page.locator("tbody tr").count() == 2
    assert page.locator(f"[data-threat='{threat.id}']").bounding_box() == row
    page.click("text=2 new — show")
    expect(page.locator("tbody tr")).to_have_count(4)


def test_what_others_may_not_see_is_not_told(site, watch, threat):
    page = watch("carl", "/threats")
    before = site.eme.store.last_change()

    site.add(viewers=(CI,))
    seen = site.add(viewers=(CI, CERT))

    (told,) = read(site, "carl", until=1, after=before)
    assert told["threat"] == seen.id
    page.wait_for_selector("text=1 new — show")


def test_an_open_card_says_that_it_changed(site, watch, threat):
    page = watch("bob", f"/threats/{threat.id}")

    site.change(threat, decision=approved(threat.received_at))

    page.click("text=This threat has changed")
    assert page.locator("[data-decide]").count() == 0
    assert "Approved by anna" in page.inner_text("main")


def test_what_waited_is_answered_in_the_queue(site, watch, threat):
    page = watch("bob", "/threats")

    site.change(threat, decision=approved(threat.received_at))

    act = page.locator(f"[data-live='act:{threat.id}']")
    expect(act).to_contain_text("Read what happened")
    assert act.locator("form").count() == 0


def test_a_page_without_a_stream_asks(site, look, threat):
    site.app.extensions["eme-live"] = Hub(0)
    page = look("carl", "")

    with page.expect_request("**/live/changes*"):
        page.goto("/threats")


def test_a_stream_goes_on_from_the_last_event(site, threat):
    first = read(site, "carl", until=1, after=0)[0]

    site.change(threat, decision=approved(threat.received_at))
    (again,) = read(site, "carl", until=1, after=first["id"])

    assert again["threat"] == threat.id
    assert again["status"] == "approved"
    assert set(again) == {"id", "threat", "event", "status", "execution", "at"}


def test_only_as_many_streams_as_configured(site, threat):
    open_streams = [connect(site, "carl") for _ in range(4)]

    refused = connect(site, "carl")
    asked = json.loads(site.client("carl").get("/live/changes?after=0").data)

    assert refused[1].status == 503
    assert asked["room"] is False
    assert len(asked["changes"]) == 2
    for connection, answer in open_streams:
        assert answer.status == 200
        connection.close()


def test_a_stream_that_could_not_begin_takes_no_room(site, threat, monkeypatch):
    def fail():
        raise StoreUnavailable("the database cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(site.eme.store, "last_change", fail)
        for _ in range(4):
            assert site.client("carl").get("/live").status_code == 503

    connection, answer = connect(site, "carl")
    assert answer.status == 200
    connection.close()


def test_a_process_that_stops_opens_no_first_stream(site, threat):
    live.end_streams(site.app)

    assert site.client("carl").get("/live").status_code == 503


def test_a_stream_whose_reader_is_gone_makes_room(site, threat, monkeypatch):
    monkeypatch.setattr(live, "RECHECK_S", 0.1)
    for _ in range(8):
        until = time.monotonic() + 10
        connection, answer = connect(site, "carl")
        while answer.status == 503 and time.monotonic() < until:
            time.sleep(0.05)
            connection, answer = connect(site, "carl")
        assert answer.status == 200
        assert answer.readline() == b"retry: 2000\n"
        answer.close()
        connection.close()


def test_a_page_that_has_seen_more_than_a_backup_knew_is_told_all(site, threat):
    told = read(site, "carl", until=2, after=10_000)  # a second is there before it

    assert told[-1]["threat"] == threat.id


@pytest.mark.parametrize("way", ["logged out", "disabled"])
def test_a_stream_ends_with_the_session(site, threat, monkeypatch, way):
    monkeypatch.setattr(live, "RECHECK_S", 0.2)
    client = site.client("carl")
    connection, answer = connect(site, client)

    if way == "logged out":
        client.post("/logout", data={"csrf_token": token_of(client, "/threats")})
    else:
        anna = caller_of(site.eme.store.find_account("anna"))
        disable_account("carl", caller=anna, store=site.eme.store, now=site.eme.clock())
    began = time.monotonic()
    rest = answer.read().decode()

    assert rest.endswith("event: out\ndata: {}\n\n")
    assert time.monotonic() - began < 5
    connection.close()


def test_rights_are_asked_for_within_five_seconds():
    assert live.RECHECK_S + GATHER_S < 5


def test_nobody_is_told_nothing(site):
    by_script = {"Sec-Fetch-Dest": "empty"}

    for path in ("/live", "/live/changes", "/threats/parts", "/threats/new"):
        assert site.client().get(path, headers=by_script).status_code == 401


def test_a_quiet_stream_says_that_it_is_there(monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(live, "RECHECK_S", 0.0)
    events = live.stream(_Quiet(), Hub(1), lambda: CI, 0)

    assert [next(events), next(events)] == ["retry: 2000\n\n", ": still here\n\n"]


def test_more_than_can_be_told_is_said_at_once():
    events = live.stream(_Busy(), Hub(1), lambda: CI, 0)
    next(events)

    assert next(events) == "id: 9000\nevent: reset\ndata: {}\n\n"


def test_a_failing_store_ends_the_stream_but_logs_nobody_out():
    class Failing:
        def changes(self, viewer, after, limit):
            raise StoreUnavailable("the database cannot be read")

    assert list(live.stream(Failing(), Hub(1), lambda: CI, 0)) == ["retry: 2000\n\n"]


def test_streams_end_when_the_process_stops(site, threat):
    connection, answer = connect(site, "carl")
    began = time.monotonic()

    live.end_streams(site.app)

    assert answer.read().decode() == "retry: 2000\n\n"
    assert time.monotonic() - began < 4
    connection.close()


def test_a_change_wakes_a_waiting_stream():
    hub = Hub(1)
    hub.enter()
    turn = hub.turn
    threading.Timer(0.05, hub.wake).start()
    began = time.monotonic()

    hub.wait(turn, 20)

    assert time.monotonic() - began < 10


def test_all_who_wait_are_woken_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(hubs, "TOGETHER", 1)
    monkeypatch.setattr(hubs, "SPREAD_S", 0.01)
    hub, woken, turn = Hub(8), [], 0

    def wait():
        hub.wait(turn, 5)
        woken.append(time.monotonic())

    waiting = [threading.Thread(target=wait) for _ in range(8) if hub.enter()]
    for one in waiting:
        one.start()
    time.sleep(0.2)
    began = time.monotonic()
    hub.wake()
    for one in waiting:
        one.join(5)

    assert len(woken) == 8
    assert max(woken) - began > 0.05
    assert max(woken) - began < 5


def test_nothing_more_is_told_once_a_session_has_ended(site, threat):
    client = site.client("carl")
    connection, answer = connect(site, client, site.eme.store.last_change())
    client.post("/logout", data={"csrf_token": token_of(client, "/threats")})

    site.change(threat, decision=approved(threat.received_at))  # long before RECHECK_S

    assert answer.read().decode() == "retry: 2000\n\nevent: out\ndata: {}\n\n"
    connection.close()


def test_who_reads_is_not_asked_for_before_each_batch():
    hub, store, asked = Hub(1), _Moving(), []
    events = live.stream(store, hub, lambda: asked.append(1) or CI, 0)
    next(events)

    for _ in range(3):
        next(events)
        hub.wake()
    assert len(asked) == 1
    hub.hear(frozenset({"account"}))
    next(events)
    assert len(asked) == 2


class _Moving:
    """One change more at each look."""

    def changes(self, viewer, after, limit):
        return (Change(after + 1, "t", "changed", "pending", "none", AT),)


class _Quiet:
    def changes(self, viewer, after, limit):
        return ()


class _Busy:
    def changes(self, viewer, after, limit):
        return (None,) * limit

    def last_change(self):
        return 9000


def connect(site, who, after=None):
    client = site.client(who) if isinstance(who, str) else who
    cookie = "; ".join(f"{one.key}={one.value}" for one in client._cookies.values())
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=8)
    seen = {} if after is None else {"Last-Event-ID": str(after)}
    connection.request("GET", "/live", headers={"Cookie": cookie, **seen})
    return connection, connection.getresponse()


def read(site, who, *, until, after):
    connection, answer = connect(site, who, after)
    found = []
    while len(found) < until:
        line = answer.readline().decode()
        if line.startswith("data:"):
            found.append(json.loads(line[5:]))
    connection.close()
    return found
