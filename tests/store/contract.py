"""What every store has to do; SQLite and PostgreSQL run the same suite.

There is no store in memory: SQLite in a temporary folder is fast enough, and real.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from eme_connector.domain.accounts import Account, Peer, Token
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import State
from eme_connector.domain.listing import ListQuery
from eme_connector.domain.policy import Scope, Setting
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Resolution, Status
from eme_connector.ports import Owed
from tests.build import AT, CERT, CI, OTHER_CI, detection
from tests.store.charts import ChartContract
from tests.store.directory import DirectoryContract
from tests.store.handshakes import HandshakeContract
from tests.store.lists import ListContract
from tests.store.misp import MispContract
from tests.store.relay import RelayContract
from tests.store.schedule import ScheduleContract
from tests.store.some import HOUR, LANE, due, owe, put, some, update


class StoreContract(
    ListContract,
    ChartContract,
    DirectoryContract,
    HandshakeContract,
    ScheduleContract,
    RelayContract,
    MispContract,
):
    """Subclass it and give a `store` fixture."""

    # transact

    def test_a_work_returns_its_result_after_commit(self, store):
        found = some()
        assert store.transact(lambda tx: (tx.add_threat(found, b"", viewers=[CI]), 7)[1]) == 7
        assert store.find_visible_threat(found.id, CI) == found

    def test_an_exception_rolls_back_its_own_work_only(self, store):
        kept, lost = some(), some()
        started = threading.Barrier(2)

        def good():
            started.wait()
            return put(store, kept)

        def bad():
            def work(tx):
                tx.add_threat(lost, b"", viewers=[CI])
                raise KeyError("mine")

            started.wait()
            store.transact(work)

        with ThreadPoolExecutor(2) as pool:
            one, other = pool.submit(good), pool.submit(bad)
            assert one.result() == kept
            with pytest.raises(KeyError):
                other.result()

        assert store.find_visible_threat(kept.id, CI) == kept
        assert store.find_visible_threat(lost.id, CI) is None
        assert store.aggregate(CI, AT).hours[-1].total == 1

    def test_a_transaction_reads_what_it_wrote(self, store):
        found = some()

        def work(tx):
            tx.add_threat(found, b"{}", viewers=[CI])
            owed = tx.owe(Owed(LANE, "dispatch", found.id, CI, 1, b"x", "d"))
            seen = (
                tx.find_threat(found.id),
                tx.may_read(found.id, CI),
                tx.find_delivery(owed.id),
                tx.find_delivery_by_key(owed.key),
                tx.due(LANE, 2**40, width=8, limit=8),
            )
            tx.save_threat(replace(found, sequence=2), found)
            return owed, seen, tx.withdraw(found.id, "dispatch", "stopped")

        owed, seen, withdrawn = store.transact(work)
        assert seen == (found, True, owed, owed, (owed,))
        assert withdrawn == 1
        assert store.deliveries_of(found.id)[0].state is State.WITHDRAWN
        assert store.aggregate(CI, AT).hours[-1].total == 1
        assert [one.threat_id for one in store.changes(CI, 0, 10)] == [found.id]

    def test_transactions_do_not_nest(self, store):
        with pytest.raises(RuntimeError):
            store.transact(lambda tx: store.transact(lambda tx: None))

        assert store.transact(lambda tx: 1) == 1

    def test_sixteen_writers_lose_nothing(self, store):
        def write(number):
            return [put(store, some(number)).id for _ in range(10)]

        with ThreadPoolExecutor(16) as pool:
            ids = [one for found in pool.map(write, range(16)) for one in found]

        assert all(store.find_visible_threat(one, CI) for one in ids)
        assert store.aggregate(CI, AT).hours[-1].total == 160

    def test_the_same_identity_from_many_at_once_is_one_threat(self, store):
        same = detection()

        def take(_):
            def work(tx):
                fresh = some(detection=same)
                if tx.add_threat(fresh, b"", viewers=[CI]):
                    return fresh.id
                return tx.find_own_threat(CI, same.carrier_id, same.iris_id).id

            return store.transact(work)

        with ThreadPoolExecutor(8) as pool:
            (only,) = set(pool.map(take, range(24)))
        assert [one.id for one in store.list_threats(ListQuery(CI)).threats] == [only]
        assert store.aggregate(CI, AT).hours[-1].total == 1

    def test_listeners_hear_after_the_commit(self, store):
        heard = []
        stop = store.subscribe(heard.append)
        put(store, some())
        owe(store)
        stop()
        owe(store)

        topics = [one for found in heard for one in found]
        assert Counter(topics)["change"] >= 1
        assert Counter(topics)["delivery"] == 1

    # need to know

    def test_who_may_not_read_sees_nothing_anywhere(self, store):
        put(store, some())

        assert store.list_threats(ListQuery(OTHER_CI)).threats == ()
        assert store.changes(OTHER_CI, 0, 10) == ()
        assert store.aggregate(OTHER_CI, AT).origins == {}
        assert store.aggregate(OTHER_CI, AT).keywords == ()
        assert sum(one.total for one in store.aggregate(OTHER_CI, AT).weeks) == 0

    def test_a_further_viewer_sees_it_once(self, store):
        found = put(store, some())
        for _ in range(2):
            store.transact(lambda tx: tx.add_viewer(found, CERT))

        assert store.list_threats(ListQuery(CERT)).threats == (found,)
        assert store.aggregate(CERT, AT).hours[-1].total == 1
        assert store.transact(lambda tx: tx.may_read(found.id, CERT))
        assert not store.transact(lambda tx: tx.may_read(found.id, OTHER_CI))

    # deliveries

    def test_the_oldest_of_a_threat_goes_first_and_holds_up_its_own_threat_only(self, store):
        first, second, other = owe(store, "t"), owe(store, "t"), owe(store, "u")

        assert [d.id for d in due(store)] == [first.id, other.id]
        update(store, first, state=State.DELIVERED)
        assert [d.id for d in due(store)] == [second.id, other.id]

    def test_another_lane_is_not_held_up(self, store):
        for _ in range(5):
            owe(store, "t")
        there = owe(store, "t", lane="peer:x")

        assert [d.id for d in due(store, "peer:x")] == [there.id]
        assert set(store.busy_lanes(time.time() + 1)[0]) == {LANE, "peer:x"}

    def test_a_lane_is_busy_while_something_of_it_may_leave_and_says_when_the_next_may(self, store):
        now = time.time() + 1
        leased, later, done = owe(store, "a"), owe(store, "b", lane="peer:x"), owe(store, "c", "z")
        update(store, leased, state=State.SENDING, fence=1, lease_until=now + 60)
        update(store, later, next_at=now + 30)
        update(store, done, state=State.DELIVERED)

        assert store.busy_lanes(now) == ((), now + 30)
        assert store.busy_lanes(now + 31) == (("peer:x",), None)
        assert store.busy_lanes(now + 61) == ((LANE, "peer:x"), None)

    def test_what_is_under_lease_is_not_due_and_counts_for_the_width(self, store):
        one, two, three = (owe(store, name) for name in "abc")
        now = time.time() + 1
        update(store, one, state=State.SENDING, fence=1, lease_until=now + 60)

        assert [d.id for d in due(store, now=now, width=2)] == [two.id]
        assert [d.id for d in due(store, now=now, width=1)] == []
        assert [d.id for d in due(store, now=now + 120, width=3)] == [one.id, two.id, three.id]

    def test_a_finish_with_an_old_fence_changes_nothing(self, store):
        one = owe(store)
        assert update(store, one, state=State.SENDING, fence=1)
        (leased,) = due(store)

        assert not update(store, leased, at_fence=0, state=State.DELIVERED)
        assert store.deliveries_of("t")[0].state is State.SENDING

    def test_only_what_is_owed_is_withdrawn(self, store):
        one, two = owe(store, "t"), owe(store, "t")
        update(store, one, state=State.SENDING, fence=1)

        assert store.transact(lambda tx: tx.withdraw("t", "dispatch", "stopped")) == 1
        found = {d.id: (d.state, d.reason) for d in store.deliveries_of("t")}
        assert found[two.id] == (State.WITHDRAWN, "stopped")
        assert found[one.id][0] is State.SENDING

    def test_what_is_owed_is_renewed_and_nothing_else(self, store):
        one, other = owe(store, "t"), owe(store, "u")
        later = time.time() + 60

        def renew(**how):
            return store.transact(lambda tx: tx.renew(LANE, "t", 7, **how))

        assert renew(next_at=later)
        found = {d.id: d.sequence for d in store.list_deliveries()}
        assert found == {one.id: 7, other.id: other.sequence}
        assert [d.id for d in due(store)] == [other.id]
        assert {d.id for d in due(store, now=later + 1)} == {one.id, other.id}
        update(store, one, state=State.SENDING, fence=1)
        assert not renew()

    def test_a_delivery_keeps_all_it_has(self, store):
        one = owe(store)
        update(store, one, receipt={"reference": "r"}, asking=True, settle_until=7.5, reason="x")
        (found,) = store.list_deliveries(lane=LANE)

        assert (found.payload, found.key, found.receipt) == (b"x", one.key, {"reference": "r"})
        assert (found.asking, found.settle_until, found.reason) == (True, 7.5, "x")
        assert store.transact(lambda tx: tx.find_delivery_by_key(one.key)) == found
        assert store.delivery_counts() == {(LANE, State.OWED): 1}

    def test_deliveries_of_many_threats_are_found_in_one_lane(self, store):
        one, two, there = owe(store, "t"), owe(store, "u"), owe(store, "v", lane="peer:x")
        owe(store, "w")

        asked = ["t", "u", "v", "unheard-of"]
        assert [d.id for d in store.deliveries_in(LANE, asked)] == [one.id, two.id]
        assert [d.id for d in store.deliveries_in("peer:x", asked)] == [there.id]
        assert store.deliveries_in(LANE, []) == ()

    def test_what_names_a_threat_that_is_not_there_is_kept_and_found_under_no_other(self, store):
        there = put(store, some())

        def work(tx):
            tx.record(AuditRecord("e", AT, "anna", CI, "lost", 1))
            tx.record(AuditRecord("e", AT, "anna", CI, there.id, 1))
            return [tx.owe(Owed(LANE, "dispatch", one, CI, 1)) for one in ("lost", there.id)]

        made = store.transact(work)
        assert store.list_deliveries() == due(store) == tuple(made)
        assert (store.deliveries_of("lost"), store.timeline("lost")) == ((), ())
        assert store.deliveries_of(there.id) == (made[1],)
        assert [one.threat_id for one in store.timeline(there.id)] == [there.id]
        assert store.transact(lambda tx: tx.withdraw("lost", "dispatch", "stopped")) == 0

    # the rest

    def test_audit_records_come_back_in_order_each_with_a_salt(self, store):
        put(store, some(id="t"))
        for number in range(3):
            record = AuditRecord("e", AT + number, "anna", CI, "t", 1, {"n": number})
            store.transact(lambda tx, record=record: tx.record(record))

        assert [one.detail["n"] for one in store.timeline("t")] == [0, 1, 2]

    def test_policies_accounts_tokens_peers_and_the_switch_come_back(self, store):
        setting = Setting("s", CI, frozenset({"isolate"}), Scope(tag="x"), 3, "anna", AT)
        account = Account("a", "anna", CI, "admin", "hash", AT)
        token = Token("p", "h", "atio", CI, frozenset({Right.INGEST}), AT, orchestrator="demo")
        peer = Peer(CERT, "CERT-1", "https://x", "pem", "fp", AT)

        def work(tx):
            tx.save_policy_setting(setting)
            tx.save_account(account)
            tx.save_token(token)
            tx.save_peer(peer)
            tx.set_stop(CI, stopped=True, by="anna", at=AT)
            return tx.is_stopped(CI), tx.is_stopped(OTHER_CI), tx.policy_settings(CI)

        assert store.transact(work) == (True, False, (setting,))
        assert store.policy_settings_of(CI) == (setting,)
        assert store.find_account("anna") == store.find_account_by_id("a") == account
        assert store.find_token("p") == token
        assert store.find_peer("fp") == peer
        store.transact(lambda tx: tx.set_stop(CI, stopped=False, by="anna", at=AT))
        assert not store.stopped(CI)

    def test_sessions_end_by_time_by_id_and_by_account(self, store):
        def save(tx):
            tx.save_session("1", b"one", AT + 5, "a")
            tx.save_session("2", b"two", AT + 5, "b")

        store.transact(save)
        assert store.find_session("1", AT) == b"one"
        assert store.find_session("1", AT + 5) is None
        store.transact(lambda tx: tx.delete_sessions_of("a"))
        assert store.find_session("1", AT) is None
        store.transact(lambda tx: tx.delete_session("2"))
        assert store.find_session("2", AT) is None

    def test_sessions_that_ended_long_ago_are_swept_away(self, store):
        month = 31 * 24 * HOUR
        store.transact(lambda tx: tx.save_session("old", b"x", AT, "a"))
        store.transact(lambda tx: tx.save_session("new", b"y", AT + month, "a"))

        assert store.find_session("old", AT - 1) is None
        assert store.find_session("new", AT) == b"y"

    def test_a_message_is_kept_once_per_sender(self, store):
        def keep(sender):
            return store.transact(lambda tx: tx.keep_message("m", sender, "t", b"jws", AT))

        assert [keep("a"), keep("a"), keep("b")] == [True, False, True]

    def test_threats_that_are_saved_together_move_each_for_itself(self, store):
        gone, stays = put(store, some(), (CI, CERT)), put(store, some(1))
        kept = put(store, some(2))
        moved = [(replace(one, sequence=2, resolution=Resolution("anna", AT, "done")), one)
                 for one in (gone, stays)]  # fmt: skip
        store.transact(lambda tx: tx.save_threats(moved))

        for viewer, resolved in ((CI, {gone.id, stays.id}), (CERT, {gone.id})):
            asked = ListQuery(viewer, status=Status.RESOLVED)
            assert {one.id for one in store.list_threats(asked).threats} == resolved
            assert store.aggregate(viewer, AT).origins[CI]["resolved"] == len(resolved)
        assert [
            one.id for one in store.list_threats(ListQuery(CI, status=kept.status)).threats
        ] == [kept.id]

    def test_every_revision_keeps_its_bytes(self, store):
        found = put(store, some())
        after = replace(found, revision=2)
        store.transact(lambda tx: tx.save_threat(after, found, b"second"))

        assert (store.raw(found.id, 1), store.raw(found.id, 2)) == (b"{}", b"second")

    def test_text_of_every_script_comes_back(self, store):
        text = "Επίθεση 攻撃 \U0001f680 \u202e \u200d" + "".join(
            chr(random.Random(3).randint(0x20, 0xD7FF)) for _ in range(200)
        )
        found = put(store, some(detection=detection(iris_id=text, name=text)))

        assert store.find_visible_threat(found.id, CI).detection.name == text
