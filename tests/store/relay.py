"""What every store has to do for the relay of sharing groups."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.domain.directory import GroupServer, RemoteGroup, RemoteOrganisation
from eme_connector.domain.relay import Carried, Doubt, Memory, Run, Tombstone, Write
from tests.build import AT, CERT, CI, GROUP, OTHER_CI

SECOND = 1_000_000
RUN = Run("r1", "fleet", "apply", "anna", AT, AT + 60 * SECOND)
MEMBERS = RemoteGroup(
    GROUP, "Trams", CERT, {CI: True, OTHER_CI: False}, servers=frozenset({GroupServer("")})
)
CERT_1 = RemoteOrganisation(CERT, "CERT-1", sector="Ενέργεια")


class RelayContract:
    """Mixed into the store's contract."""

    def test_nothing_is_remembered_of_a_new_target(self, store):
        assert store.memory("fleet") == Memory()

    def test_what_was_agreed_on_comes_back_for_its_target_alone(self, store):
        def keep(tx):
            tx.remember("fleet", {CERT: CERT_1}, {GROUP: MEMBERS})
            tx.remember("other", {}, {GROUP: replace(MEMBERS, members={})})

        store.transact(keep)
        assert store.memory("fleet") == Memory({CERT: CERT_1}, {GROUP: MEMBERS})
        store.transact(lambda tx: tx.remember("fleet", {CERT: replace(CERT_1, name="X")}, {}))
        assert store.memory("fleet") == Memory({CERT: replace(CERT_1, name="X")})
        assert store.memory("other").groups[GROUP].members == {}

    def test_tombstones_are_replaced_and_forgotten_by_pair(self, store):
        old, other = Tombstone(GROUP, CI, AT), Tombstone(GROUP, OTHER_CI, AT)
        store.transact(lambda tx: tx.bury("fleet", [old, other]))
        again = replace(old, at=AT + 1, came_back=2)
        store.transact(lambda tx: tx.bury("fleet", [again]))
        assert store.memory("fleet").tombstones == {again, other}

        store.transact(lambda tx: tx.exhume("fleet", [(GROUP, CI), (GROUP, CERT)]))
        assert store.memory("fleet").tombstones == {other}
        assert store.memory("other").tombstones == frozenset()

    def test_doubts_and_what_is_to_be_announced_are_as_last_told(self, store):
        doubts = [Doubt(f"group/{one}", "shrank", "abc", 2, AT, AT + 5) for one in (GROUP, CI)]

        def keep(tx):
            tx.save_doubts("fleet", doubts)
            tx.owe_announcements("fleet", [GROUP, GROUP, CI])
            tx.owe_announcements("fleet", [GROUP])

        store.transact(keep)
        assert store.memory("fleet").doubts == {one.subject: one for one in doubts}
        assert store.memory("fleet").unannounced == {GROUP, CI}
        store.transact(lambda tx: tx.save_doubts("fleet", doubts[:1]))
        store.transact(lambda tx: tx.announced("fleet", CI))
        assert list(store.memory("fleet").doubts.values()) == doubts[:1]
        assert store.memory("fleet").unannounced == {GROUP}

    def test_a_run_holds_its_target_until_its_lease_ends(self, store):
        def open_at(at, target="fleet"):
            return store.transact(lambda tx: tx.find_open_run(target, at))

        store.transact(lambda tx: tx.save_run(RUN))
        assert open_at(AT + SECOND) == RUN
        assert open_at(AT + 61 * SECOND) is None
        assert open_at(AT + SECOND, "other") is None
        broken = store.transact(lambda tx: tx.broken_runs("fleet", AT + 61 * SECOND))
        assert broken == (RUN,)
        assert store.transact(lambda tx: tx.broken_runs("fleet", AT + SECOND)) == ()
        done = replace(RUN, state="done", ended_at=AT + 9, calls=4)
        store.transact(lambda tx: tx.save_run(done))
        assert open_at(AT + SECOND) is None
        assert store.transact(lambda tx: tx.find_run("r1")) == done
        store.transact(lambda tx: tx.drop_run("r1"))
        assert store.transact(lambda tx: tx.find_run("r1")) is None

    def test_runs_come_newest_first_with_their_writes_in_order(self, store):
        later = replace(RUN, id="r2", started_at=AT + 9, kind="undo", undoes="r1")
        write = Write(1, 1, "member-missing", f"group/{GROUP}", CI, None, {"extend": True})
        second = replace(write, number=2, before={"extend": False}, after=None, member=CERT)

        def keep(tx):
            tx.save_run(RUN)
            tx.save_run(later)
            tx.save_writes("r1", [second, write])
            tx.save_writes("r1", [replace(second, state="failed", reason="unreachable")])

        store.transact(keep)
        assert store.runs("fleet") == (later, RUN)
        assert store.runs(limit=1) == (later,)
        assert store.runs("other") == ()
        assert store.writes("r1") == (
            write,
            replace(second, state="failed", reason="unreachable"),
        )

    def test_what_a_file_brought_is_replaced_by_its_signers_next(self, store):
        old = Carried("aa", 1, CERT, AT, {"groups": []})
        other = Carried("bb", 7, CI, AT + 1, {"groups": ["ατε"]})
        new = replace(old, serial=2, at=AT + 5)
        for one in (old, other, new):
            store.transact(lambda tx, one=one: tx.save_carried(one))

        assert store.carried() == (new, other)
