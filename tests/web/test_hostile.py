"""Hostile bundles over HTTP: each gets its answer, and nothing of it runs or is called."""

from __future__ import annotations

import gzip
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gunicorn.http.errors import InvalidChunkSize

from eme_connector.domain.listing import ListQuery
from eme_connector.domain.rights import Right
from eme_connector.web import memory
from tests.build import CI, OTHER_CI
from tests.bundles import bundle, carrier, step

EXPECTED = {
    "h01": {400}, "h02": {400}, "h03": {422}, "h04": {422}, "h05": {413}, "h06": {400},
    "h07": {400, 422}, "h08": {201}, "h09": {400}, "h10": {400, 422}, "h11": {422},
    "h12": {413, 422}, "h13": {201}, "h14": {422}, "h15": {400, 415}, "h16": {422},
}  # fmt: skip
MB = 1024 * 1024


def post(site, data, headers=None, **more):
    sent = site.token(Right.INGEST) | {"Content-Type": "application/json"} | (headers or {})
    return site.client().post("/api/v1/ci/threats", data=data, headers=sent, **more)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_hostile_file_gets_what_is_expected(site, corpora, name):
    (path,) = (corpora / "iris-hostile").glob(f"{name}-*")
    headers = {"Content-Encoding": "gzip"} if path.suffix == ".gz" else {}

    answer = post(site, path.read_bytes(), headers)

    assert answer.status_code in EXPECTED[name], answer.data
    if answer.status_code != 201:
        assert answer.mimetype == "application/problem+json"
        assert site.eme.store.list_threats(ListQuery(CI)).threats == ()


def test_all_of_them_in_one_store_do_not_disturb_each_other(site, corpora):
    for path in sorted((corpora / "iris-hostile").glob("h*")):
        headers = {"Content-Encoding": "gzip"} if path.suffix == ".gz" else {}
        assert post(site, path.read_bytes(), headers).status_code < 500

    (threat,) = site.eme.store.list_threats(ListQuery(CI)).threats
    assert threat.revision == 2


@pytest.mark.parametrize(
    ("data", "coding", "status"),
    [
        (gzip.compress(b'{"type":"bundle","objects":["' + b"A" * 10 * MB + b'"]}'), "gzip", 413),
        (b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}", "identity", 422),
    ],
    ids=["bomb", "many-keys"],
)
def test_sixteen_bombs_at_once_do_not_grow_memory(site, data, coding, status):
    headers = {"Content-Encoding": coding}
    memory.give_back_early()  # as a worker does when it starts
    post(site, data, headers)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(site, data, headers), range(16)))

    assert {one.status_code for one in answers} == {status}
    assert peak() - before <= 64 * MB


