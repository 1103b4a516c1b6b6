"""What the relay makes of MISPs that sync, run against the double."""

from __future__ import annotations

import pytest

from tests.misp.contract.conftest import _doubles
from tests.sync.fleet_contract import FleetContract


@pytest.fixture(scope="module")
def pair():
    made = _doubles()
    yield made
    for side in (made.a, made.b):
        side.double.close()


class TestFleet(FleetContract):
    """On two doubles that sync."""
