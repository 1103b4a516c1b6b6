"""What the relay makes of MISPs that sync, run against a real pair that the environment names.

EME_TEST_MISP_A_URL and EME_TEST_MISP_A_ADMIN_KEY (a site admin), and the same of B.
"""

from __future__ import annotations

import os

import pytest

from tests.misp.contract.conftest import REAL, _real
from tests.sync.fleet_contract import FleetContract


@pytest.fixture(scope="module")
def pair():
    if not all(os.environ.get(name) for name in REAL):
        pytest.skip(f"no real pair of MISPs: set {', '.join(REAL)}, and B's")
    return _real()


class TestFleet(FleetContract):
    """On two real MISPs that sync."""
