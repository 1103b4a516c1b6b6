"""A worker whose start takes long is not taken for one that hangs."""

from __future__ import annotations

import time

from eme_connector.web import worker
from eme_connector.web.worker import Worker


def test_a_worker_tells_that_it_lives_for_as_long_as_an_upgrade_takes(monkeypatch):
    told = []
    monkeypatch.setattr(worker, "ALIVE_S", 0.01)
    monkeypatch.setattr(Worker, "notify", lambda self: told.append(time.monotonic()))
    made = Worker.__new__(Worker)

    with made.staying():
        time.sleep(0.2)
    ended = len(told)
    time.sleep(0.05)

    assert ended >= 3
    assert len(told) == ended
