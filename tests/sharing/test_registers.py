"""The topology follows what Cerebrates tell, and nothing else widens it."""

from __future__ import annotations

import pytest

from eme_connector import config
from eme_connector.adapters.database import open_store
from eme_connector.domain.audience import viewers
from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.domain.threat import Tlp
from eme_connector.errors import StoreUnavailable
from eme_connector.usecases.topology import CHECK_S, Registers
from tests import ready
from tests.build import AT, CERT, CI, GROUP, OTHER_CI, threat

NEW = "66666666-6666-4666-8666-666666666666"


def told(*members, **group):
    organisations = [
        RemoteOrganisation(CERT, "CERT-1", fields={"EME/eme_role": ("cert",)}),
        RemoteOrganisation(OTHER_CI, "Harbour"),
    ]
    one = RemoteGroup(GROUP, "Transport (Cerebrate)", CERT, dict.fromkeys(members, False), **group)
    return Snapshot({one.uuid: one for one in organisations}, {GROUP: one})


@pytest.fixture
def world(tmp_path):
    """Return (store, registers, what moves their clock on)."""
    tree = {
        "instance": {"organisation": CI, "data_dir": str(tmp_path)},
        "organisations": [
            {"uuid": CI, "name": "CI-1", "default_group": GROUP},
            {"uuid": NEW, "name": "New"},
        ],
        "sharing_groups": [
            {"uuid": GROUP, "name": "Mine", "members": [CI, NEW], "cap": "green", "roaming": True},
            {"uuid": NEW, "name": "Old", "members": [CI, NEW]},
        ],
    }
    store = open_store(ready.sqlite(tmp_path / "eme.db"))
    now = [0.0]
    found = config.parse(tree, {})
    yield store, Registers(found, store, monotonic=lambda: now[0]), now
    store.close()


def tell(store, snapshot):
    store.transact(lambda tx: tx.replace_entries("cerebrate", snapshot, (), AT))


def seen_by(registers, **fields):
    return [one.organisation for one in viewers(threat(**fields), registers.now())]


def test_until_a_cerebrate_has_told_anything_the_configuration_counts(world):
    _, registers, _ = world

    assert seen_by(registers, tlp=Tlp.GREEN) == [NEW]


def test_then_only_its_groups_count(world):
    store, registers, _ = world
    tell(store, told(CI, CERT))

    assert seen_by(registers, tlp=Tlp.GREEN) == [CERT]
    assert NEW not in registers.now().groups


def test_who_is_removed_there_sees_nothing_any_more(world):
    store, registers, _ = world
    tell(store, told(CI, CERT, OTHER_CI))
    assert set(seen_by(registers, tlp=Tlp.GREEN)) == {CERT, OTHER_CI}

    tell(store, told(CI, CERT))

    assert seen_by(registers, tlp=Tlp.GREEN) == [CERT]


def test_a_group_that_is_gone_there_is_nobody(world):
    store, registers, _ = world
    tell(store, told(CI, CERT))

    tell(store, Snapshot(told().organisations, {}))

    assert seen_by(registers, tlp=Tlp.GREEN) == []


def test_what_a_cerebrate_cannot_say_comes_from_the_configuration(world):
    store, registers, _ = world
    tell(store, told(CI, CERT))
    group = registers.now().groups[GROUP]

    assert (group.name, group.cap, group.roaming) == ("Transport (Cerebrate)", Tlp.GREEN, True)
    assert seen_by(registers, tlp=Tlp.AMBER) == []


def test_a_cert_is_one_that_its_cerebrate_calls_so(world):
    store, registers, _ = world
    tell(store, told(CI, CERT))
    known = registers.now().organisations

    assert (known[CERT].role, known[OTHER_CI].role) == ("cert", "ci")
    assert known[CI].default_group == GROUP


def test_what_another_process_has_learnt_is_seen_within_a_second(world, tmp_path):
    _, registers, now = world
    other = open_store(f"sqlite:///{tmp_path}/eme.db")
    registers.now()
    tell(other, told(CI, CERT))
    other.close()

    now[0] += CHECK_S

    assert seen_by(registers, tlp=Tlp.GREEN) == [CERT]


def test_without_its_store_nobody_says_who_may_see_what(world, monkeypatch):
    store, registers, now = world
    registers.now()

    def fail():
        raise StoreUnavailable("down")

    monkeypatch.setattr(store, "directory_version", fail)
    now[0] += CHECK_S

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            registers.now()


def test_how_the_relay_keeps_a_group_in_our_misp_is_how_it_travels(world, tmp_path):
    store, _, _ = world
    tell(store, told(CI, CERT))
    key = "k" * 40
    misp = {"url": "https://a.example", "key": key, "receivers": [
        {"organisation": CERT, "url": "https://b.example"}]}  # fmt: skip
    targets = [
        {"name": "a", "url": "https://a.example", "key": key, "servers": ["https://b.example"]},
        {"name": "b", "url": "https://b.example", "key": key, "servers": ["https://a.example"]},
    ]
    tree = {
        "instance": {"organisation": CI, "data_dir": str(tmp_path)},
        "organisations": [{"uuid": CI, "name": "CI-1"}],
        "misp": misp,
        "cerebrate": {"url": "https://c.example", "key": "0" * 40},
        "sync": {"targets": targets},
    }

    found = Registers(config.parse(tree, {}), store).now()

    group = found.groups[GROUP]
    assert {one.url for one in group.servers} == {"https://a.example", "https://b.example"}
    assert not group.roaming
    assert [one.relayed for one in found.behind] == [True]
    assert viewers(threat(tlp=Tlp.AMBER), found)[0].ways == ("sidecar", "misp")
