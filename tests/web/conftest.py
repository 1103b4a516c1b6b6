"""A sidecar in this process: two operators and a CERT, tokens and people for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient

from eme_connector import config
from eme_connector.bootstrap import Eme, build, prepare
from eme_connector.domain.rights import PEOPLE_ONLY, Caller, Right
from eme_connector.usecases import accounts
from eme_connector.web.app import create_app
from tests.build import CERT, CI, GROUP, OTHER_CI

PASSWORD = "a long password for the test"
SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"


@dataclass
class Site:
    """The running application and how to call it as somebody."""

    eme: Eme
    app: Any
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def token(
        self, *rights: Right, organisation: str = CI, orchestrator: str = ""
    ) -> dict[str, str]:
        """Return the header of a token with exactly these rights."""
        _, text = accounts.create_token(
            "test", organisation, frozenset(rights), caller=_admin(organisation),
            store=self.eme.store, now=self.eme.clock(), orchestrator=orchestrator,
        )  # fmt: skip
        return {"Authorization": f"Bearer {text}"}

    def person(self, organisation: str = CI, role: str = "admin") -> Person:
        """Return somebody who is logged in."""
        name = f"{role}-{organisation[:4]}"
        if self.eme.store.find_account(name) is None:
            accounts.add_account(
                name, PASSWORD, organisation, role, caller=_admin(organisation),
                store=self.eme.store, now=self.eme.clock(),
            )  # fmt: skip
        client = self.client()
        answer = client.post("/api/v1/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.json
        return Person(client, answer.json["csrf_token"])

    def ingest(self, document: Any, organisation: str = CI) -> Any:
        """Send a bundle and return the answer."""
        headers = self.token(Right.INGEST, organisation=organisation)
        return self.client().post("/api/v1/ci/threats", json=document, headers=headers)


@dataclass
class Person:
    """A logged-in person: cookie and CSRF token go with every call."""

    client: FlaskClient
    csrf: str

    def call(self, method: str, path: str, **how: Any) -> Any:
        headers = {"X-CSRFToken": self.csrf} | how.pop("headers", {})
        return self.client.open(path, method=method, headers=headers, **how)


def _admin(organisation: str) -> Caller:
    return Caller("person", "root", "root", organisation, frozenset(Right) - PEOPLE_ONLY)


def tree(data_dir: str, **sections: Any) -> dict[str, Any]:
    return {
        "instance": {"organisation": CI, "data_dir": data_dir},
        "organisations": [
            {"uuid": CI, "name": "CI-1", "default_group": GROUP},
            {"uuid": OTHER_CI, "name": "CI-2"},
            {"uuid": CERT, "name": "CERT-1", "role": "cert"},
        ],
        "sharing_groups": [{"uuid": GROUP, "name": "Transport", "members": [CI, CERT]}],
        "orchestrators": [{"name": "demo", "url": "http://127.0.0.1:9/x", "secret": SECRET}],
        "limits": {"logins_per_minute": 1000},
        "egress": {"private_networks": ["127.0.0.0/8"]},
        "log": {"level": "warning"},
    } | sections


@pytest.fixture
def make_site(tmp_path):
    opened = []

    def make(**sections: Any) -> Site:
        found = config.parse(tree(str(tmp_path / "data"), **sections), {})
        prepare(found)
        eme = build(found)
        opened.append(eme)
        return Site(eme, create_app(eme))

    yield make
    for eme in opened:
        eme.store.close()


@pytest.fixture
def site(make_site):
    return make_site()
