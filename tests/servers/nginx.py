"""nginx with a configuration of the documentation, on a port and in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.listening import wait_for

_MAIN = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {blocks}
}}
"""


class NginxMissing(Exception):
    """The program is not installed."""


class Nginx:
    """`start()` and `stop()` one nginx that has *blocks* in its http section."""

    def __init__(self, folder: Path, port: int, blocks: str) -> None:
        found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if found is None:
            raise NginxMissing
        self._program, self._folder, self._port = found, folder, port
        self._process: subprocess.Popen[bytes] | None = None
        user = "user root;" if os.getuid() == 0 else ""
        text = _MAIN.format(folder=folder, user=user, blocks=blocks)
        (folder / "nginx.conf").write_text(text)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._folder / "nginx.conf"), "-p", str(self._folder)],
            stderr=(self._folder / "nginx.log").open("wb"),
        )
        wait_for(self._process, self._port, self._folder / "nginx.log")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
