"""What every store has to do with handshakes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from eme_connector.domain.handshake import Handshake, Stage
from eme_connector.errors import Conflict
from tests.build import AT, CERT

OPEN = Handshake("A" * 26, "ours", CERT, Stage.OPEN, "offer", AT, "cerebrate-a", AT + 900)


def save(store, *handshakes):
    store.transact(lambda tx: [tx.save_handshake(one) for one in handshakes])


class HandshakeContract:
    """Mixed into the store's contract."""

    def test_a_handshake_comes_back_by_code_and_side(self, store):
        theirs = replace(OPEN, role="theirs", stage=Stage.BOUND, answer="a", created_at=AT + 1)
        save(store, OPEN, theirs)

        assert store.find_handshake(OPEN.code, "ours") == OPEN
        assert store.transact(lambda tx: tx.find_handshake(OPEN.code, "theirs")) == theirs
        assert store.handshakes() == (theirs, OPEN)
        assert store.find_handshake("B" * 26, "ours") is None

    def test_of_many_answers_at_once_one_binds_the_code(self, store):
        save(store, OPEN)

        def bind(number):
            def work(tx):
                known = tx.find_handshake(OPEN.code, "ours")
                tx.save_handshake(known.bind(replace(known, answer=str(number)), AT))
                return number

            try:
                return store.transact(work)
            except Conflict:
                return None

        with ThreadPoolExecutor(8) as pool:
            won = [one for one in pool.map(bind, range(16)) if one is not None]

        assert len(won) == 1
        assert store.find_handshake(OPEN.code, "ours").answer == str(won[0])

    def test_handshakes_that_ended_long_ago_are_swept_away(self, store):
        month = 31 * 86_400_000_000
        fresh = replace(OPEN, code="B" * 26, created_at=AT + month, expires_at=AT + month + 900)
        save(store, OPEN)
        save(store, fresh)

        assert store.handshakes() == (fresh,)
