"""The channel's contract, run against a real pair that the environment names.

EME_TEST_MISP_A_URL and EME_TEST_MISP_A_ADMIN_KEY (a site admin), and the same of B: two MISPs
that push to each other.
"""

from __future__ import annotations

import os

import pytest

from tests.misp.channel_contract import ChannelContract
from tests.misp.contract.conftest import REAL, _real
from tests.misp.group_contract import GroupContract

if not all(os.environ.get(name) for name in REAL):
    pytest.skip(f"no real pair of MISPs: set {', '.join(REAL)}, and B's", allow_module_level=True)


@pytest.fixture(scope="module")
def pair():
    return _real()


class TestChannel(ChannelContract):
    """On two real MISPs that sync."""


class TestGroups(GroupContract):
    """On two real MISPs that sync."""