def peak():
    """Return the most bytes that this process held in memory since its peak was set back."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_a_large_body_that_fails_makes_room_for_the_next(site):
    large = b'{"a":"' + b"x" * 2 * memory.LARGE_BYTES

    answers = [post(site, large).status_code for _ in range(3 * memory.AT_ONCE)]

    assert set(answers) == {400}


def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_read(site):
    class Unread(io.BytesIO):
        def read(self, *_):
            raise AssertionError("it was read")

    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(50 * MB)}
    headers = site.token(Right.INGEST) | {"Content-Type": "application/json"}
    answer = site.client().post("/api/v1/ci/threats", headers=headers, environ_overrides=environ)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/stix+json;version=2.1"}, 201),
        ({"Content-Encoding": "br"}, 415),
        ({"Content-Encoding": "gzip"}, 400),
    ],
)
def test_content_types_and_encodings(site, headers, status):
    assert post(site, json.dumps(bundle()), headers).status_code == status


def test_a_problem_never_echoes_what_was_sent(site):
    secret = "hunter2-in-the-wrong-place"
    wrong = carrier()
    wrong["detection"] |= {"classification": secret, "risk_score": secret, "organisation": secret}

    answer = post(site, json.dumps(bundle(wrong)))

    assert answer.status_code == 422
    assert secret not in answer.text
    assert [one["pointer"] for one in answer.json["errors"]] == [
        "/objects/0/detection/organisation",
        "/objects/0/detection/classification",
        "/objects/0/detection/risk_score",
    ]


def test_at_most_fifty_faults_are_told_and_how_many_there_are(site):
    steps = [step(n, "Isolate Host", action_impact="x") for n in range(80)]

    answer = post(site, json.dumps(bundle(carrier(steps=steps))))

    assert (len(answer.json["errors"]), answer.json["errors_total"]) == (50, 80)


@pytest.mark.parametrize("deep", ["[" * 5_000 + "]" * 5_000, '{"a":' * 500 + "1" + "}" * 500])
def test_own_forms_survive_deep_nesting(site, deep):
    person = site.person()

    answer = person.call(
        "PUT", "/api/v1/ci/stop", data=deep, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "form", [{"stopped": 1, "reason": "x"}, {"stopped": True}, {"stopped": True, "x": 1}, []]
)
def test_own_forms_are_strict(site, form):
    answer = site.person().call("PUT", "/api/v1/ci/stop", json=form)

    assert answer.status_code in (400, 422)
    assert answer.mimetype == "application/problem+json"


def test_two_bundles_with_the_same_ids_of_two_organisations_do_not_meet(site):
    ours = site.ingest(bundle()).json["threats"][0]["id"]
    theirs = site.ingest(bundle(carrier("CI-2")), OTHER_CI).json["threats"][0]["id"]

    assert ours != theirs
    for organisation, own, other in ((CI, ours, theirs), (OTHER_CI, theirs, ours)):
        headers = site.token(Right.READ, organisation=organisation)
        for path in (
            "ci/threats",
            "cert/threats",
            "ci/threats?sort=risk",
            "ci/threats?keyword=modbus",
            "ci/threats?status=pending",
            "ci/threats/aggregate",
            "cert/cis",
            "ci/policy/settings",
        ):
            text = site.client().get(f"/api/v1/{path}", headers=headers).text
            assert other not in text, path
        listed = site.client().get("/api/v1/ci/threats", headers=headers).json["threats"]
        assert [one["id"] for one in listed] == [own]
        hours = site.client().get("/api/v1/ci/threats/aggregate", headers=headers).json["hours"]
        assert sum(one["total"] for one in hours) == 1


class Endless:
    """A body in chunks that does not end, as a file in a form; `taken` is what was read of it."""

    start = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    taken = 0

    def read(self, size=-1):
        piece = min(size, MB) if size >= 0 else 64 * MB
        assert self.taken < 64 * MB
        data = b"a" * piece if self.taken else self.start.ljust(piece, b"a")
        self.taken += len(data)
        return data


class Garbled:
    """A body whose chunks cannot be told apart."""

    def read(self, size=-1):
        raise InvalidChunkSize(b"zz")


def send_in_chunks(site, path, body, kind):
    """POST *body* as gunicorn hands it over; a form with a cookie that nobody gave."""
    client = site.client()
    if "form" in kind:
        client.set_cookie("eme_session", "x")
    handed = {"wsgi.input": body, "wsgi.input_terminated": True}
    return client.post(path, content_type=kind, environ_overrides=handed)


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
)
@pytest.mark.parametrize("path", ["/api/v1/session", "/login", "/nowhere"])
def test_a_form_without_end_is_refused_wherever_it_is_sent(site, path, kind):
    body = Endless()

    answer = send_in_chunks(site, path, body, kind)

    assert answer.status_code in (400, 413)
    assert body.taken <= MB


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v1/session", "application/json"),
        ("/api/v1/session", "application/x-www-form-urlencoded"),
        ("/login", "application/x-www-form-urlencoded"),
    ],
)
def test_chunks_that_cannot_be_told_apart_are_refused_and_are_no_fault_of_ours(site, path, kind):
    assert send_in_chunks(site, path, Garbled(), kind).status_code == 400
