"""A store that does everything but keep it: for looking at what a command would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from eme_connector.ports import Store, Transaction

T = TypeVar("T")


class _TakeBack(Exception):
    """Ends a transaction whose work went well, so that nothing of it is kept."""


class _Rehearsed:
    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Return what *work* would return; its errors are raised as ever."""
        done: list[T] = []

        def rehearse(tx: Transaction) -> None:
            done.append(work(tx))
            raise _TakeBack

        try:
            self._store.transact(rehearse)
        except _TakeBack:
            return done[-1]
        raise AssertionError("the work was kept")


def rehearsed(store: Store) -> Store:
    """Return *store* with transactions that are taken back; reads are as ever."""
    return cast("Store", _Rehearsed(store))
