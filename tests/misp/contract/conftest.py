"""Two MISPs that sync: doubles, or a real pair where EME_TEST_MISP_A_URL and its sisters are set.

The suite speaks plain HTTP, so that no client's habits hide what MISP does.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.doubles.misp import Clock, Misp, connect

ROLES = {"org_admin": "2", "user": "3", "publisher": "4", "sync": "5"}
REAL = ("EME_TEST_MISP_A_URL", "EME_TEST_MISP_A_ADMIN_KEY")


@dataclass
class Answer:
    status: int
    body: Any
    headers: requests.structures.CaseInsensitiveDict[str]
    text: str

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""


@dataclass
class Side:
    """One MISP: `call` as one of its users; *peer* roles belong to the other organisation."""

    url: str
    admin: str
    keys: dict[str, str] = field(default_factory=dict)
    organisation: str = ""
    name: str = ""
    double: Misp | None = None
    sessions: dict[str, requests.Session] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str = "admin",
        headers: dict[str, str | None] | None = None,
        data: bytes | None = None,
        fresh: bool = False,
    ) -> Answer:
        sent = {
            "Authorization": self.key(role),
            "Accept": "application/json",
            "Content-Type": "application/json",
        } | (headers or {})
        # a cookie of one user counts more than the key of another (authkey_keep_session)
        session = requests.Session() if fresh else self._session(role)
        got = session.request(
            method,
            self.url + path,
            json=body if data is None else None,
            data=data,
            headers=sent,
            timeout=60,
            allow_redirects=False,
        )
        is_json = "json" in got.headers.get("Content-Type", "") and got.content
        return Answer(got.status_code, got.json() if is_json else None, got.headers, got.text)

    def _session(self, role: str) -> requests.Session:
        return self.sessions.setdefault(role, requests.Session())

    def get(self, path: str, **more: Any) -> Answer:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.call("POST", path, {} if body is None else body, **more)

    def has(self, event: str, *, role: str = "admin") -> bool:
        return self.call("HEAD", f"/events/view/{event}", role=role).status == 200

    def event(self, uuid: str, *, role: str = "admin", how: str = "") -> dict[str, Any]:
        found = self.get(f"/events/view/{uuid}{how}", role=role)
        assert found.status == 200, found.text
        return found.body["Event"]

    def group(self, uuid: str) -> dict[str, Any]:
        found = self.get(f"/sharing_groups/view/{uuid}")
        assert found.status == 200, found.text
        return found.body

    def members(self, uuid: str) -> set[str]:
        rows = self.group(uuid)["SharingGroupOrg"]
        return {row["Organisation"]["uuid"] for row in rows}

    def key(self, role: str) -> str:
        return self.admin if role == "admin" else self.keys[role]

    def start(self, peer: str) -> None:
        """Learn who we are and make a user for each role; *peer* is the other organisation."""
        me = self.get("/users/view/me").body
        self.organisation, self.name = me["Organisation"]["uuid"], me["Organisation"]["name"]
        org = {one["uuid"]: one["id"] for one in self.organisations()}
        for role, number in ROLES.items():
            of = org[peer] if role == "sync" else me["Organisation"]["id"]
            body = {
                "email": f"{role}-{uuid4().hex[:8]}@contract.test",
                "org_id": of,
                "role_id": number,
                "password": f"Aa1!{uuid4().hex}",
                "change_pw": False,
                "termsaccepted": True,
            }
            self.keys[role] = self.post("/admin/users/add", body).body["User"]["authkey"]

    def organisations(self) -> list[dict[str, Any]]:
        rows = self.get("/organisations/index/scope:all").body
        return [row["Organisation"] for row in rows]


@dataclass
class Pair:
    a: Side
    b: Side
    clock: Clock | None = None

    def later(self) -> None:
        """Let a second pass, which is what MISP's comparisons need."""
        if self.clock is not None:
            self.clock.advance(2)
        else:
            time.sleep(2.1)

    def group(self, *, orgs: list[str], servers: list[str], **more: Any) -> tuple[str, str]:
        """Make a sharing group on A; return its uuid and its local id."""
        uuid = str(uuid4())
        body = {
            "name": f"group {uuid[:8]}",
            "uuid": uuid,
            "releasability": "test",
            "description": "",
            "active": True,
            "roaming": False,
            "organisation_uuid": self.a.organisation,
            "Organisation": {"uuid": self.a.organisation, "name": self.a.name},
            "SharingGroupOrg": [
                {"extend": n == 0, "uuid": one, "name": self.named(one)}
                for n, one in enumerate(orgs)
            ],
            "SharingGroupServer": [
                {"all_orgs": False, "Server": {"url": one, "name": one}} for one in servers
            ],
        } | more
        made = self.a.post("/sharing_groups/add", body)
        assert made.status == 200, made.text
        return made.body["SharingGroup"]["uuid"], made.body["SharingGroup"]["id"]

    def named(self, organisation: str) -> str:
        names = {self.a.organisation: self.a.name, self.b.organisation: self.b.name}
        return names.get(organisation, f"Other {organisation[:8]}")

    def both(self) -> dict[str, list[str]]:
        """Return the members and servers of a group that works."""
        return {
            "orgs": [self.a.organisation, self.b.organisation],
            "servers": [self.a.url, self.b.url],
        }


@pytest.fixture(scope="session")
def pair() -> Pair:
    made = _real() if os.environ.get(REAL[0]) else _doubles()
    yield made
    for side in (made.a, made.b):
        for session in side.sessions.values():
            session.close()
        if side.double is not None:
            side.double.close()


@pytest.fixture
def other() -> str:
    """Return the uuid of an organisation that runs neither MISP."""
    return str(uuid4())


@pytest.fixture
def event():
    """Return how to make the document of a new event with one attribute."""

    def make(**more: Any) -> dict[str, Any]:
        number = uuid4().int
        attribute = {
            "uuid": str(uuid4()),
            "type": "ip-dst",
            "category": "Network activity",
            "value": f"198.18.{number % 256}.{number // 256 % 256}",
            "to_ids": True,
            "distribution": "5",
        }
        return {
            "uuid": str(uuid4()),
            "info": "contract",
            "date": "2026-11-21",
            "distribution": "0",
            "threat_level_id": "2",
            "analysis": "0",
            "Attribute": [attribute],
        } | more

    return make


def _doubles() -> Pair:
    clock = Clock()
    clock.hold()
    a, b = Misp("Alpha", clock=clock), Misp("Beta", clock=clock)
    connect(a, b)
    pair = Pair(
        Side(a.url, a.admin, double=a),
        Side(b.url, b.admin, double=b),
        clock,
    )
    pair.a.start(b.organisation.uuid)
    pair.b.start(a.organisation.uuid)
    return pair


def _real() -> Pair:
    read = os.environ
    pair = Pair(
        Side(read["EME_TEST_MISP_A_URL"], read["EME_TEST_MISP_A_ADMIN_KEY"]),
        Side(read["EME_TEST_MISP_B_URL"], read["EME_TEST_MISP_B_ADMIN_KEY"]),
    )
    mine = {
        side.url: side.get("/users/view/me").body["Organisation"]["uuid"]
        for side in (pair.a, pair.b)
    }
    pair.a.start(mine[pair.b.url])
    pair.b.start(mine[pair.a.url])
    return pair
