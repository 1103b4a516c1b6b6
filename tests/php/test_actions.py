"""Every action, as page, as modal and over REST, against a sidecar on a real port (D6)."""

from __future__ import annotations

import json

import pytest

from tests.build import CERT, CI, GROUP, OTHER_CI
from tests.bundles import bundle, carrier
from tests.php.conftest import ACTIONS, FORMS, connection, group, organisation

ROWS = {
    "organisations": [organisation(CI, "CI-1", sector="rail"), organisation(CERT, "CERT-1")],
    "groups": [group(GROUP, "Trams", CERT, **{CI: True, CERT: False})],
}


@pytest.fixture
def do_all(php, sidecar):
    """Do many things with the sidecar's connection; returns their results."""

    def run(commands):
        common = {"connection": sidecar.connection, "rows": ROWS}
        found = php(*(common | one for one in commands))
        assert [one for one in found if "thrown" in one] == []
        assert sidecar.token not in json.dumps(found)
        return found

    return run


@pytest.fixture
def do(do_all):
    """Do one thing with the sidecar's connection; returns its result."""

    def run(name, **how):
        (found,) = do_all([how | {"do": name}])
        return found

    return run


def push(do, action, **params):
    answer = do(action, method="post", kind="json", params=params)["rest"]
    return answer["status"], answer["body"]["message"]


def statuses(do, name, rows=ROWS):
    body = do(name, kind="json", rows=rows)["rest"]["body"]
    return {one["name"]: (one["status"], one["differs"]) for one in body}


def test_the_health_dot_is_green(do):
    assert do("health")["result"] == {"status": 1, "message": "OK"}


def test_an_index_is_a_table_on_a_page_and_rows_over_rest(do_all, sidecar):
    sidecar.site.ingest(bundle(carrier()))
    pages = do_all({"do": name, "kind": "html"} for name in ACTIONS)
    rests = do_all({"do": name, "kind": "json"} for name in ACTIONS)

    for page, rest in zip(pages, rests, strict=True):
        table = page["result"]["data"]
        assert page["rest"] is None
        assert page["result"]["type"] == "index"
        assert table["html"] == ""
        assert (rest["rest"]["status"], rest["rest"]["type"]) == (200, "json")
        assert rest["rest"]["body"] == table["data"]
        for row in table["data"]:
            assert {one["data_path"] for one in table["fields"]} <= set(row)


@pytest.mark.parametrize("kind", ["html", "ajax"])
def test_a_form_is_shown_by_get_and_changes_nothing(do_all, sidecar, kind):
    before = sidecar.store.directory_version()
    shown = do_all({"do": name, "kind": kind, "params": FORMS[name]} for name in FORMS)

    for name, one in zip(FORMS, shown, strict=True):
        data = one["result"]["data"]
        assert one["rest"] is None
        assert {"title", "description", "fields", "url", "submit"} == set(data)
        assert (data["url"]["0"], data["url"]["1"]) == ("7", name)
        query = {key: FORMS[name][key] for key in ("uuid", "code") if key in FORMS[name]}
        assert data["url"].get("?", {}) == query
    assert sidecar.store.directory_version() == before


@pytest.mark.parametrize("rows", [ROWS, {}], ids=["full", "empty"])
def test_a_modal_always_gets_200_and_says_how_it_went(do_all, rows):
    """Cerebrate answers 500 to a modal whose action failed, and shows the token otherwise."""
    common = {"method": "post", "kind": "ajax", "rows": rows}
    answers = do_all(common | {"do": name, "params": FORMS[name]} for name in FORMS)

    for one in answers:
        assert (one["rest"]["status"], one["rest"]["type"]) == (200, "json")
        assert set(one["rest"]["body"]) == {"success", "message", "errors", "data", "url"}
        assert one["rest"]["body"]["message"]
    assert len({one["rest"]["body"]["success"] for one in answers}) == 2


def test_a_plain_post_leaves_the_answer_to_cerebrate(do_all):
    common = {"method": "post", "kind": "html"}
    answers = do_all(common | {"do": name, "params": FORMS[name]} for name in FORMS)

    for one in answers:
        assert one["rest"] is None
        assert one["result"]["success"] in (0, 1)
        assert one["result"]["message"]


def test_threats_are_listed_and_searched_by_the_sidecar(do, sidecar):
    sidecar.site.ingest(bundle(carrier()))
    (row,) = do("threatsAction", kind="json")["rest"]["body"]

    assert (row["organisation"], row["status"]) == ("CI-1", "pending")
    assert row["risk"].endswith(("(low)", "(medium)", "(high)", "(critical)"))
    none = do("threatsAction", kind="json", params={"quickFilter": "nowhere"})["rest"]["body"]
    assert none == []


def test_policies_say_what_runs_unasked(do):
    rows = do("policiesAction", kind="json")["rest"]["body"]

    assert len(rows) == 8
    assert {(one["scope"], one["automatic"]) for one in rows} == {("everything", "asks a person")}


def test_a_search_on_a_page_narrows_it(do):
    found = do("organisationsAction", params={"quickFilter": "cert-"})["result"]["data"]["data"]

    assert [one["name"] for one in found] == ["CERT-1"]


def test_lists_are_compared_and_pushed(do):
    assert statuses(do, "organisationsAction") == {
        "CI-1": ("only in Cerebrate", ""), "CERT-1": ("only in Cerebrate", "")}  # fmt: skip

    assert push(do, "pushOrganisationAction", uuid=CI) == (200, "Organisations pushed: 1.")
    changed = ROWS | {"organisations": [organisation(CI, "CI one", sector="tram")]}
    assert statuses(do, "organisationsAction", changed) == {"CI one": ("differs", "name, sector")}
    assert push(do, "pushOrganisationsAction") == (200, "Organisations pushed: 1.")
    gone = statuses(do, "organisationsAction", {"groups": []})
    assert gone == {"CI-1": ("only in the sidecar", ""), "CERT-1": ("only in the sidecar", "")}


