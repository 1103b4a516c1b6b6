"""Serve with gunicorn: one worker on SQLite, a thread for every stream beside those for work."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from eme_connector.config import Config
from eme_connector.errors import EmeError

SWITCH_S = 0.0005


def serve(config: Config) -> None:
    """Serve until a signal says stop; the database must have our schema already."""
    _Server(config).run()


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, config: Config) -> None:
        self._config = config
        super().__init__()

    def load_config(self) -> None:
        serve = self._config.serve
        settings: dict[str, Any] = {
            "bind": f"{serve.host}:{serve.port}",
            "workers": serve.workers,
            "worker_class": "gthread",
            "threads": serve.threads + self._config.live.max_streams,
            "keepalive": 30,
            "timeout": 60,
            "graceful_timeout": 10,
            "limit_request_line": 4094,
            "limit_request_fields": 60,
            "proc_name": "eme",
            "loglevel": "warning",
            "control_socket_disable": True,
            "forwarded_allow_ips": "*" if serve.behind_proxy else "127.0.0.1",
            "post_worker_init": _start,
            "worker_exit": _stop,
        }
        for name, value in settings.items():
            assert self.cfg is not None
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Build the application in the worker: the arbiter stays as small as it is."""
        from eme_connector.bootstrap import build
        from eme_connector.web.app import create_app
        from eme_connector.web.observe import set_up_logs

        set_up_logs(self._config.log)
        try:
            _prepare(self._config)
            return create_app(build(self._config))
        except EmeError as exc:
            print(f"eme cannot start: {exc}", file=sys.stderr)
            sys.exit(Arbiter.APP_LOAD_ERROR)


def _prepare(config: Config) -> None:
    """Bring the database to our schema; several workers do it one after the other."""
    import fcntl

    from eme_connector.bootstrap import prepare

    config.instance.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = config.instance.data_dir / "upgrade.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        copy = prepare(config)
    finally:
        os.close(lock)
    if copy:
        print(f"the database before the upgrade is kept as {copy}", file=sys.stderr)


def _start(worker: Any) -> None:
    """Begin to deliver: in the process that owns the store."""
    from eme_connector.usecases.work import Worker

    # the writer gives the lock away at each statement; at the default 5 ms it waits for it each
    # time, and everybody waits for the writer
    sys.setswitchinterval(SWITCH_S)
    eme = worker.wsgi.extensions["eme"]
    eme.store.void_leases()
    worker.eme_worker = Worker(eme)
    worker.eme_worker.start()
    worker.eme_schedule = eme.schedule()
    worker.eme_schedule.start()
    _end_streams_at_term(worker)


def _end_streams_at_term(worker: Any) -> None:
    """Close live streams when asked to stop: an open one would hold a graceful stop back."""
    from eme_connector.web.pages.live import end_streams

    before = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: Any) -> None:
        end_streams(worker.wsgi)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, end)


def _stop(_: Any, worker: Any) -> None:
    if found := getattr(worker, "eme_worker", None):
        worker.eme_schedule.stop()
        found.stop()
        worker.wsgi.extensions["eme"].store.close()
