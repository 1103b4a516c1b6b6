"""A sidecar that serves two operators and a CERT, and a browser to look at it."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug import Response
from werkzeug.serving import BaseWSGIServer, make_server

from eme_connector.adapters.database import upgrade
from eme_connector.bootstrap import Eme, build
from eme_connector.config import parse
from eme_connector.domain.accounts import Account
from eme_connector.domain.threat import Decision, Threat, Waiting
from eme_connector.web.app import create_app
from tests.build import CERT, CI, GROUP, OTHER_CI
from tests.build import threat as build_threat
from tests.doubles.cerebrate import CerebrateServer

LONG_MS = 15_000
PASSWORD = "correct horse battery"
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
PEOPLE = {
    "anna": (CI, "admin"),
    "bob": (CI, "operator"),
    "vera": (CI, "viewer"),
    "olga": (OTHER_CI, "operator"),
    "carl": (CERT, "operator"),
}


@dataclass
class Site:
    """A running sidecar and what tests do to it behind its back."""

    eme: Eme
    app: Any
    _server: BaseWSGIServer | None = None

    @property
    def url(self) -> str:
        """Where it is reached; served from the first time that somebody asks."""
        if self._server is None:
            self._server = make_server("127.0.0.1", 0, self.app, threaded=True)
            self._server.daemon_threads = True
            serve = self._server.serve_forever
            threading.Thread(target=serve, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def add(self, threat: Threat | None = None, *, viewers: tuple[str, ...] = (CI,),
            raw: bytes = b"{}", **fields: Any) -> Threat:  # fmt: skip
        at = round(self.eme.clock() * 1_000_000)
        fresh = {"id": str(uuid4()), "received_at": at, "updated_at": at}
        added = replace(threat, **fields) if threat else build_threat(**fresh | fields)
        if "detection" not in fields or fields["detection"].iris_id == "12":
            added = replace(added, detection=replace(added.detection, iris_id=added.id))
        self.eme.store.transact(lambda tx: tx.add_threat(added, raw, viewers))
        return added

    def change(self, threat: Threat, **fields: Any) -> Threat:
        at = round(self.eme.clock() * 1_000_000)
        changed = replace(threat, sequence=threat.sequence + 1, updated_at=at, **fields)
        self.eme.store.transact(lambda tx: tx.save_threat(changed, threat))
        return changed

    def client(self, name: str = "") -> FlaskClient:
        """Return an HTTP client; with a *name*, of a person who is logged in."""
        client = self.app.test_client()
        if name:
            form = {"name": name, "password": PASSWORD, "csrf_token": token_of(client)}
            assert client.post("/login", data=form).status_code == 303
        return client

    def read(self, name: str, path: str) -> str:
        """Return a page as *name* gets it, without a browser."""
        return self.client(name).get(path).text

    def post(self, name: str, path: str, **form: Any) -> Response:
        """Send a form as *name* would, with its token."""
        client = self.client(name)
        return client.post(path, data={"csrf_token": token_of(client, "/threats"), **form})

    def now(self, threat: Threat) -> Threat:
        found = self.eme.store.find_visible_threat(threat.id, threat.organisation)
        assert found is not None
        return found


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a data folder with keys, a database and accounts once; tests copy it."""
    base = tmp_path_factory.mktemp("prepared")
    config = parse(_tree(), {}, base=base)
    upgrade(config.store_url)
    built = build(config)
    built.store.transact(_open_accounts)
    built.store.close()
    return base


@pytest.fixture
def eme(tmp_path: Path, prepared: Path) -> Iterator[Eme]:
    shutil.copytree(prepared / "data", tmp_path / "data")
    built = build(parse(_tree(), {}, base=tmp_path))
    yield built
    built.store.close()


@pytest.fixture
def site(eme: Eme, prepared: Path) -> Iterator[Site]:
    app = create_app(eme)
    # templates are compiled once for all tests
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(prepared))
    running = Site(eme, app)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def chromium(chromium_path: str) -> Iterator[Browser]:
    expect.set_options(timeout=LONG_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path)
        yield browser
        browser.close()


@pytest.fixture
def look(chromium: Browser, site: Site) -> Iterator[Any]:
    """Open a logged-in page; every script error, refusal of the CSP or dialog fails the test."""
    contexts, complaints = [], []

    def open_page(name: str = "anna", path: str = "/threats", *, width: int = 1280,
                  scheme: str = "light", scripts: bool = True) -> Page:  # fmt: skip
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            base_url=site.url,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(LONG_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else 0)
        if name:
            jar = site.client(name)._cookies.values()
            cookies = [{"name": one.key, "value": one.value, "url": site.url} for one in jar]
            context.add_cookies(cookies)
        page.goto(path)
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    # a refusal (4xx) is told to the console as well; what a page is for, tests ask themselves
    assert [one for one in complaints if "the server responded with" not in one] == []


def token_of(client: FlaskClient, path: str = "/login") -> str:
    """Return the CSRF token of the first form on a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found, f"no form on {path}"
    return found[1]


def waiting(*pairs: tuple[str | None, str]) -> Decision:
    return Decision(waiting=tuple(Waiting(step, code, code) for step, code in pairs))


def _open_accounts(tx: Any) -> None:
    for name, (organisation, role) in PEOPLE.items():
        tx.save_account(Account(f"account-{name}", name, organisation, role, _HASH, 1))


def _tree() -> dict[str, Any]:
    return {
        "instance": {"organisation": CI, "data_dir": "data"},
        "organisations": [
            {"uuid": CI, "name": "CI-1", "sector": "transport", "location": "Athens, Greece",
             "default_group": GROUP},
            {"uuid": OTHER_CI, "name": "CI-2"},
            {"uuid": CERT, "name": "CERT-1", "role": "cert"},
        ],
        "sharing_groups": [{"uuid": GROUP, "name": "Transport", "members": [CI, CERT]}],
        "live": {"max_streams": 4},
    }  # fmt: skip


@pytest.fixture
def there():
    """A Cerebrate with a group of twelve."""
    server = CerebrateServer()
    state = server.state
    names = {CI: "CI-1", OTHER_CI: "CI-2", CERT: "CERT <b>One</b>"}
    known = [state.organisation(uuid=uuid, name=name)["id"] for uuid, name in names.items()]
    many = [state.organisation(name=f"Operator of the network {n}")["id"] for n in range(9)]
    state.group(known[2], [*known, *many], uuid=GROUP, name="Transport <i>")
    yield server
    server.close()
