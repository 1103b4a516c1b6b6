"""A gunicorn worker that ends what takes too long to arrive, and what it starts and ends with.

gthread waits for ever for the rest of a request. A front that buffers keeps such requests away;
where there is none, they are cut off here, so that each holds its thread for a while only.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from gunicorn import util
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from eme_connector.errors import StoreUnavailable
from eme_connector.precedence import READS, STREAMS, readers
from eme_connector.web.memory import give_back_early

if TYPE_CHECKING:
    from eme_connector.bootstrap import Eme
    from eme_connector.usecases.schedule import Schedule
    from eme_connector.usecases.work import Worker as Deliverer

AGAIN_S = 1.0
ALIVE_S = 1.0
READ_S = 30.0
SEND_MS = 30_000
LAST_S = 8.0
SILENT_S = 10
FIRST_S = 0.1
LINGER_S = 0.5
STAY_MS = 1_000
DRAIN_BYTES = 8_000_000


class Worker(ThreadWorker):  # type: ignore[misc]
    """gthread; a request has `READ_S` to be here whole, an answer `SEND_MS` to be taken whole."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._reading: dict[socket.socket, float] = {}
        self._answering: dict[socket.socket, float] = {}
        self._held: set[Any] = set()
        self._stops_at = float("inf")
        self._readers = WeakSet[socket.socket]()

    def load_wsgi(self) -> None:
        """Build the application, and note when it begins to answer: then it has been read."""
        give_back_early()
        super().load_wsgi()
        self.application: Any = self.wsgi  # type: ignore[has-type]
        self.wsgi = self._watched(self.application)

    @contextmanager
    def staying(self) -> Iterator[None]:
        """Tell the arbiter that we live while the block runs, longer than it waits for a start."""
        ended = threading.Event()

        def tell() -> None:
            while not ended.wait(ALIVE_S):
                self.notify()

        thread = threading.Thread(target=tell, name="eme-staying", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @property
    def serves(self) -> bool:
        """Say whether it has begun to, in any process: `notify` is heard long before."""
        return os.fstat(self.tmp.fileno()).st_size > 0

    def say_that_it_serves(self) -> None:
        """Let the arbiter know, which waits for it at a reload."""
        os.write(self.tmp.fileno(), b"1")
        self.notify()

    def init_process(self) -> None:
        """Let the kernel keep silent connections, and end those that take no answer."""
        for listening in self.sockets:
            if listening.sock.family != socket.AF_UNIX:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT_S)
                # connections inherit it
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SEND_MS)
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Handle what comes on a connection; a busy one keeps its thread for the next request."""
        self._held.add(conn)
        try:
            kept = self._handle_one(conn)
            while kept is True and self._comes_more(conn):
                kept = self._handle_one(conn)
        finally:
            self._held.discard(conn)
        if not kept:
            _hang_up(conn)
        return kept

    def _handle_one(self, conn: Any) -> Any:
        """Handle one request, for a limited time until it has been read."""
        if not conn.initialized and not conn.wait_for_data(FIRST_S):
            return _DEFER  # the kernel keeps a silent one for a while only, then the main thread
        self._reading[conn.sock] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            readers.end()
            self._reading.pop(conn.sock, None)
            self._answering.pop(conn.sock, None)

    def _comes_more(self, conn: Any) -> bool:
        """Wait a little for the next request, as long as half of the threads are free.

        Without it each request costs two more wake-ups of the main thread.
        """
        if not self.alive or 2 * len(self._held) > self.cfg.threads:
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        waiting = select.poll()
        waiting.register(conn.sock, select.POLLIN)
        comes = bool(waiting.poll(STAY_MS))
        if comes and conn.sock in self._readers:
            readers.begin()  # again, most likely: to read what it asks would take turns already
        return comes

    def notify(self) -> None:
        """Say that the main thread lives, once a second, and cut off what waits too long."""
        super().notify()
        now = time.monotonic()
        for connection, since in list(self._reading.items()):
            if since < now - READ_S:
                _shut(connection, socket.SHUT_RD)
        for connection, since in list(self._answering.items()):
            if since < now - SEND_MS / 1000:
                _shut(connection, socket.SHUT_RDWR)
        if not self.alive:
            self._let_go(now)

    def _let_go(self, now: float) -> None:
        """Cut off what still waits for its other side, or its thread would keep the process."""
        self._stops_at = min(self._stops_at, now + LAST_S)
        if now >= self._stops_at:
            for conn in list(self._held):
                is_read = conn.sock not in self._reading
                _shut(conn.sock, socket.SHUT_RDWR if is_read else socket.SHUT_RD)

    def _watched(self, app: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            def begin(*answer: Any) -> Any:
                asking = environ["gunicorn.socket"]
                self._reading.pop(asking, None)
                if STREAMS not in environ:
                    # the rest of a body that was refused has to come in this time too
                    self._answering[asking] = time.monotonic()
                note = self._readers.add if READS in environ else self._readers.discard
                note(asking)
                return start_response(*answer)

            return app(environ, begin)

        return call


def start(worker: Worker) -> None:
    """Begin to deliver, once no other process of ours does."""
    from eme_connector.usecases.work import Worker as Deliverer

    gc.freeze()  # what is there now stays: a full collection over it takes a tenth of a second
    eme = worker.application.extensions["eme"]
    worker.eme_work = (Deliverer(eme), eme.schedule())
    worker.eme_ending = threading.Event()
    if eme.config.serve.deliver:
        run = partial(_begin_to_work, eme, worker.eme_work, worker.eme_ending)
        threading.Thread(target=run, name="eme-begin", daemon=True).start()
    _end_streams_at_term(worker)
    worker.say_that_it_serves()


def stop(_: Any, worker: Any) -> None:
    """Finish what is being delivered and written."""
    if found := getattr(worker, "eme_work", None):
        worker.eme_ending.set()
        for part in reversed(found):
            part.stop()
        worker.application.extensions["eme"].close()


def _begin_to_work(eme: Eme, work: tuple[Deliverer, Schedule], ending: threading.Event) -> None:
    """Wait for the process whose place we take: what it sends is not ours to send again."""
    from eme_connector.bootstrap import delivery_lock

    lock = delivery_lock(eme.config)
    if lock is not None:
        lock.acquire()
    while not ending.is_set():
        try:
            eme.store.void_leases()
        except StoreUnavailable:
            ending.wait(AGAIN_S)
            continue
        for part in work:
            part.start()
        return


def _end_streams_at_term(worker: Worker) -> None:
    """Close live streams when asked to stop: an open one would hold a graceful stop back."""
    from eme_connector.web.pages.live import end_streams

    before = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: Any) -> None:
        end_streams(worker.application)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, end)


def _hang_up(conn: Any) -> None:
    """Close it here: gunicorn would wait for the other side in the one thread that accepts."""
    util.close_graceful(conn.sock, timeout=LINGER_S, max_drain=DRAIN_BYTES)
    conn.close = _is_closed


def _is_closed(*, graceful: bool = False) -> None:
    """Do nothing more."""


def _shut(connection: socket.socket, how: int) -> None:
    try:
        connection.shutdown(how)
    except OSError:
        return  # it has closed by itself
