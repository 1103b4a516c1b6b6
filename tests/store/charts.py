"""What every store's charts have to do: counters by hour and day, keywords of a week."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from eme_connector.adapters.database import keywords, totals
from eme_connector.adapters.database.charts import KEYWORDS
from eme_connector.adapters.database.keywords import Words
from eme_connector.domain.threat import Status
from tests.build import AT, CERT, CI, OTHER_CI, detection
from tests.store.some import DAY, HOUR, decided, put, some


class ChartContract:
    """Subclass it and give a `store` fixture."""

    def test_charts_have_every_bucket_and_old_threats_in_their_week(self, store):
        put(store, some(received_at=AT - 30 * 24 * HOUR))
        put(store, some())
        found = store.aggregate(CI, AT)

        assert [len(x) for x in (found.hours, found.days, found.weeks)] == [24, 7, 7]
        assert sum(one.total for one in found.hours) == 1
        assert sum(one.total for one in found.weeks) == 2

    def test_each_bar_counts_what_came_in_its_time(self, store):
        chance = random.Random(5)
        ages = [chance.randrange(60 * DAY) for _ in range(150)]
        model = [put(store, some(received_at=AT - age)) for age in ages]
        found = store.aggregate(CI, AT)

        for bars, width in ((found.hours, HOUR), (found.days, DAY), (found.weeks, 7 * DAY)):
            assert bars[-1].start == bars[0].start + (len(bars) - 1) * width
            for bar in bars:
                within = [1 for x in model if bar.start <= x.received_at < bar.start + width]
                assert bar.total == len(within)
                assert sum(bar.by_status.values()) == sum(bar.by_band.values()) == bar.total
        assert found.hours[-1].start <= AT < found.hours[-1].start + HOUR
        assert found.weeks[-1].start + 6 * DAY == found.days[-1].start

    def test_a_decision_moves_a_threat_from_one_word_to_the_other(self, store):
        found = put(store, some())
        after = decided(found, Status.DECLINED)
        store.transact(lambda tx: tx.save_threat(after, found))

        bar = store.aggregate(CI, AT).hours[-1]
        assert (bar.total, bar.by_status) == (1, {"declined": 1})
        assert store.aggregate(CI, AT).origins == {CI: {"declined": 1}}

    def test_the_most_frequent_keywords_of_a_week_are_told(self, store):
        chance = random.Random(5)
        now = round(time.time() * 1_000_000)
        words = [f"Word  {number}" for number in range(30)]
        model: Counter[str] = Counter()
        for _ in range(200):
            word, age = chance.choice(words), chance.randrange(12 * DAY)
            put(store, _named(word, received_at=now - age))
            if now - age >= now // DAY * DAY - 6 * DAY:
                model[totals.keyword_of(word)] += 1
        self._follow(store)

        ordered = sorted(model.items(), key=lambda one: (-one[1], one[0]))
        assert store.aggregate(CI, now).keywords == tuple(ordered[:KEYWORDS])
        assert store.aggregate(OTHER_CI, now).keywords == ()

    def test_a_keyword_goes_with_its_threat_and_to_whoever_may_read_it(self, store):
        now = round(time.time() * 1_000_000)
        found = put(store, _named("first", received_at=now))
        put(store, _named("first", received_at=now))
        self._follow(store)
        after = replace(found, detection=replace(found.detection, threat="second"), revision=2)
        store.transact(lambda tx: tx.save_threat(after, found))
        store.transact(lambda tx: tx.add_viewer(after, CERT))
        self._follow(store)

        assert store.aggregate(CI, now).keywords == (("first", 1), ("second", 1))
        assert store.aggregate(CERT, now).keywords == (("second", 1),)
        assert store.aggregate(CI, now).keyword_lag_s == 0

    def test_a_week_later_a_keyword_is_forgotten_a_few_at_a_time(self, store, monkeypatch):
        now = round(time.time() * 1_000_000)
        for number in range(10):
            put(store, _named(f"word {number % 2}", received_at=now - (number // 8) * DAY))
        self._follow(store)
        assert store.aggregate(CI, now).keywords == (("word 0", 5), ("word 1", 5))
        monkeypatch.setattr(totals, "BATCH", 3)

        self._go_on(store, now + 6 * DAY)
        assert store.aggregate(CI, now).keywords == (("word 0", 4), ("word 1", 4))
        self._go_on(store, now + 7 * DAY)
        assert sum(n for _, n in store.aggregate(CI, now).keywords) == 5
        self._go_on(store, now + 7 * DAY)
        self._go_on(store, now + 7 * DAY)
        assert store.aggregate(CI, now).keywords == ()
        assert store._rows(totals.IS_OLD, since=now + DAY) == []

    def test_of_several_followers_each_change_is_counted_once(self, store):
        now = round(time.time() * 1_000_000)
        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(put, store, _named("word", received_at=now)) for _ in range(40)]
            following = [pool.submit(store.follow_keywords) for _ in range(40)]
            for one in [*writing, *following]:
                one.result()
        self._follow(store)

        assert store.aggregate(CI, now).keywords == (("word", 40),)

    @pytest.mark.parametrize("text", ["", " \t", "x" * 500, "ΑΒΓ 攻撃"])
    def test_any_text_is_a_keyword(self, store, text):
        now = round(time.time() * 1_000_000)
        put(store, _named(text, received_at=now))
        self._follow(store)

        assert store.aggregate(CI, now).keywords == ((totals.keyword_of(text), 1),)

    def _follow(self, store):
        until = time.monotonic() + 10
        while store._first(keywords.OLDEST_WAITING) != (None,):
            assert time.monotonic() < until
            store.follow_keywords()

    def _go_on(self, store, now):
        """Let the follower count at another time, with nothing new."""
        at = store.keywords_at()
        assert store.transact(lambda tx: keywords.index(tx._db, Words({}, (), at, at), now / 1e6))


def _named(text, **fields):
    return some(detection=detection(iris_id=str(uuid4()), threat=text), **fields)
