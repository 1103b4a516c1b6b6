"""Who reads goes first, for a moment; nobody is held up for good."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from types import SimpleNamespace
from weakref import WeakSet

import pytest

from eme_connector.adapters.database import engine, writer
from eme_connector.domain.rights import Right
from eme_connector.precedence import Precedence, Turn
from eme_connector.web import auth, worker
from eme_connector.web.pages import live
from eme_connector.web.worker import Worker
from tests.web.conftest import Site

HELD_S, SOON_S = 0.2, 5.0
LIST = "/api/v1/ci/threats"


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def precedence(clock: list[float]) -> Precedence:
    return Precedence(longest_s=30.0, clock=lambda: clock[0])


def test_nobody_waits_while_nobody_reads(precedence: Precedence) -> None:
    with giving_way(precedence) as gone_on:
        assert gone_on(SOON_S)


def test_others_wait_until_the_reader_ends(precedence: Precedence) -> None:
    precedence.begin()
    with giving_way(precedence) as gone_on:
        assert not gone_on(HELD_S)
        precedence.end()
        assert gone_on(SOON_S)


def test_others_wait_for_the_last_of_several_readers(precedence: Precedence) -> None:
    precedence.begin()
    with ThreadPoolExecutor(1) as another:
        another.submit(precedence.begin).result()
        precedence.end()
        with giving_way(precedence) as gone_on:
            assert not gone_on(HELD_S)
            another.submit(precedence.end).result()
            assert gone_on(SOON_S)


def test_a_reader_that_gives_way_is_none_any_more(precedence: Precedence) -> None:
    precedence.begin()
    precedence.give_way()
    with giving_way(precedence) as gone_on:
        assert gone_on(SOON_S)


def test_a_writer_is_no_reader_even_where_nobody_waits_at_that_moment(
    precedence: Precedence, clock: list[float]
) -> None:
    precedence.begin()
    clock[0] += 10
    precedence.end()
    precedence.begin()  # too soon to hold anybody up
    precedence.give_way()  # to write
    clock[0] += 20
    with ThreadPoolExecutor(1) as another:
        another.submit(precedence.begin).result()
        another.submit(precedence.end).result()
        with giving_way(precedence) as gone_on:
            assert gone_on(SOON_S)


def test_a_reader_that_writes_waits_for_nobody(site: Site, patient: Precedence) -> None:
    patient.begin()
    began = time.monotonic()
    assert site.eme.store.transact(lambda _: "written") == "written"
    assert time.monotonic() - began < SOON_S


def test_a_long_reader_is_waited_for_a_while_only() -> None:
    precedence = Precedence(longest_s=HELD_S)
    precedence.begin()
    with giving_way(precedence) as gone_on:
        assert gone_on(SOON_S)


def test_a_reader_that_has_had_its_time_holds_nobody_up(
    precedence: Precedence, clock: list[float]
) -> None:
    precedence.begin()
    clock[0] += 31
    with giving_way(precedence) as gone_on:
        assert gone_on(SOON_S)


@pytest.mark.parametrize(("free_s", "held"), [(9.0, False), (11.0, True)])
def test_others_go_on_for_as_long_as_they_were_held_up(
    precedence: Precedence, clock: list[float], free_s: float, held: bool
) -> None:
    precedence.begin()
    clock[0] += 10
    precedence.end()
    clock[0] += free_s
    precedence.begin()
    with giving_way(precedence) as gone_on:
        assert gone_on(HELD_S if held else SOON_S) is not held
        precedence.end()
        assert gone_on(SOON_S)


def test_an_answer_goes_first_until_it_is_sent(site: Site, patient: Precedence) -> None:
    answer = site.client().get(LIST, headers=site.token(Right.READ))
    with giving_way(patient) as gone_on:
        assert not gone_on(HELD_S)
        answer.close()
        assert gone_on(SOON_S)


def test_whoever_is_not_known_does_not_go_first(site: Site, patient: Precedence) -> None:
    assert site.client().get(LIST, headers={"Authorization": "Bearer nobody"}).status_code == 401
    with giving_way(patient) as gone_on:
        assert gone_on(SOON_S)


def test_nobody_waits_for_the_end_of_a_stream(site: Site, patient: Precedence) -> None:
    stream = site.person().client.get("/live")
    try:
        assert stream.mimetype == "text/event-stream"
        with giving_way(patient) as gone_on:
            assert gone_on(SOON_S)
    finally:
        stream.close()


def test_what_is_written_waits_for_a_reader(site: Site, patient: Precedence) -> None:
    patient.begin()
    with ThreadPoolExecutor(1) as another:
        written = another.submit(site.eme.store.transact, lambda _: "written")
        with pytest.raises(TimeoutError):
            written.result(HELD_S)
        patient.end()
        assert written.result(SOON_S) == "written"


@pytest.mark.parametrize("has_read", [True, False])
def test_whoever_has_read_goes_first_as_soon_as_more_comes(
    patient: Precedence, has_read: bool
) -> None:
    made = Worker.__new__(Worker)
    made.alive, made.cfg, made._held = True, SimpleNamespace(threads=4), set()
    here, there = socket.socketpair()
    with here, there:
        made._readers = WeakSet([here] if has_read else [])
        there.send(b"GET /")
        unread = SimpleNamespace(buf=BytesIO())
        conn = SimpleNamespace(sock=here, parser=SimpleNamespace(unreader=unread))
        assert made._comes_more(conn)
        with giving_way(patient) as gone_on:
            assert gone_on(HELD_S if has_read else SOON_S) is not has_read


def test_a_write_after_reads_does_not_go_first(site: Site, patient: Precedence) -> None:
    headers = site.token(Right.INGEST)
    patient.begin()  # as the worker does for whoever has read
    assert site.client().post(LIST, json={}, headers=headers).status_code == 422
    with giving_way(patient) as gone_on:
        assert gone_on(SOON_S)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Precedence:
    """The precedence of this process, but with time enough to look at it."""
    found = Precedence(longest_s=30.0)
    for module in (auth, live, engine, writer, worker):
        monkeypatch.setattr(module, "readers", found)
    return found


@contextmanager
def giving_way(precedence: Precedence) -> Iterator[Callable[[float], bool]]:
    """Give way in another thread; yield what tells whether it has gone on within some seconds."""
    gone_on = threading.Event()

    def run() -> None:
        precedence.give_way()
        gone_on.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield gone_on.wait
    precedence.end()
    thread.join(SOON_S)
    assert not thread.is_alive()


def test_whoever_begins_waits_for_the_turn_of_the_writer():
    turn, order = Turn(5.0), []

    def begin():
        turn.give_way()
        order.append("began")

    with turn:
        waiting = threading.Thread(target=begin)
        waiting.start()
        waiting.join(0.1)
        order.append("written")
    waiting.join(5)

    assert order == ["written", "began"]


def test_a_long_turn_holds_nobody_up_for_long():
    turn = Turn(0.01)
    with turn:
        began = time.monotonic()
        turn.give_way()
    assert 0.005 < time.monotonic() - began < 5


def test_the_writer_has_its_turn_while_it_writes(site, monkeypatch):
    turn = Turn(SOON_S)
    monkeypatch.setattr(writer, "writing", turn)
    begun, goes_on = threading.Event(), threading.Event()

    def write(_):
        begun.set()
        goes_on.wait(SOON_S)

    with ThreadPoolExecutor(2) as others:
        written = others.submit(site.eme.store.transact, write)
        assert begun.wait(SOON_S)
        given = others.submit(turn.give_way)
        time.sleep(HELD_S)
        assert not given.done()
        goes_on.set()
        written.result(SOON_S)
        given.result(SOON_S)


def test_nobody_waits_once_the_turn_is_over():
    turn = Turn(30.0)
    with turn:
        pass
    began = time.monotonic()
    turn.give_way()
    assert time.monotonic() - began < 5


def test_whoever_takes_in_waits_for_the_turn_of_the_writer_and_a_page_does_not(site, monkeypatch):
    turn, headers = Turn(SOON_S), site.token(Right.INGEST, Right.READ)
    monkeypatch.setattr(auth, "writing", turn)
    with ThreadPoolExecutor(1) as another:
        with turn:
            refused = another.submit(site.client().post, LIST, json={}, headers=headers)
            assert site.client().get(LIST, headers=headers).status_code == 200
            time.sleep(HELD_S)
            assert not refused.done()
        assert refused.result(SOON_S).status_code == 422
