"""A stock misp-modules server in an environment with us beside it, as an operator would have it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parent.parent.parent
VERSION = "3.1.0"
FOLDER = ROOT / ".venv-misp-modules"


class ModulesMissing(Exception):
    """The environment cannot be made here; the text says why."""


def make_environment() -> Path:
    """Return the `bin` folder of an environment with us and misp-modules, made once."""
    stamp = FOLDER / "made-for"
    wanted = hashlib.sha256((ROOT / "setup.cfg").read_bytes() + VERSION.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return FOLDER / "bin"
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise ModulesMissing("uv is not installed: pip install uv")
    python = str(FOLDER / "bin" / "python")
    what = ["-e", str(ROOT), f"misp-modules=={VERSION}"]
    for words in (
        ["venv", "-q", "--clear", "--python", sys.executable, str(FOLDER)],
        ["pip", "install", "-q", "--python", python, *what],
    ):
        done = subprocess.run([uv, *words], capture_output=True, text=True)
        if done.returncode:
            raise ModulesMissing(done.stderr[-500:])
    stamp.write_text(wanted)
    return FOLDER / "bin"


class ModulesServer:
    """`misp-modules -c` on *custom*; `query` posts what MISP would."""

    def __init__(self, custom: Path, port: int, log: Path, **environ: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._words = [str(make_environment() / "misp-modules"), "-l", "127.0.0.1", "-p", str(port),
                       "-c", str(custom)]  # fmt: skip
        self._environ = os.environ | environ
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def test_mode(self) -> subprocess.CompletedProcess[str]:
        """Run it with `-t`: load everything and end."""
        return subprocess.run([*self._words, "-t"], capture_output=True, text=True, timeout=60,
                              env=self._environ)  # fmt: skip

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log, env=self._environ)
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            if self.is_healthy():
                return
            time.sleep(0.1)
        raise AssertionError(self._log.read_text()[-4000:])

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def is_healthy(self) -> bool:
        try:
            return bool(requests.get(f"{self.url}/healthcheck", timeout=2).json()["status"])
        except requests.RequestException:
            return False

    @property
    def log(self) -> str:
        return self._log.read_text()

    def modules(self) -> list[dict[str, Any]]:
        """Return the list that MISP reads."""
        found: list[dict[str, Any]] = requests.get(f"{self.url}/modules", timeout=20).json()
        return found

    def post(self, body: bytes) -> requests.Response:
        return requests.post(f"{self.url}/query", data=body, timeout=30)

    def query(self, **body: Any) -> Any:
        answer = requests.post(f"{self.url}/query", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()
