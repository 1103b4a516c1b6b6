"""Serve with gunicorn: one worker on SQLite, a thread for every stream beside those for work."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from eme_connector.config import Config
from eme_connector.errors import ConfigError, Conflict, EmeError
from eme_connector.startup import seldom_collected
from eme_connector.web import worker

KEEP_ALIVE_S = 30
GRACE_S = 10
RECORD_S = 5
WAITING = 1000
HEADERS = 60
HEADER_BYTES = 8190
LINE_BYTES = 4094
AGAIN_S = 1.0
METRICS = "PROMETHEUS_MULTIPROC_DIR"
START_S = 30.0


def serve(config: Config, load: Callable[[], Config]) -> None:
    """Serve until a signal says stop; SIGHUP takes over what *load* then returns.

    Raises:
        Conflict: another process serves from this data folder.
    """
    with seldom_collected():
        from eme_connector.bootstrap import hold_data

    if not hold_data(config):
        raise Conflict(f"another process uses {config.instance.data_dir} already")
    _Server(config, load).run()


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, config: Config, load: Callable[[], Config]) -> None:
        self.config, self._load = config, load
        self._again = False
        self._worker: worker.Worker
        super().__init__()

    def run(self) -> None:
        _Arbiter(self).run()

    def take_over(self) -> None:
        """Read the configuration anew.

        Raises:
            ConfigError: it cannot be used, or moves what a running process cannot.
        """
        fresh = self._load()
        if _place(fresh) != _place(self.config):
            raise ConfigError(["where it listens and keeps its data changes at a restart only"])
        self.config = fresh

    def load_config(self) -> None:
        serve = self.config.serve
        if serve.workers > 1 and METRICS not in os.environ:
            os.environ[METRICS] = tempfile.mkdtemp(prefix="eme-metrics-")
        threads = serve.threads + self.config.live.max_streams
        settings: dict[str, Any] = {
            "bind": f"unix:{serve.socket}" if serve.socket else f"{serve.host}:{serve.port}",
            "umask": 0o117,
            "workers": serve.workers,
            "worker_class": worker.Worker,
            "threads": threads,
            "worker_connections": _connections(threads),
            "keepalive": KEEP_ALIVE_S,
            "timeout": 60,
            "graceful_timeout": GRACE_S + RECORD_S,  # of the arbiter: then it kills
            "limit_request_line": LINE_BYTES,
            "limit_request_fields": HEADERS,
            "limit_request_field_size": HEADER_BYTES,
            "proc_name": "eme",
            "loglevel": "warning",
            "control_socket_disable": True,
            "forwarded_allow_ips": "*" if serve.behind_proxy else "127.0.0.1",
            "forwarder_headers": "",  # nobody else says which part of a path is ours
            "post_fork": self._forked,
            "child_exit": _forget_process,
            "on_exit": _forget_metrics,
            "post_worker_init": worker.start,
            "worker_exit": worker.stop,
        }
        for name, value in settings.items():
            assert self.cfg is not None
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    @seldom_collected()
    def load(self) -> Any:
        """Build the application in the worker: the arbiter stays as small as it is."""
        from eme_connector.bootstrap import build, prepare_alone
        from eme_connector.web.app import create_app
        from eme_connector.web.observe import set_up_logs

        set_up_logs(self.config.log)
        try:
            with self._worker.staying():  # an upgrade of many threats takes minutes
                copy = prepare_alone(self.config)
            if copy:
                print(f"the database before the upgrade is kept as {copy}", file=sys.stderr)
            return create_app(build(self.config))
        except EmeError as exc:
            print(f"eme cannot start: {exc}", file=sys.stderr)
            if self._again:
                time.sleep(AGAIN_S)
                sys.exit(1)  # another worker is started: what is down may be back by then
            sys.exit(Arbiter.APP_LOAD_ERROR)

    def _forked(self, arbiter: Arbiter, made: worker.Worker) -> None:
        """Note whether this worker takes the place of one that has served; it ends by itself."""
        self._worker, self._again = made, made.age > arbiter.num_workers
        made.cfg.set("graceful_timeout", GRACE_S)  # what is being sent is recorded after it


class _Arbiter(Arbiter):  # type: ignore[misc]
    """Takes new workers only once they serve, so that a reload cannot end the service."""

    def reload(self) -> None:
        """Start workers with the configuration as it is now; when they serve, end the old ones."""
        before = self.app.config
        try:
            self.app.take_over()
        except ConfigError as exc:
            _say("not reloaded", *exc.problems)
            return
        old = list(self.WORKERS)
        self._use(self.app.config)
        fresh = [self.spawn_worker() for _ in range(self.cfg.workers)]
        if self._all_serve(fresh):
            ended = old
            _say("reloaded")
        else:
            ended = fresh
            self._use(before)
            _say("not reloaded", "the new workers do not serve; the old ones go on")
        for pid in ended:
            self.kill_worker(pid, signal.SIGTERM)

    def _use(self, config: Config) -> None:
        self.app.config = config
        self.app.reload()
        self.setup(self.app)

    def _all_serve(self, pids: list[int]) -> bool:
        """Wait until each says so, as long as none of them ends."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            self.reap_workers()
            if not set(pids) <= self.WORKERS.keys():
                return False
            if all(self.WORKERS[pid].serves for pid in pids):
                return True
            time.sleep(0.05)
        return False


def _connections(threads: int) -> int:
    """Return how many may be open at once: one that finds no file left ends the worker.

    So the usual soft limit of 1,024 files is raised, and half of them are kept for all else.
    """
    wanted = threads + WAITING
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    needed = 4 * wanted if most == resource.RLIM_INFINITY else min(4 * wanted, most)
    if files < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
    return max(threads + 1, min(wanted, max(files, needed) // 2))


def _forget_process(_: Arbiter, ended: worker.Worker) -> None:
    """Let what a process counts while it lives end with it."""
    if METRICS in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(ended.pid)  # type: ignore[no-untyped-call]


def _forget_metrics(_: Arbiter) -> None:
    if folder := os.environ.get(METRICS):
        shutil.rmtree(folder, ignore_errors=True)


def _place(config: Config) -> tuple[object, ...]:
    serve = config.serve
    return serve.host, serve.port, serve.socket, config.instance.data_dir, config.store_url


def _say(*lines: str) -> None:
    print(": ".join(lines[:2]), *lines[2:], sep="\n  ", file=sys.stderr, flush=True)
