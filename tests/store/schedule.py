"""What every store has to do with work that repeats."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.domain.schedule import Turn

TURN = Turn("read:there", 1, 10, 70, 0, 5, "running", "", {"seen": 3, "said": "ατε"})


class ScheduleContract:
    """Subclass it and give a `store` fixture."""

    def test_a_turn_comes_back_as_it_was_saved_and_is_replaced_by_the_next(self, store):
        assert store.transact(lambda tx: tx.find_turn(TURN.job)) is None
        store.transact(lambda tx: tx.save_turn(TURN))
        later = replace(TURN, fence=2, state="failed", reason="unreachable", detail={})

        assert store.transact(lambda tx: tx.find_turn(TURN.job)) == TURN
        store.transact(lambda tx: tx.save_turn(later))
        store.transact(lambda tx: tx.save_turn(replace(TURN, job="a")))

        assert [one.job for one in store.turns()] == ["a", TURN.job]
        assert store.turns()[1] == later
