"""A private PostgreSQL for the tests: its own folder, port and processes."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg


class PostgresMissing(Exception):
    """No server programs are installed."""


class Postgres:
    """A cluster in a folder of its own; `stop()` ends the process that `start()` made.

    The folder is in memory where there is room, or *below* another that everybody may enter.
    """

    def __init__(self, port: int, below: str | None = None) -> None:
        self.port = port
        self._programs = _find_programs()
        self._folder = Path(tempfile.mkdtemp(prefix="eme-pg-", dir=below or _memory()))
        self._process: subprocess.Popen[bytes] | None = None
        self.flush = False
        self._made = 0

    def start(self) -> None:
        if os.getuid() == 0:
            shutil.chown(self._folder, self._user().pw_name)
        data = str(self._folder / "data")
        self._run("initdb", "--no-sync", "-A", "trust", "-U", "eme", "-D", data)
        options = ["-D", data, "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder)]
        self._process = subprocess.Popen(
            [str(self._programs / "postgres"), *options, *self._durability()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._identity(),
        )
        self._wait()

    def _durability(self) -> tuple[str, ...]:
        """Most tests need no flush; a benchmark does."""
        return () if self.flush else ("-c", "fsync=off")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # nothing here is worth a checkpoint
            self._process.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_database(self, template: str = "template0") -> str:
        """Return the URL of a fresh database: empty, or a copy of another that nobody uses."""
        self._made += 1
        name = f"eme_{self._made}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return f"postgresql+psycopg://eme@127.0.0.1:{self.port}/{name}"

    def _connect(self) -> Any:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="eme", dbname="postgres", autocommit=True
        )

    def _wait(self) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise AssertionError("PostgreSQL did not start within 20 s")

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [str(self._programs / program), *words],
            check=True,
            capture_output=True,
            **self._identity(),
        )

    def _identity(self) -> dict[str, Any]:
        if os.getuid() != 0:
            return {}
        user = self._user()  # initdb refuses to run as root
        return {
            "user": user.pw_uid,
            "group": user.pw_gid,
            "extra_groups": [],
            "cwd": str(self._folder),
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        }

    def _user(self) -> pwd.struct_passwd:
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            return pwd.getpwnam("nobody")


def _memory() -> str | None:
    """Return a folder in memory where there is room in one: a database each test is many files."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > 2 * 1024**3
    return str(shared) if roomy else None


def _find_programs() -> Path:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3])
    )
    if not found:
        raise PostgresMissing
    return found[-1].parent
