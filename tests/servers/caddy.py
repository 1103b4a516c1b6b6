"""Caddy with a configuration of the documentation, on a port and in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.listening import wait_for

OLD = "v2.6", "2.6"


class CaddyMissing(Exception):
    """The program is not installed."""


class Caddy:
    """`start()` and `stop()` one Caddy; *options* stand at the top, *site* after them."""

    def __init__(self, folder: Path, port: int, options: str, site: str) -> None:
        found = shutil.which("caddy")
        if found is None:
            raise CaddyMissing
        self._program, self._folder, self._port = found, folder, port
        self._process: subprocess.Popen[bytes] | None = None
        if self.is_old:
            site = site.replace("request_buffers 5MB", "buffer_requests")
        own = [f"http_port {port + 1}", "admin off", "auto_https disable_redirects",
               "grace_period 1s"]  # fmt: skip
        head = "{\n    " + "\n    ".join(own) + "\n"
        (folder / "Caddyfile").write_text(options.replace("{\n", head, 1) + site)

    @property
    def is_old(self) -> bool:
        """Say whether it is the version of Debian 12."""
        told = subprocess.run([self._program, "version"], capture_output=True, text=True)
        return told.stdout.startswith(OLD)

    def start(self) -> None:
        config = str(self._folder / "Caddyfile")
        home = {"HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder)}
        self._process = subprocess.Popen(
            [self._program, "run", "--config", config, "--adapter", "caddyfile"],
            stderr=(self._folder / "caddy.log").open("wb"), env=os.environ | home,
        )  # fmt: skip
        wait_for(self._process, self._port, self._folder / "caddy.log")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
