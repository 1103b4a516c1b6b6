"""The channel's contract, run against the double."""

from __future__ import annotations

import pytest

from tests.misp.channel_contract import ChannelContract
from tests.misp.contract.conftest import _doubles
from tests.misp.group_contract import GroupContract


@pytest.fixture(scope="module")
def pair():
    made = _doubles()
    yield made
    for side in (made.a, made.b):
        side.double.close()


class TestChannel(ChannelContract):
    """On two doubles that sync."""


class TestGroups(GroupContract):
    """On two doubles that sync."""
