"""The same on two real Cerebrates that are broods of each other and have the connector.

EME_TEST_CEREBRATE_A_URL and _KEY (community admin), and the same for B. Each test adds what it
needs under names of its own and takes it away again.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from uuid import uuid4

import pytest

from tests.php.conftest import Sidecar

NAMES = [f"EME_TEST_CEREBRATE_{side}_{what}" for side in "AB" for what in ("URL", "KEY")]
pytestmark = pytest.mark.skipif(
    not all(os.environ.get(name) for name in NAMES), reason=f"needs {', '.join(NAMES)}"
)


class Cerebrate:
    """REST calls as an admin; what was added is deleted at the end."""

    def __init__(self, side):
        self.url = os.environ[f"EME_TEST_CEREBRATE_{side}_URL"].rstrip("/")
        self._key = os.environ[f"EME_TEST_CEREBRATE_{side}_KEY"]
        self._added = []

    def call(self, method, path, body=None, **headers):
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self._key, "Accept": "application/json",
                     "Content-Type": "application/json"} | headers,
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as exc:
            return exc.code, json.load(exc)

    def add(self, what, body):
        status, found = self.call("POST", f"/{what}/add", body)
        assert (status, "id" in found) == (200, True), found
        self._added.append((what, found["id"]))
        return found["id"]

    def connect(self, sidecar):
        """Add *sidecar* as a local tool and return the connection's id."""
        settings = sidecar.connection["settings"]
        name = f"EME {uuid4().hex[:8]}"
        return self.add("localTools", {"name": name, "connector": "EmeConnector",
                                       "exposed": True, "settings": settings})  # fmt: skip

    def brood(self, other):
        """Return (id, organisation uuid) of the brood that is *other*."""
        _, broods = self.call("GET", "/broods/index")
        found = next(one for one in broods if one["url"] == other.url)
        return found["id"], found["organisation"]["uuid"]

    def messages(self):
        _, found = self.call("GET", "/inbox/index?filteringLabel=")
        return [one["id"] for one in found if one["scope"] == "LocalTool"]

    def process_new(self, before):
        """Press the one button of the message that came since *before*."""
        (fresh,) = set(self.messages()) - set(before)
        return fresh, self.call("POST", f"/inbox/process/{fresh}", {})[1]

    def clear(self):
        for what, id in reversed(self._added):
            self.call("POST", f"/{what}/delete/{id}", {})


@pytest.fixture
def sides():
    a, b = Cerebrate("A"), Cerebrate("B")
    status, _ = a.call("GET", "/localTools/viewConnector/EmeConnector")
    if status != 200:
        pytest.skip("the connector is not installed there")
    yield a, b
    a.clear()
    b.clear()


@pytest.fixture
def pair(sides, make_site, tmp_path):
    """A sidecar for each Cerebrate, of the organisation that the other one's brood names."""
    a, b = sides
    ours, theirs = b.brood(a)[1], a.brood(b)[1]
    organisations = [{"uuid": ours, "name": "A", "role": "cert"}, {"uuid": theirs, "name": "B"}]
    common = {"organisations": organisations, "sharing_groups": [], "orchestrators": []}
    made = [Sidecar(make_site, tmp_path, uuid, **common) for uuid in (ours, theirs)]
    yield made
    for one in made:
        one.close()


def test_the_dot_is_green_and_every_index_answers(sides, pair):
    a, _ = sides
    id = a.connect(pair[0])
    _, index = a.call("GET", "/localTools/index")
    connections = next(one for one in index if one["connector"] == "EmeConnector")["connections"]

    assert [one["health"] for one in connections if one["url"].endswith(f"/{id}")] == [1]
    for name in ("diagnostics", "threats", "policies", "organisations", "sharingGroups",
                 "handshakes"):  # fmt: skip
        status, rows = a.call("GET", f"/localTools/action/{id}/{name}Action")
        assert (status, type(rows)) == (200, list), name


def test_a_group_is_pushed_follows_a_removal_and_is_withdrawn(sides, pair):
    a, _ = sides
    id, sidecar = a.connect(pair[0]), pair[0]
    uuid, members = str(uuid4()), [str(uuid4()), str(uuid4())]
    ids = [a.add("organisations", {"uuid": one, "name": f"eme {one[:8]}"}) for one in members]
    body = {"uuid": uuid, "name": f"eme {uuid[:8]}", "releasability": "members",
            "description": "é <b>", "organisation_id": ids[0], "active": 1}  # fmt: skip
    group = a.add("sharingGroups", body)
    for number, one in enumerate(ids):
        a.call("POST", f"/sharingGroups/addOrg/{group}",
               {"organisation_id": [one], "extend": number})  # fmt: skip

    def push():
        path = f"/localTools/action/{id}/pushSharingGroupAction?uuid={uuid}"
        status, answer = a.call("POST", path, {})
        assert (status, answer["success"]) == (200, 1), answer
        return dict(sidecar.store.directory().groups[uuid].members)

    assert push() == {members[0]: False, members[1]: True}
    a.call("POST", f"/sharingGroups/removeOrg/{group}/{ids[1]}", {})
    assert push() == {members[0]: False}
    a.call("POST", f"/sharingGroups/delete/{group}", {})
    path = f"/localTools/action/{id}/withdrawSharingGroupAction?uuid={uuid}"
    assert a.call("POST", path, {})[1]["success"] == 1
    assert uuid not in sidecar.store.directory().groups


def test_a_modal_that_fails_is_no_error_page_and_a_batch_hides_the_token(sides, pair):
    a, _ = sides
    id = a.connect(pair[0])
    modal = {"X-Requested-With": "XMLHttpRequest"}
    path = f"/localTools/action/{id}/pushOrganisationAction?uuid={uuid4()}"
    status, answer = a.call("POST", path, {}, **modal)
    assert (status, answer["success"]) == (200, 0)

    path = f"/localTools/batchAction/batchPushAction?connection_ids={id}"
    status, answer = a.call("POST", path, {"what": "organisations"})
    assert (status, answer[str(id)]["success"]) == (200, 1), answer
    assert pair[0].token not in json.dumps(answer)


def test_three_clicks_make_two_peers(sides, pair):
    a, b = sides
    here, there = a.connect(pair[0]), b.connect(pair[1])
    brood, _ = a.brood(b)
    before = a.messages(), b.messages()

    path = f"/localTools/connectionRequest/{brood}/{there}"
    assert a.call("POST", path, {"local_tool_id": here})[1]["success"] is True
    assert b.process_new(before[1])[1]["success"] is True
    assert [one.store.peers() for one in pair] == [(), ()]
    assert a.process_new(before[0])[1]["success"] is True

    assert [len(one.store.peers()) for one in pair] == [1, 1]
    _, tools = a.call("GET", f"/localTools/broodTools/{brood}")
    (tool,) = [one for one in tools if one["id"] == there]
    assert [one["status"] for one in tool["local_tools"]] == ["Connected"]


def test_a_refused_acceptance_is_told_and_leaves_the_request(sides, pair):
    a, b = sides
    here, there = a.connect(pair[0]), b.connect(pair[1])
    brood, _ = a.brood(b)
    before = b.messages()
    path = f"/localTools/connectionRequest/{brood}/{there}"
    assert a.call("POST", path, {"local_tool_id": here})[1]["success"] is True
    pair[1].close()

    number, answer = b.process_new(before)
    assert (answer["success"], answer["errors"]) == (False, "The sidecar cannot be reached.")
    assert number in b.messages()
    b.call("POST", f"/inbox/delete/{number}", {})
