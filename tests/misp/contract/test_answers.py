"""How MISP answers: keys, content types, layouts, and codes that mean something else (G11-G16)."""

from __future__ import annotations

import gzip
import json
from uuid import uuid4

import pytest

NOT_AUTHENTICATED = "Authentication failed."


@pytest.mark.parametrize("key", ["0" * 40, "short", ""])
def test_a_wrong_key_is_a_403(pair, key):
    refused = pair.a.get("/events/index", headers={"Authorization": key or None}, fresh=True)

    assert refused.status == 403
    assert refused.message.startswith(NOT_AUTHENTICATED)


def test_a_kept_session_counts_more_than_the_key(pair):
    if pair.clock is not None:
        setting = "/servers/serverSettingsEdit/Security.authkey_keep_session"
        pair.a.post(setting, {"value": True})
    first = pair.a.get("/users/view/me", role="user").body["User"]["id"]

    again = pair.a.get("/users/view/me", role="user", headers={"Authorization": pair.a.admin})

    assert again.body["User"]["id"] == first


@pytest.mark.parametrize("accept", [None, "*/*"])
def test_without_accept_a_get_leads_to_the_login_page(pair, accept):
    got = pair.a.get("/servers/getVersion", headers={"Accept": accept}, fresh=True)

    assert got.status == 302
    assert got.headers["Location"].endswith("/users/login")


def test_a_post_without_accept_is_json_all_the_same(pair):
    body = {"uuid": str(uuid4()), "metadata": True}

    found = pair.a.post("/events/restSearch", body, headers={"Accept": None})

    assert found.body == {"response": []}


def test_the_suffix_does_what_accept_does(pair, event):
    document = event()
    pair.a.post("/events/add", document)

    found = pair.a.get(f"/events/view/{document['uuid']}.json", headers={"Accept": None})

    assert found.body["Event"]["uuid"] == document["uuid"]


@pytest.mark.parametrize(
    ("agent", "compact"), [("PyMISP 2.5", True), ("MISP 2.5.1", True), ("curl/8", False)]
)
def test_programs_get_compact_json(pair, agent, compact):
    text = pair.a.get("/servers/getVersion", headers={"User-Agent": agent}).text

    assert ("\n" not in text) is compact


def test_broken_json_is_a_405(pair):
    broken = pair.a.call("POST", "/events/add", data=b'{"info": "broken')
    assert broken.status == 405
    assert broken.message.startswith("Invalid JSON input.")
    assert pair.a.call("POST", "/events/add", data=b"").status == 405


def test_a_body_may_be_packed(pair, event):
    document = event()
    packed = gzip.compress(json.dumps(document).encode())

    added = pair.a.call("POST", "/events/add", data=packed, headers={"Content-Encoding": "gzip"})

    assert added.body["Event"]["uuid"] == document["uuid"]


def test_unknown_paths_are_404(pair):
    for path in ("/nosuch/index", "/events/nosuchAction"):
        assert pair.a.get(path).status == 404


def test_a_missing_right_is_a_403(pair, event):
    document = event()
    pair.a.post("/events/add", document)

    refused = pair.a.post(f"/events/publish/{document['uuid']}", role="user")

    assert (refused.status, refused.message) == (
        403,
        "You do not have permission to use this functionality.",
    )


def test_a_read_only_key_reads(pair, event):
    body = {"comment": "contract", "read_only": True, "allowed_ips": []}
    me = pair.a.get("/users/view/me", role="publisher").body["User"]["id"]
    key = pair.a.post(f"/auth_keys/add/{me}", body, role="publisher").body["AuthKey"]
    pair.a.keys["readonly"] = key["authkey_raw"]

    assert pair.a.post("/events/restSearch", {"limit": 1}, role="readonly").status == 200
    assert pair.a.post("/events/add", event(), role="readonly").status == 403


def test_a_key_of_another_address_is_refused(pair):
    me = pair.a.get("/users/view/me", role="user").body["User"]["id"]
    body = {"comment": "contract", "allowed_ips": ["192.0.2.1"]}
    key = pair.a.post(f"/auth_keys/add/{me}", body, role="user").body["AuthKey"]
    pair.a.keys["elsewhere"] = key["authkey_raw"]

    assert pair.a.get("/servers/getVersion", role="elsewhere").status == 403


def test_a_minimal_index_has_an_etag_for_programs(pair):
    body = {"minimal": 1, "published": 1, "org": pair.a.organisation}
    agent = {"User-Agent": "MISP 2.5.1"}

    first = pair.a.post("/events/index", body, headers=agent | {"If-None-Match": '""'})
    again = pair.a.post(
        "/events/index", body, headers=agent | {"If-None-Match": first.headers["ETag"]}
    )

    assert (first.status, again.status) == (200, 304)


def test_version_tells_what_the_key_may(pair):
    assert pair.a.get("/servers/getVersion", role="sync").body["perm_sync"] is True
    told = pair.a.get("/servers/getVersion", role="user").body
    assert (told["perm_sync"], told["perm_sighting"], told["uuid"]) == (False, True, "-")


def test_settings_of_the_command_line_are_not_for_rest(pair):
    refused = pair.a.post(
        "/servers/serverSettingsEdit/Security.rest_client_enable_arbitrary_urls", {"value": True}
    )

    assert refused.status == 405


def test_an_organisations_name_is_compared_by_case(pair):
    name = f"Contract {uuid4().hex[:8]}"

    def add(**body):
        return pair.a.post("/admin/organisations/add", body)

    assert add(name=name, uuid=str(uuid4())).status == 200
    again = add(name=name, uuid=str(uuid4()))
    assert (again.status, list(again.body["errors"])) == (403, ["name"])
    assert add(name=name.lower(), uuid=str(uuid4())).status == 200
    assert add(name=f"{name} x", uuid="not-a-uuid").status == 403
    assert add(name=f"{name} \U0001f4a5", uuid=str(uuid4())).status == 500


def test_remote_organisations_are_not_in_the_plain_list(pair):
    uuid = str(uuid4())
    body = {"name": f"Remote {uuid}", "uuid": uuid, "local": False}
    pair.a.post("/admin/organisations/add", body)

    def listed(path):
        return uuid in {one["Organisation"]["uuid"] for one in pair.a.get(path).body}

    assert not listed("/organisations/index")
    assert listed("/organisations/index/scope:all")


def test_updating_templates_redirects(pair):
    if pair.clock is None:
        pytest.skip("a real update takes minutes")

    assert pair.a.post("/objectTemplates/update").status == 302


def test_server_flags_are_off_unless_given(pair):
    me = pair.a.get("/users/view/me").body["Organisation"]["id"]
    entry = {"url": "http://127.0.0.1:9", "name": f"x {uuid4()}", "authkey": "a" * 40}

    made = pair.a.post("/servers/add", entry | {"remote_org_id": me}).body["Server"]

    assert [made[name] for name in ("push", "pull", "push_sightings")] == [False] * 3
    assert pair.a.get(f"/servers/testConnection/{made['id']}").body["status"] == 2
    assert pair.a.post(f"/servers/delete/{made['id']}").message == "Server deleted"
