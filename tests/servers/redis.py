"""A private Redis for the tests: its own folder, port and process; it keeps nothing."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time

from redis import Redis, RedisError


class RedisMissing(Exception):
    """The program is not installed."""


class RedisServer:
    """`start()`, `stop()` and, on the same port, `start()` again."""

    def __init__(self, port: int) -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise RedisMissing
        self._program, self._port = found, port
        self._folder = tempfile.mkdtemp(prefix="eme-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        words = ["--bind", "127.0.0.1", "--port", str(self._port), "--save", "",
                 "--appendonly", "no", "--dir", self._folder]  # fmt: skip
        self._process = subprocess.Popen(
            [self._program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                with Redis.from_url(self.url) as client:
                    client.ping()
                return
            except RedisError:
                time.sleep(0.02)
        raise AssertionError("Redis did not start within 10 s")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
