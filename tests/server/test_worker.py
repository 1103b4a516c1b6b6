"""A worker whose start takes long is not taken for one that hangs; answers have an end."""

from __future__ import annotations

import socket
import time
from weakref import WeakSet

import pytest
from gunicorn.workers.gthread import ThreadWorker

from eme_connector.precedence import STREAMS
from eme_connector.web import worker
from eme_connector.web.worker import Worker


def test_a_worker_tells_that_it_lives_for_as_long_as_an_upgrade_takes(monkeypatch):
    told = []
    monkeypatch.setattr(worker, "ALIVE_S", 0.01)
    monkeypatch.setattr(Worker, "notify", lambda self: told.append(time.monotonic()))
    made = Worker.__new__(Worker)

    with made.staying():
        until = time.monotonic() + 20
        while len(told) < 3 and time.monotonic() < until:
            time.sleep(0.01)
    ended = len(told)
    time.sleep(0.05)

    assert ended >= 3
    assert len(told) == ended


@pytest.mark.parametrize(("mark", "ends"), [({}, True), ({STREAMS: True}, False)])
def test_an_answer_that_takes_too_long_is_cut_off_and_a_stream_is_not(monkeypatch, mark, ends):
    monkeypatch.setattr(ThreadWorker, "notify", lambda self: None)
    made = Worker.__new__(Worker)
    made._reading, made._answering, made._readers, made.alive = {}, {}, WeakSet(), True
    here, there = socket.socketpair()
    with here, there:
        there.settimeout(0.2)
        answer = made._watched(lambda environ, begin: begin("200 OK", []))
        answer({"gunicorn.socket": here} | mark, lambda *_: None)
        made.notify()
        with pytest.raises(TimeoutError):
            there.recv(1)
        monkeypatch.setattr(worker, "SEND_MS", 50)
        made.notify()
        if ends:
            assert there.recv(1) == b""
        else:
            with pytest.raises(TimeoutError):
                there.recv(1)