def test_a_group_is_pushed_with_its_organisations(do, sidecar):
    assert push(do, "pushSharingGroupAction", uuid=GROUP) == (200, "Sharing groups pushed: 1.")

    found = sidecar.store.directory()
    assert found.groups[GROUP].members == {CI: True, CERT: False}
    assert set(found.organisations) == {CI, CERT}
    assert statuses(do, "sharingGroupsAction") == {"Trams": ("same", "")}


def test_a_member_that_left_leaves_the_sidecar_too(do, sidecar):
    push(do, "pushSharingGroupsAction")
    smaller = ROWS | {"groups": [group(GROUP, "Trams", CERT, **{CERT: True})]}

    assert statuses(do, "sharingGroupsAction", smaller) == {"Trams": ("differs", "members")}
    do("pushSharingGroupsAction", method="post", kind="json", rows=smaller)
    assert sidecar.store.directory().groups[GROUP].members == {CERT: True}


def test_only_groups_of_that_name_are_pushed(do, sidecar):
    push(do, "pushSharingGroupsAction", name="Ra%")
    assert sidecar.store.directory().groups == {}
    push(do, "pushSharingGroupsAction", name="Tr%")
    assert set(sidecar.store.directory().groups) == {GROUP}


def test_a_group_that_cerebrate_lost_can_be_withdrawn(do, sidecar):
    push(do, "pushSharingGroupsAction")
    table = do("sharingGroupsAction", rows={})["result"]["data"]

    assert [(one["icon"], one["rows"]) for one in table["actions"]] == [
        ("upload", []), ("trash", [0])]  # fmt: skip
    status, message = push(do, "withdrawSharingGroupAction", uuid=GROUP)
    assert (status, message) == (200, "The sharing group is withdrawn.")
    assert sidecar.store.directory().groups == {}


def test_what_is_not_there_is_told(do):
    assert push(do, "pushSharingGroupAction", uuid=OTHER_CI) == (
        502, "Could not find the sharing group.")  # fmt: skip
    assert push(do, "pushOrganisationAction", uuid=OTHER_CI)[0] == 502
    assert push(do, "withdrawSharingGroupAction", uuid="../x")[0] == 502
    assert push(do, "cancelHandshakeAction", code="../../health")[0] == 502


def test_a_group_that_is_refused_is_named_and_the_others_go_through(do, sidecar):
    """Its owner is unknown to Cerebrate as well, so nothing could be pushed for it."""
    strange = group(OTHER_CI, "Strange", "99999999-9999-4999-8999-999999999999")
    rows = ROWS | {"groups": [strange, *ROWS["groups"]]}
    answer = do("pushSharingGroupsAction", method="post", kind="ajax", rows=rows)["rest"]["body"]

    assert (answer["success"], answer["data"]) == (0, {"sharing_groups": 1})
    assert "Strange" in answer["message"]
    assert "/owner" in answer["message"]
    assert set(sidecar.store.directory().groups) == {GROUP}


def test_a_thousand_organisations_are_pushed(do, sidecar):
    many = [organisation(f"{n:08x}-0000-4000-8000-000000000000", f"O{n}") for n in range(1001)]
    rows = {"organisations": many}
    answer = do("pushOrganisationsAction", method="post", kind="json", rows=rows)["rest"]["body"]

    assert answer["message"] == "Organisations pushed: 1001."
    assert len(sidecar.store.directory().organisations) == 1001


# many sidecars at once


def test_a_batch_tells_of_each_and_hides_the_token(do, sidecar):
    answer = do("batchPushAction", method="post", kind="json",
                params={"what": "both", "connection_ids": ["7", "8"]})  # fmt: skip

    assert answer["rest"] is None
    assert answer["result"]["message"] == "Organisations pushed: 2. Sharing groups pushed: 1."
    assert answer["result"]["data"] == {"organisations": 2, "sharing_groups": 1}
    assert "settings" not in answer["result"]["connection"]
    assert set(sidecar.store.directory().groups) == {GROUP}


def test_the_form_of_a_batch_keeps_the_connections(do):
    data = do("batchPushAction", params={"connection_ids": ["7", "8"]})["result"]["data"]

    assert data["fields"][-1] == {"field": "connection_ids", "type": "hidden", "value": "7,8"}
    assert data["url"] == {"controller": "localTools", "action": "batchAction",
                           "0": "batchPushAction"}  # fmt: skip


def test_any_index_can_be_had_as_a_batch(do):
    answer = do("organisationsAction", method="post", kind="json",
                params={"connection_ids": ["7"]})["result"]  # fmt: skip

    assert (answer["success"], len(answer["data"])) == (1, 2)
    assert "settings" not in answer["connection"]


# text from outside


def test_hostile_text_cannot_end_the_page_s_script(do, sidecar):
    sidecar.site.ingest(bundle(carrier(detection_name="<!--<script>alert(1)</script>")))
    (row,) = do("threatsAction", kind="html")["result"]["data"]["data"]

    assert "<!--" not in row["name"]


def test_diagnostics_name_what_is_down(php, sidecar):
    unsafe = connection(sidecar.url, sidecar.token)
    unsafe["settings"] = unsafe["settings"].replace('"skip_ssl": "0"', '"skip_ssl": "1"')
    (answer,) = php({"do": "diagnostics", "connection": unsafe})

    assert set(answer["result"]) == {"tls", "http", "orchestrator:demo"}
    assert answer["result"]["orchestrator:demo"]["type"] == "danger"
