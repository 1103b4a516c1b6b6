"""Logging in and out: fresh ids, limits, and an end for everybody."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import extract_parameters
from argon2.exceptions import VerifyMismatchError

from eme_connector.domain.rights import PEOPLE_ONLY, Caller, Right
from eme_connector.errors import InvalidInput, NotAuthenticated
from eme_connector.usecases import accounts
from tests.build import CI, OTHER_CI
from tests.web.conftest import PASSWORD

ADMIN = Caller("person", "root", "root", CI, frozenset(Right) - PEOPLE_ONLY)


def who(person):
    return person.client.get("/api/v1/session").status_code


def test_a_session_says_who_it_is_and_ends_at_logout(site):
    person = site.person()
    found = person.client.get("/api/v1/session").json

    assert (found["organisation"], "decide" in found["rights"]) == (CI, True)
    assert person.call("DELETE", "/api/v1/session").status_code == 204
    assert who(person) == 401


def test_an_id_that_a_client_chose_is_never_taken(site):
    client = site.client()
    site.person()
    client.set_cookie("eme_session", "chosen-by-somebody-else")
    answer = client.post(
        "/api/v1/session",
        json={"name": f"admin-{CI[:4]}", "password": PASSWORD},
    )

    # a cookie without its CSRF token cannot even log in
    assert answer.status_code == 400
    assert client.get_cookie("eme_session").value == "chosen-by-somebody-else"
    assert site.eme.store.find_session("chosen-by-somebody-else", 0) is None


def test_logging_in_again_makes_a_fresh_id(site):
    person = site.person()
    first = person.client.get_cookie("eme_session").value
    name = person.client.get("/api/v1/session").json["name"]

    person.call("POST", "/api/v1/session", json={"name": name, "password": PASSWORD})
    second = person.client.get_cookie("eme_session").value

    assert first != second
    old = site.client()
    old.set_cookie("eme_session", first)
    assert old.get("/api/v1/session").status_code == 401


def test_disabling_an_account_ends_all_its_sessions(site):
    person, other = site.person(), site.person(OTHER_CI)
    name = person.client.get("/api/v1/session").json["name"]

    accounts.disable_account(name, caller=ADMIN, store=site.eme.store, now=time.time())

    assert (who(person), who(other)) == (401, 200)


def test_a_new_password_ends_all_sessions(site):
    person = site.person()
    name = person.client.get("/api/v1/session").json["name"]

    accounts.set_password(
        name, "another long password", caller=ADMIN, store=site.eme.store, now=time.time()
    )

    assert who(person) == 401


def test_wrong_passwords_are_refused_and_then_slowed_down(make_site):
    site = make_site(limits={"logins_per_minute": 3})
    client = site.client()
    form = {"name": "nobody", "password": "wrong wrong wrong"}

    answers = [client.post("/api/v1/session", json=form) for _ in range(5)]

    assert [one.status_code for one in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].headers["Retry-After"]


def test_a_wrong_name_is_looked_at_as_hard_as_a_wrong_password(site):
    site.person()
    known, store = f"admin-{CI[:4]}", site.eme.store
    causes = []
    for name in (known, "nobody"):
        with pytest.raises(NotAuthenticated) as refused:
            accounts.prove_password(name, "wrong wrong wrong", store=store)
        causes.append(type(refused.value.__cause__))

    assert causes == [VerifyMismatchError] * 2
    cost = extract_parameters(store.find_account(known).password_hash)
    assert extract_parameters(accounts._NOBODY) == cost


def test_a_token_request_touches_no_session(site):
    answer = site.client().get("/api/v1/ci/threats", headers=site.token(Right.READ))

    assert "Set-Cookie" not in answer.headers


def test_the_cookie_is_not_for_scripts_nor_other_sites(site):
    site.person()
    answer = site.client().post(
        "/api/v1/session", json={"name": f"admin-{CI[:4]}", "password": PASSWORD}
    )

    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert PASSWORD not in str(site.eme.store.find_account(f"admin-{CI[:4]}"))


def test_another_host_is_not_served(site):
    answer = site.client().get("/healthz", headers={"Host": "evil.example"})

    assert answer.status_code == 421


def test_every_answer_carries_the_headers_that_keep_browsers_safe(site):
    for path in ("/healthz", "/login", "/api/v1/ci/threats", "/nope"):
        headers = site.client().get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_revoked_and_expired_tokens_are_refused(site):
    headers = site.token(Right.READ)
    (token,) = site.eme.store.tokens()
    path = "/api/v1/ci/threats"
    assert site.client().get(path, headers=headers).status_code == 200

    accounts.revoke_token(token.prefix, caller=ADMIN, store=site.eme.store, now=time.time())

    assert site.client().get(path, headers=headers).status_code == 401


def test_a_token_with_decide_is_never_made(site):
    with pytest.raises(InvalidInput) as caught:
        site.token(Right.DECIDE)
    assert caught.value.pointer == "/rights"


def test_few_passwords_are_checked_at_once_for_each_takes_memory(site, monkeypatch):
    class Hasher:
        now = most = 0
        lock = threading.Lock()

        def verify(self, known, password):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.02)
            with self.lock:
                self.now -= 1
            raise VerifyMismatchError

    hasher = Hasher()
    monkeypatch.setattr(accounts, "_HASHER", hasher)

    def fail_to_log_in(name):
        with pytest.raises(NotAuthenticated):
            accounts.prove_password(name, PASSWORD, store=site.eme.store)

    with ThreadPoolExecutor(16) as many:
        list(many.map(fail_to_log_in, map(str, range(16))))

    assert 1 < hasher.most <= 4
