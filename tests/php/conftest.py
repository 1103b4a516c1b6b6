"""The Cerebrate local tool, run by PHP against a sidecar on a real port."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from eme_connector.domain.rights import Right
from eme_connector.web.app import create_app
from tests.build import CERT, CI
from tests.conftest import find_free_port, left_out
from tests.delivery.world import empty_database
from tests.web.conftest import make_site

__all__ = ["make_site"]
HERE = Path(__file__).parent
ACTIONS = ("threatsAction", "policiesAction", "organisationsAction", "sharingGroupsAction",
           "handshakesAction")  # fmt: skip
FORMS = {
    "pushOrganisationAction": {"uuid": CI},
    "pushOrganisationsAction": {},
    "pushSharingGroupAction": {"uuid": "44444444-4444-4444-8444-444444444444"},
    "pushSharingGroupsAction": {"name": "Tr%"},
    "withdrawSharingGroupAction": {"uuid": "44444444-4444-4444-8444-444444444444"},
    "cancelHandshakeAction": {"code": "A" * 26},
}


@pytest.fixture(scope="session")
def php():
    """Return how to let the connector do a list of things; one result for each."""
    found = shutil.which("php")
    if found is None:
        left_out("php is not installed: apt-get install php-cli php-mbstring")

    def run(*commands):
        done = subprocess.run(
            [found, HERE / "harness.php"], input=json.dumps(commands), capture_output=True,
            text=True, timeout=60, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    return run


class Sidecar:
    """A sidecar on a real port, and the connection that a Cerebrate keeps of it."""

    def __init__(self, make, folder, organisation, **sections):
        port = find_free_port()
        self.url = f"http://127.0.0.1:{port}"
        empty_database(folder / organisation)
        self.site = make(
            instance={"organisation": organisation, "data_dir": str(folder / organisation)},
            serve={"port": port},
            **sections,
        )
        app = create_app(self.site.eme)
        self.server = make_server("127.0.0.1", port, app, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        headers = self.site.token(Right.READ, Right.SYNC, Right.ENROL, organisation=organisation)
        self.token = headers["Authorization"].removeprefix("Bearer ")
        self.connection = connection(self.url, self.token)

    @property
    def store(self):
        return self.site.eme.store

    def close(self):
        """Stop listening; doing it twice changes nothing."""
        self.server.shutdown()
        self.server.server_close()


def connection(url, token="eme_abcdefghijkl_" + "A" * 43, id=7):
    """Return a row of Cerebrate's local_tools."""
    settings = json.dumps({"url": url, "token": token, "skip_ssl": "0"})
    return {"id": id, "name": "EME", "connector": "EmeConnector", "settings": settings}


@pytest.fixture
def sidecar(make_site, tmp_path):
    found = Sidecar(make_site, tmp_path, CI)
    yield found
    found.close()


@pytest.fixture
def other(make_site, tmp_path):
    found = Sidecar(make_site, tmp_path, CERT)
    yield found
    found.close()


def organisation(uuid, name, **fields):
    """Return an organisation as Cerebrate's table has it."""
    row = {"id": 1, "uuid": uuid, "name": name, "nationality": None, "sector": None, "type": None}
    return row | {"url": None, "contacts": None} | fields


def group(uuid, name, owner, **members):
    """Return a sharing group as Cerebrate's table has it; members by uuid, with extend."""
    return {
        "id": 3, "uuid": uuid, "name": name, "description": None, "releasability": "members",
        "active": True, "organisation_id": 1, "organisation": {"id": 1, "uuid": owner},
        "sharing_group_orgs": [
            {"uuid": one, "_joinData": {"extend": extend, "deleted": False}}
            for one, extend in members.items()
        ],
    }  # fmt: skip
