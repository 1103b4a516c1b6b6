"""One sidecar as a real process: started, killed with SIGKILL, started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.build import CI

PASSWORD = "a long password for the test"


class Sidecar:
    """`eme serve` on *folder*; `eme()` runs a command on the same configuration."""

    def __init__(self, folder: Path, port: int, **sections: Any) -> None:
        self.folder, self.port = folder, port
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "config.yaml"
        self._config.write_text(yaml.safe_dump(_tree(port, sections)))

    def eme(self, *words: str, input: str | None = None) -> Any:
        """Run an `eme` command with --json and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "eme_connector.cli", "--config", str(self._config), *words],
            capture_output=True,
            text=True,
            input=input,
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def start(self) -> float:
        """Start it and return the seconds until it was ready."""
        began = time.monotonic()
        log = (self.folder / "serve.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "eme_connector.cli", "--config", str(self._config), "serve"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        while time.monotonic() - began < 30:
            if self._is_ready():
                return time.monotonic() - began
            time.sleep(0.02)
        raise AssertionError((self.folder / "serve.log").read_text()[-4000:])

    def kill(self) -> None:
        """SIGKILL it and everything it started."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, number)
            self._process.wait(20)
            self._process = None

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False


def _tree(port: int, sections: dict[str, Any]) -> dict[str, Any]:
    return {
        "instance": {"organisation": CI, "data_dir": "data"},
        "organisations": [{"uuid": CI, "name": "CI-1"}],
        "serve": {"port": port},
        "egress": {"private_networks": ["127.0.0.0/8"]},
        "log": {"level": "warning"},
    } | sections
