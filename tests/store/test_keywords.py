"""The follower of keywords goes on whatever one of its turns meets."""

from __future__ import annotations

import threading

import pytest

from eme_connector.adapters.database import keywords
from eme_connector.adapters.database.keywords import KeywordFollower
from eme_connector.errors import StoreUnavailable


@pytest.mark.parametrize("error", [StoreUnavailable("locked"), ValueError("a fault of ours")])
def test_a_turn_that_fails_is_followed_by_another(monkeypatch, error):
    monkeypatch.setattr(keywords, "INTERVAL_S", 0.01)
    went_on, turns = threading.Event(), iter([error, error, None])

    def follow() -> bool:
        failure = next(turns, None)
        if failure is not None:
            raise failure
        went_on.set()
        return False

    follower = KeywordFollower(follow)
    follower.start()
    try:
        assert went_on.wait(5)
    finally:
        follower.stop()


def test_a_change_is_followed_at_once(monkeypatch):
    monkeypatch.setattr(keywords, "INTERVAL_S", 60)
    turns = threading.Semaphore(0)

    def follow() -> bool:
        turns.release()
        return False

    follower = KeywordFollower(follow)
    follower.start()
    try:
        assert turns.acquire(timeout=5)
        follower.wake()
        assert turns.acquire(timeout=5)
    finally:
        follower.stop()
