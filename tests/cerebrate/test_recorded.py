"""The double answers with the members and types of what real Cerebrates were heard to say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from tests.doubles.cerebrate import CerebrateServer

CALLS = {
    "organisations_index": ("GET", "/organisations/index", None),
    "organisation_view": ("GET", "/organisations/view/2", None),
    "organisation_view_with_meta_fields": ("GET", "/organisations/view/3", None),
    "organisation_view_full_meta_fields": (
        "GET", "/organisations/view/3?includeFullMetaFields=1", None),
    "organisation_edit": ("POST", "/organisations/edit/2", {"contacts": "soc2@x.test"}),
    "individuals_index": ("GET", "/individuals/index", None),
    "alignments_index": ("GET", "/alignments/index", None),
    "sharing_groups_index": ("GET", "/sharingGroups/index", None),
    "sharing_group_view": ("GET", "/sharingGroups/view/1", None),
    "sharing_group_add": ("POST", "/sharingGroups/add", {
        "uuid": "g-new", "name": "g", "description": "d", "releasability": "r",
        "organisation_id": 2, "active": True}),
    "sharing_group_edit": ("POST", "/sharingGroups/edit/1", {"description": "v2"}),
    "sharing_group_add_org": ("POST", "/sharingGroups/addOrg/1", {"organisation_id": [2, 3]}),
    "sharing_group_remove_org": ("POST", "/sharingGroups/removeOrg/1/3", None),
    "encryption_key_add": ("POST", "/encryptionKeys/add", {
        "type": "pgp", "owner_model": "organisation", "owner_id": 2, "encryption_key": "k",
        "uuid": "ignored"}),
    "encryption_keys_index": ("GET", "/encryptionKeys/index", None),
    "broods_index": ("GET", "/broods/index", None),
    "organisation_delete": ("POST", "/organisations/delete/4", {}),
    "error_not_found": ("GET", "/organisations/view/9999", None),
    "error_no_controller": ("GET", "/nosuch/index", None),
    "error_validation_org_add_no_uuid": ("POST", "/organisations/add", {"name": "x"}),
    "error_validation_multi": ("POST", "/organisations/add", {"name": "", "uuid": "zz"}),
    "error_encryption_key_add": (
        "POST", "/encryptionKeys/add", {"type": "pgp", "owner_model": "organisation"}),
    "error_edit_validation": ("POST", "/organisations/edit/2", {"name": ""}),
    "error_bad_json": ("POST", "/organisations/add", "{bad json"),
    "get_on_add": ("GET", "/organisations/add", None),
    "gotcha_individuals_index_error": ("GET", "/individuals/index?quickFilter=x", None),
}  # fmt: skip


@pytest.fixture
def server():
    double = CerebrateServer()
    state = double.state
    two = state.organisation(name="CERT-ALPHA", url="u", nationality="n", sector="s", type="t",
                             contacts="c")  # fmt: skip
    three = state.organisation(name="CI", url="u", nationality="n", sector="s", type="t",
                               contacts="c")  # fmt: skip
    state.organisation(name="TO-DELETE")
    group = state.group(two["id"], [two["id"], three["id"]], name="EME", releasability="r",
                        description="d")  # fmt: skip
    state.individual("ana@alpha.test", [two["id"]], first_name="Ana", position="analyst")
    state.encryption_key(two["id"], "key", "pgp")
    state.brood("http://127.0.0.1:1", "x" * 40)
    networks = [("IPv4 address", "192.0.2.0/24"), ("IPv4 address", "198.51.100.0/24")]
    for field, value in networks:
        state.meta_field(three["id"], state.templates[1], field, value)
    assert group["id"] == 1
    yield double
    double.close()


@pytest.mark.parametrize("name", CALLS)
def test_it_answers_as_the_real_one_was_heard_to(server, corpora: Path, name):
    recorded = json.loads((corpora / "cerebrate" / f"{name}.json").read_text())
    method, path, body = CALLS[name]
    found = requests.request(
        method, server.url + path, timeout=5, allow_redirects=False,
        data=body if isinstance(body, str) else json.dumps(body) if body is not None else None,
        headers={"Authorization": server.state.key("admin"), "Accept": "application/json",
                 "Content-Type": "application/json"},
    )  # fmt: skip

    assert found.status_code == recorded["status"]
    assert ("X-Total-Count" in found.headers) == ("X-Total-Count" in recorded["headers"])
    assert differences(found.json(), recorded["body"]) == []
    if found.status_code != 200 or "message" in recorded["body"]:
        assert found.json()["message"] == recorded["body"]["message"]


def differences(ours, recorded, at=""):
    """Return where members or types differ; what is empty on one side says nothing."""
    if ours in ([], None) or recorded in ([], None):
        return []
    if type(ours) is not type(recorded):
        return [f"{at}: {ours!r} is not like {recorded!r}"]
    if isinstance(ours, list):
        richest = [max(one, key=lambda row: len(str(row))) for one in (ours, recorded)]
        return differences(*richest, f"{at}[]")
    if not isinstance(ours, dict):
        return []
    # fields by template are data, not members
    apart = set() if at.endswith("meta_fields") else ours.keys() ^ recorded.keys()
    both = ours.keys() & recorded.keys()
    inner = [one for key in both for one in differences(ours[key], recorded[key], f"{at}/{key}")]
    return [f"{at}/{key}" for key in sorted(apart)] + inner
