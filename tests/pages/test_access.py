"""Who may see and do what; refusals are pages that say the next step."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from eme_connector.domain.delivery import State
from eme_connector.domain.threat import Status, Tlp
from eme_connector.errors import StoreUnavailable
from eme_connector.ports import Owed
from tests.build import CERT, CI
from tests.pages.conftest import PASSWORD, token_of, waiting


@pytest.fixture
def threat(site):
    return site.add(decision=waiting(("1", "not-automatic")), viewers=(CI, CERT))


@pytest.mark.parametrize(
    "path", ["/threats", "/policy", "/stop", "/threats/{id}", "/threats/{id}/data"]
)
def test_nobody_is_led_to_the_login_and_back(site, threat, path):
    path = path.format(id=threat.id)

    answer = site.client().get(path)

    assert answer.status_code == 302
    assert answer.location == f"/login?next={path}"


@pytest.mark.parametrize("path", ["/threats/{id}", "/threats/{id}/data"])
def test_another_organisation_finds_nothing(site, threat, path):
    answer = site.client("olga").get(path.format(id=threat.id))

    assert answer.status_code == 404
    assert "There is no such threat here" in answer.text
    assert threat.detection.name not in answer.text


@pytest.mark.parametrize("path", ["decision", "close", "sharing", "deliveries/1/retry"])
def test_another_organisation_can_do_nothing(site, threat, path):
    form = {"decision": "approve-all", "digest": threat.digest, "reason": "x"}

    assert site.post("olga", f"/threats/{threat.id}/{path}", **form).status_code == 404
    assert site.now(threat) == threat


@pytest.mark.parametrize("path", ["decision", "close", "sharing"])
def test_who_it_was_shared_with_can_read_only(site, threat, path):
    form = {"decision": "approve-all", "digest": threat.digest, "reason": "x"}

    answer = site.post("carl", f"/threats/{threat.id}/{path}", **form)

    assert answer.status_code == 403
    assert "You may not do this" in answer.text
    assert site.now(threat) == threat


@pytest.mark.parametrize("path", ["decision", "close", "sharing"])
def test_a_viewer_can_read_only(site, threat, path):
    form = {"decision": "approve-all", "digest": threat.digest, "reason": "x"}

    assert site.post("vera", f"/threats/{threat.id}/{path}", **form).status_code == 403
    assert site.now(threat) == threat


@pytest.mark.parametrize("name", ["carl", "vera"])
def test_who_may_not_decide_sees_no_buttons(site, threat, name):
    for path in ("/threats", f"/threats/{threat.id}"):
        page = site.client(name).get(path).text
        assert "Approve " not in page
        assert "/decision" not in page
        assert 'href="/stop"' not in page


def test_a_cert_sees_organisation_sector_and_place_and_no_policy(site, threat):
    client = site.client("carl")

    for page in (client.get("/threats").text, client.get(f"/threats/{threat.id}").text):
        assert "CI-1" in page
        assert "Transport · Athens, Greece" in page
        assert 'href="/policy"' not in page
    assert client.get("/policy").status_code == 404
    assert client.get("/stop").status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/threats/{id}/decision", "/threats/{id}/close", "/policy", "/stop", "/login", "/logout"],
)
def test_a_form_without_its_token_changes_nothing(site, threat, path):
    client = site.client("anna")
    form = {"decision": "approve-all", "digest": threat.digest, "reason": "x", "name": "anna"}

    answer = client.post(path.format(id=threat.id), data=form)

    assert answer.status_code == 400
    assert "This form cannot be taken" in answer.text
    assert site.now(threat) == threat


def test_a_token_is_no_reader_of_pages(site):
    answer = site.client().get("/threats", headers={"Authorization": "Bearer eme_x"})

    assert answer.status_code in (302, 401)


def test_a_wrong_password_says_so_and_keeps_the_name(site):
    client = site.client()

    form = {"name": "anna", "password": "no", "csrf_token": token_of(client)}

    answer = client.post("/login", data=form)

    assert answer.status_code == 401
    assert "do not match" in answer.text
    assert 'value="anna"' in answer.text
    assert 'value="no"' not in answer.text


def test_too_many_tries_are_told_to_wait(site):
    client = site.client()
    form = {"name": "anna", "password": "no", "csrf_token": token_of(client)}

    codes = [client.post("/login", data=form).status_code for _ in range(11)]

    assert codes == [401] * 10 + [429]
    assert "Wait a minute" in client.post("/login", data=form).text


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example",
     "javascript:alert(1)", "/\t/evil.example", "threats", "///evil.example"],
)  # fmt: skip
def test_a_login_leads_to_this_site_only(site, wanted):
    client = site.client()
    form = {"name": "anna", "password": PASSWORD, "csrf_token": token_of(client), "next": wanted}

    assert client.post("/login", data=form).location == "/"


def test_a_login_leads_back_to_where_it_was_asked_for(site):
    client = site.client()
    wanted = "/threats?status=pending&keyword=modbus"
    form = {"name": "anna", "password": PASSWORD, "csrf_token": token_of(client), "next": wanted}

    assert client.post("/login", data=form).location == wanted


def test_logging_out_ends_the_session(site):
    client = site.client("anna")

    left = client.post("/logout", data={"csrf_token": token_of(client, "/threats")})

    assert left.status_code == 303
    assert client.get("/threats").status_code == 302
    assert "You are logged out" in client.get(left.location).text


def test_an_unknown_address_is_a_page_for_browsers(site):
    answer = site.client("anna").get("/nowhere", headers={"Accept": "text/html"})

    assert answer.status_code == 404
    assert "There is no such page" in answer.text


def test_a_fault_of_ours_is_a_page_with_a_number(site, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("eme_connector.usecases.browse.list_threats", fail)
    site.app.config["PROPAGATE_EXCEPTIONS"] = False

    answer = site.client("anna").get("/threats")

    assert answer.status_code == 500
    assert re.search(r"incident [0-9a-f-]{36}", answer.text)
    assert "secret" not in answer.text


def test_a_form_that_is_too_long_is_not_read(site):
    answer = site.client().post("/login", data={"name": "x" * 500_000})

    assert answer.status_code == 413


def test_a_database_that_is_down_is_said_with_the_next_step(site, monkeypatch):
    def fail(*_args, **_kwargs):
        raise StoreUnavailable("the database cannot be read")

    client = site.client("anna")
    monkeypatch.setattr(site.eme.store, "list_threats", fail)

    answer = client.get("/threats")

    assert answer.status_code == 503
    assert "The database cannot be reached" in answer.text
    assert "Try again" in answer.text


def test_pages_allow_no_inline_code(site, threat):
    answer = site.client("anna").get(f"/threats/{threat.id}")

    policy = answer.headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy
    assert " style=" not in answer.text
    assert "<style" not in answer.text
    assert not re.search(r"<script(?![^>]* src=)", answer.text)
    assert not re.search(r"\son[a-z]+=", answer.text)


def test_who_sees_it_can_be_named_for_the_strictest_markings(site):
    red = site.add(tlp=Tlp.RED)
    page = site.read("anna", f"/threats/{red.id}")
    assert "This marking goes only to those whom a person names" in page

    site.post("anna", f"/threats/{red.id}/sharing", group=red.group, recipient=CERT)

    assert site.now(red).recipients == (CERT,)
    assert "named by a person" in site.read("anna", f"/threats/{red.id}")


def test_what_is_uncertain_can_be_sent_again(site):
    threat = site.add()
    owed = Owed("peer:" + CERT, "peer", threat.id, CI, 1, payload=b'{"id":"x"}')
    delivery = site.eme.store.transact(lambda tx: tx.owe(owed))
    dead = replace(delivery, state=State.DEAD, reason="unreachable", fence=delivery.fence + 1)
    site.eme.store.transact(lambda tx: tx.save_delivery(dead, fence=delivery.fence))
    page = site.read("anna", f"/threats/{threat.id}")

    assert "given up" in page
    assert "it cannot be reached" in page
    assert f"/deliveries/{delivery.id}/retry" in page


def test_a_second_person_learns_who_was_first(site, threat):
    path = f"/threats/{threat.id}/decision"
    yes = {"decision": "approve-all", "digest": threat.digest}
    no = {"decision": "decline", "reason": "no", "digest": threat.digest}

    first, again = site.post("anna", path, **yes), site.post("anna", path, **yes)
    other = site.post("bob", path, **no)

    assert (first.status_code, again.status_code, other.status_code) == (303, 303, 409)
    assert "Approved by anna" in other.text


def test_a_stale_digest_is_answered_with_what_changed(site, threat):
    old = {"decision": "approve", "step": "1", "digest": "0" * 64}

    answer = site.post("anna", f"/threats/{threat.id}/decision", **old)

    assert answer.status_code == 412
    assert "It changed since you read it" in answer.text
    assert site.now(threat).decision.status is Status.PENDING
