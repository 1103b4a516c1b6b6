"""One sidecar as a real process: started, killed with SIGKILL, started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
import yaml
from click.testing import CliRunner

from eme_connector.cli import main
from tests.build import CI

PASSWORD = "a long password for the test"


class Sidecar:
    """`eme serve` on *folder*; `eme()` runs a command on the same configuration.

    *before* is Python that runs in it first: a test's shorter limits.
    """

    def __init__(self, folder: Path, port: int, *, before: str = "", **sections: Any) -> None:
        self.folder, self.port, self._before = folder, port, before
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        self._config = folder / "config.yaml"
        self.configure(**sections)

    def configure(self, **sections: Any) -> None:
        """Write the configuration; a running sidecar sees it when told to reload."""
        self._config.write_text(yaml.safe_dump(_tree(self.port, sections)))

    def eme(self, *words: str, input: str | None = None) -> Any:
        """Run an `eme` command with --json, beside the server, and return what it printed."""
        done = CliRunner().invoke(main, ["--config", str(self._config), *words], input=input)
        assert done.exit_code == 0, (words, done.output, done.exception)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def start(self) -> float:
        """Start it and return the seconds until it was ready."""
        began = time.monotonic()
        process = self.spawn()
        while time.monotonic() - began < 30 and process.poll() is None:
            if self._is_ready():
                return time.monotonic() - began
            time.sleep(0.02)
        raise AssertionError(self.log[-4000:])

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it and wait for nothing."""
        self._process = self._run("serve")
        return self._process

    def also(self, *words: str) -> subprocess.Popen[bytes]:
        """Start another process of it, such as `worker`; it ends with it."""
        self._others.append(self._run(*words))
        return self._others[-1]

    def _run(self, *words: str) -> subprocess.Popen[bytes]:
        program = f"{self._before}\nfrom eme_connector.cli import main\nmain()"
        with (self.folder / "serve.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", program, "--config", str(self._config), *words],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What it has printed since the first start."""
        return (self.folder / "serve.log").read_text()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to its first process alone."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait until its first process, which was told so, has ended."""
        assert self._process is not None
        self._process.wait(seconds)

    def workers(self) -> list[int]:
        """Return the pids of the processes that serve."""
        assert self._process is not None
        children = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        return [int(word) for word in Path(children).read_text().split()]

    def kill(self) -> None:
        """SIGKILL it and everything it started."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        running = [*self._others, *([self._process] if self._process else [])]
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        for process in running:
            process.wait(20)
        self._process, self._others = None, []

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False


def _tree(port: int, sections: dict[str, Any]) -> dict[str, Any]:
    serve = {"port": port} | sections.pop("serve", {})
    return {
        "instance": {"organisation": CI, "data_dir": "data"},
        "organisations": [{"uuid": CI, "name": "CI-1"}],
        "serve": serve,
        "egress": {"private_networks": ["127.0.0.0/8"]},
        "log": {"level": "warning"},
    } | sections
