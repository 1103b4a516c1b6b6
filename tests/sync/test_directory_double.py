"""The contract of a MISP as a directory, run against the double."""

from __future__ import annotations

import pytest

from tests.misp.contract.conftest import _doubles
from tests.sync.directory_contract import DirectoryContract, directory_of, group, organisation


@pytest.fixture(scope="module")
def pair():
    made = _doubles()
    yield made
    for side in (made.a, made.b):
        side.double.close()


class TestDirectory(DirectoryContract):
    """On a double."""


def test_every_page_of_groups_is_read(pair):
    misp = directory_of(pair.b)
    owner = organisation()
    misp.put_organisation(owner)
    made = [group(owner) for _ in range(130)]
    for one in made:
        misp.put_group(one)

    assert {one.uuid for one in made} <= misp.fetch().groups.keys()
    misp.close()


def test_more_pages_than_asked_for_are_read_where_the_page_size_is_not_heeded(pair, monkeypatch):
    monkeypatch.setattr("eme_connector.adapters.misp.directory.PAGE", 60)
    misp = directory_of(pair.b)
    owner = organisation()
    misp.put_organisation(owner)
    made = [group(owner) for _ in range(61)]
    for one in made:
        misp.put_group(one)

    assert {one.uuid for one in made} <= misp.fetch().groups.keys()
    misp.close()
