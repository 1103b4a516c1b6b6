"""`eme serve` as a process: its files, its start, its end."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest
import requests

from tests.faults.sidecar import Sidecar


@pytest.fixture
def sidecar(tmp_path, free_port):
    found = Sidecar(tmp_path, free_port())
    yield found
    found.kill()


def test_it_serves_keeps_its_files_to_itself_and_stops_when_told(sidecar, tmp_path):
    sidecar.start()
    assert requests.get(f"{sidecar.url}/healthz", timeout=5).text == "ok\n"
    sidecar.stop()

    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{sidecar.url}/healthz", timeout=5)


def test_a_database_that_cannot_be_opened_ends_it_with_a_clear_word(tmp_path, free_port):
    sidecar = Sidecar(tmp_path, free_port(), store={"url": "postgresql+psycopg://x@127.0.0.1:9/x"})
    done = subprocess.run(
        [sys.executable, "-m", "eme_connector.cli", "--config", str(tmp_path / "config.yaml"),
         "serve"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode != 0
    assert "eme cannot start" in done.stderr
    assert sidecar.url
