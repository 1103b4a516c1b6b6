"""What every store's lists and feeds have to do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eme_connector.adapters.database import keywords, lists
from eme_connector.domain.listing import ListQuery
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Kind, Status
from eme_connector.errors import InvalidInput
from tests.build import AT, CI, OTHER_CI, detection
from tests.store.some import decided, put, some

WORDS = ("modbus", "frames", "camera", "relay")
HOW = {"few": (100, 0), "listed": (0, 100), "looked at": (0, 0)}
"""How words are looked for, and the bounds of `keywords.FEW` and `lists.NEAR` that lead there."""


class ListContract:
    """Subclass it and give a `store` fixture."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def test_lists_and_counters_agree_with_a_naive_model(self, store, chance):
        viewer = str(uuid4())
        model = self._fill(store, chance, viewer)
        while store.follow_keywords():
            pass
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lists, "MAX_WALK", chance.choice([2, 7, 5_000]))
            patch.setattr(keywords, "FEW", chance.choice([0, 3, 1_000]))
            patch.setattr(keywords, "MANY", chance.choice([3, 20_000]))
            patch.setattr(lists, "NEAR", chance.choice([0, 20_000]))
            for query in self._queries(chance, viewer):
                assert self._all_pages(store, query) == self._expected(model, query), query
        found = store.aggregate(viewer, AT)
        assert sum(one.total for one in found.hours) == len(model)
        statuses = Counter(str(one.status) for one in model)
        assert {k: v for k, v in found.hours[-1].by_status.items() if v} == dict(statuses)
        assert found.origins.get(CI, {}) == dict(statuses)

    @pytest.mark.parametrize(("few", "near"), HOW.values(), ids=HOW)
    @pytest.mark.parametrize("order", ["newest", "rank"])
    def test_a_page_by_keyword_costs_a_handful_of_statements(
        self, store, monkeypatch, order, few, near
    ):
        monkeypatch.setattr(keywords, "FEW", few)
        monkeypatch.setattr(lists, "NEAR", near)
        monkeypatch.setattr(lists, "MAX_WALK", 16)
        model = [self._worded(store, number) for number in range(40)]
        query = ListQuery(CI, order, keyword="modbus frames", limit=40)
        self._wait(lambda: len(self._all_pages(store, query)) == len(model))
        asked = self._listen(store, monkeypatch)

        query = replace(query, criticality=1, limit=2)
        assert self._all_pages(store, query) == self._expected(model, query)
        asked.clear()
        page = store.list_threats(query)
        assert page.walked == (2 if few else 16)
        assert page.complete is bool(few)
        assert len(asked) <= 6
        for statement in asked:
            self.check_plan(store, statement)
        page = store.list_threats(replace(query, criticality=None))
        assert (len(page.threats), page.walked) == (2, 3)
        page = store.list_threats(replace(query, status=Status.DECLINED))
        assert (page.cursor, page.walked, page.complete) == ("", 0, True)
        page = store.list_threats(replace(query, viewer=OTHER_CI))
        assert (page.threats, page.walked, page.complete) == ((), 0, True)

    @pytest.mark.parametrize("order", ["newest", "rank"])
    def test_frequent_words_are_counted_once_and_their_lists_stay_right(
        self, store, monkeypatch, order
    ):
        monkeypatch.setattr(keywords, "FEW", 0)
        monkeypatch.setattr(keywords, "MANY", 0)
        model = [self._worded(store, number) for number in range(4)]
        while store.follow_keywords():
            pass
        query = ListQuery(CI, order, keyword="modbus frames", limit=2)
        store.list_threats(ListQuery(CI, order))  # which asks for the reader's number
        asked = self._listen(store, monkeypatch)

        first = store.list_threats(query)
        counting = len(asked)
        asked.clear()
        assert store.list_threats(query) == first
        assert len(asked) == counting - 1
        monkeypatch.setattr(keywords, "FEW", 1_000)  # as if most of them were gone since
        assert self._all_pages(store, query) == self._expected(model, query)

    @pytest.mark.parametrize("order", ["newest", "rank"])
    def test_a_filtered_page_is_read_from_one_index(self, store, monkeypatch, order):
        for number in range(5):
            put(store, some(number, criticality=1 + number % 2))
        asked = self._listen(store, monkeypatch)

        query = ListQuery(CI, order, kind=Kind.ATTACK, criticality=1, since=AT, until=AT + 4)
        assert len(store.list_threats(query).threats) == 2
        query = replace(query, status=Status.PENDING, organisation=CI, band=Band.LOW)
        store.list_threats(query)
        assert len(asked) <= 8
        for statement in asked:
            self.check_plan(store, statement)

    @pytest.mark.parametrize("order", ["newest", "rank"])
    def test_a_walk_leaves_nothing_out_while_threats_come_and_change(
        self, store, monkeypatch, order
    ):
        monkeypatch.setattr(lists, "MAX_WALK", 8)
        model = [some(number, criticality=1 + number % 5) for number in range(40)]
        for one in model:
            put(store, one)
        numbers = iter(range(1_000))

        def disturb(_):
            number = next(numbers)
            put(store, some(number % 40, criticality=3))
            changed = decided(model[number % 40], Status.APPROVED)
            store.transact(lambda tx: tx.save_threat(changed, model[number % 40]))

        self._before_each(store, monkeypatch, disturb)
        query = ListQuery(CI, order, criticality=1, limit=3)
        assert self._all_pages(store, query) == self._expected(model, query)
        page = store.list_threats(replace(query, criticality=1, kind=Kind.VULNERABILITY))
        assert (page.threats, page.walked, page.complete) == ((), 8, False)

    def test_what_is_asked_of_an_unknown_organisation_is_answered_at_once(self, store, monkeypatch):
        put(store, some())
        asked = self._listen(store, monkeypatch)

        assert store.list_threats(ListQuery(CI, organisation=str(uuid4()))).threats == ()
        assert store.list_threats(ListQuery(str(uuid4()))).threats == ()
        assert len(asked) <= 3

    def test_who_was_first_met_in_a_failed_work_never_stands_for_another(self, store):
        failed, other = str(uuid4()), str(uuid4())

        def fail(tx):
            tx.add_threat(some(), b"{}", viewers=[failed])
            tx.add_threat(some(), b"{}", viewers=[failed])
            raise KeyError("mine")

        with pytest.raises(KeyError):
            store.transact(fail)
        theirs = put(store, some(), [other])
        assert store.list_threats(ListQuery(failed)).threats == ()
        ours = put(store, some(), [failed])

        assert store.list_threats(ListQuery(failed)).threats == (ours,)
        assert store.list_threats(ListQuery(other)).threats == (theirs,)
        assert store.find_visible_threat(theirs.id, failed) is None

    @pytest.mark.parametrize(
        ("keyword", "is_there"),
        [("AML.T0043", True), ("aml t0043", True), ("T0043.AML", False), ("caf\u00e9", True),
         ("CAFE", True), ("10.40.20.14", True), ("10.40.20", True), ("10.40.20.1", False),
         ("modbu", False), ("frames Modbus", True), ("\u0416\u0443\u043a", True), ("...", False),
         (" ", True)],
    )  # fmt: skip
    @pytest.mark.parametrize(("few", "near"), HOW.values(), ids=HOW)
    def test_words_are_whole_whatever_signs_and_accents_they_have(
        self, store, monkeypatch, keyword, is_there, few, near
    ):
        monkeypatch.setattr(keywords, "FEW", few)
        monkeypatch.setattr(keywords, "MANY", few)
        monkeypatch.setattr(lists, "NEAR", near)
        summary = "Modbus frames to 10.40.20.14 at the caf\u00e9 (AML.T0043), \u0436\u0443\u043a"
        found = put(store, some(detection=detection(iris_id="w", summary=summary)))
        while store.follow_keywords():
            pass

        page = store.list_threats(ListQuery(CI, keyword=keyword))
        assert page.threats == ((found,) if is_there else ())

    def test_a_time_that_ends_before_it_begins_asks_nothing(self, store, monkeypatch):
        put(store, some())
        asked = self._listen(store, monkeypatch)

        assert store.list_threats(ListQuery(CI, since=AT + 1, until=AT)).threats == ()
        assert asked == []

    def check_plan(self, store, statement):
        """Override it where a store tells how it answers a statement."""

    def _worded(self, store, number):
        return put(
            store,
            some(
                number,
                detection=detection(iris_id=str(uuid4()), summary="Modbus frames"),
                criticality=1 if number % 20 == 0 else 3,
            ),
        )

    def _listen(self, store, monkeypatch):
        asked = []
        self._before_each(store, monkeypatch, asked.append)
        return asked

    def _before_each(self, store, monkeypatch, call):
        """Call with each statement of a page before it is asked."""
        together, mine = store._together, threading.get_ident()

        @contextmanager
        def heard():
            with together() as rows:

                def ask(statement, values):
                    if threading.get_ident() == mine:  # the follower of keywords asks too
                        call(statement)
                    return rows(statement, values)

                yield ask

        monkeypatch.setattr(store, "_together", heard)

    def _wait(self, holds):
        until = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < until, "not within 20 s"
            time.sleep(0.05)

    def _fill(self, store, chance, viewer):
        model = []
        for number in range(chance.randint(1, 30)):
            found = some(
                number * chance.randint(0, 1),
                detection=detection(
                    iris_id=str(uuid4()),
                    kind=chance.choice(list(Kind)),
                    risk_score=float(chance.randint(0, 10)),
                    summary=" ".join(chance.choices(WORDS, k=3)),
                ),
                criticality=chance.randint(1, 5),
            )
            put(store, found, [viewer])
            if chance.random() < 0.5:
                word = chance.choice([Status.APPROVED, Status.DECLINED])
                after = decided(found, word)
                store.transact(lambda tx, after=after, found=found: tx.save_threat(after, found))
                found = after
            model.append(found)
        return model

    def _queries(self, chance, viewer):
        for order in ("newest", "rank"):
            yield ListQuery(viewer, order, limit=chance.randint(1, 7))
            yield ListQuery(
                viewer,
                order,
                status=chance.choice([None, *list(Status)]),
                kind=chance.choice([None, *list(Kind)]),
                band=chance.choice([None, *list(Band)]),
                criticality=chance.choice([None, 1, 5]),
                organisation=chance.choice([None, CI, OTHER_CI]),
                since=chance.choice([None, AT + 3]),
                until=chance.choice([None, AT + 20]),
                keyword=chance.choice(["", "", *WORDS, " ".join(WORDS[:2])]),
                limit=chance.randint(1, 7),
            )

    def _all_pages(self, store, query):
        found = []
        for _ in range(100):
            page = store.list_threats(query)
            found += [one.id for one in page.threats]
            if not page.cursor:
                return found
            query = replace(query, cursor=page.cursor)
        raise AssertionError("the pages do not end")

    def _expected(self, model, query):
        def wanted(one):
            return (
                query.status in (None, one.status)
                and query.kind in (None, one.detection.kind)
                and query.band in (None, one.rank.band)
                and query.criticality in (None, one.criticality)
                and query.organisation in (None, one.organisation)
                and (query.since is None or one.received_at >= query.since)
                and (query.until is None or one.received_at < query.until)
                and {*query.keyword.lower().split()} <= {*one.detection.summary.lower().split()}
            )

        def key(place):  # those of one moment: the last that came is first
            one = model[place]
            rank = (round(one.rank.value * 10),) if query.order == "rank" else ()
            return (*rank, one.received_at, place)

        places = sorted(range(len(model)), key=key, reverse=True)
        return [model[place].id for place in places if wanted(model[place])]

    @pytest.mark.parametrize(
        "cursor",
        [
            "x",
            "e30",
            "WzFd",
            "W10",
            "é",
            "bnVsbA",
            "W1swXSwgMV0",
            "WzEsMTAwMDAwMDAwMDAwMDAwMDAwMDAwXQ",
        ],
    )
    def test_a_made_up_cursor_is_refused(self, store, cursor):
        with pytest.raises(InvalidInput) as caught:
            store.list_threats(ListQuery(CI, cursor=cursor))
        assert caught.value.pointer == "/cursor"

    def test_keywords_are_found_soon(self, store):
        found = put(store, some(detection=detection(iris_id="k", summary="Modbus frames")))
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if store.list_threats(ListQuery(CI, keyword="modbus frames")).threats == (found,):
                break
            time.sleep(0.05)
        else:
            raise AssertionError("not found")

        assert store.list_threats(ListQuery(CI, keyword='"; DROP')).threats == ()
        assert store.list_threats(ListQuery(OTHER_CI, keyword="modbus")).threats == ()
        assert store.aggregate(CI, AT).keyword_lag_s <= 1

    def test_changes_tell_the_latest_state_once(self, store):
        found = put(store, some())
        (first,) = store.changes(CI, 0, 10)
        after = decided(found, Status.APPROVED)
        store.transact(lambda tx: tx.save_threat(after, found))
        (second,) = store.changes(CI, 0, 10)

        assert (first.status, second.status) == ("pending", "approved")
        assert second.id > first.id
        assert store.changes(CI, second.id, 10) == ()
        assert store.last_change() == second.id
