"""The real misp-modules server with our modules, and a real sidecar that they speak to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import find_free_port, left_out
from tests.faults.sidecar import Sidecar
from tests.servers.misp_modules import ROOT, ModulesMissing, ModulesServer, make_environment

CUSTOM = ROOT / "misp_modules"


@pytest.fixture(scope="session")
def environment() -> Path:
    try:
        return make_environment()
    except ModulesMissing as exc:
        left_out(f"misp-modules cannot be installed: {exc}")
        raise


@pytest.fixture(scope="session")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    found = Sidecar(tmp_path_factory.mktemp("sidecar"), find_free_port())
    rights = ("--right", "read", "--right", "ingest")
    found.token = found.eme("token", "create", "modules", *rights, "--json")["token"]
    (found.folder / "token").write_text(found.token + "\n")
    found.start()
    yield found
    found.kill()


@pytest.fixture(scope="session")
def start(environment, tmp_path_factory):
    """Return how to start a server with an environment of its own."""
    started = []

    def begin(**environ: str) -> ModulesServer:
        log = tmp_path_factory.mktemp("modules") / "log"
        server = ModulesServer(CUSTOM, find_free_port(), log, **environ)
        server.start()
        started.append(server)
        return server

    yield begin
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def server(start, sidecar) -> ModulesServer:
    """Return a server whose action modules know the sidecar."""
    token = str(sidecar.folder / "token")
    return start(EME_MODULES_URL=sidecar.url, EME_MODULES_TOKEN_FILE=token)


@pytest.fixture(scope="session")
def silent() -> Iterator[str]:
    """Return the URL of something that takes connections and never answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    kept = []

    def take() -> None:
        while True:
            try:
                kept.append(listening.accept())
            except OSError:
                return

    threading.Thread(target=take, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()


@pytest.fixture(scope="session")
def lost(start, silent) -> ModulesServer:
    """Return a server whose action modules know a sidecar that never answers."""
    return start(EME_MODULES_URL=silent, EME_MODULES_TOKEN="eme_x")
